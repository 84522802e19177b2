"""Tight binding on the square and the triangular lattice, E = -2 t s - mu, s a sum of cosines over pairs of neighbours.

    s(k) = sum_{nearest pairs} cos(k . d) + (t' / t) sum_{next-nearest pairs} cos(k . d)

The lattice is given, not fitted: atomic resolution or a diffraction pattern tells it better than standing waves do. Electrons are taken
within the first zone, seen through a tip and orbitals of one width; beyond it waves would be shorter than the lattice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.families.family import TIP, ShapeNumber
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace, Patterns
from qpi_core.synthesis.bands.band_structures import contour_radius
from qpi_core.synthesis.bands.lattices import SquareLattice, TriangularLattice

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_EDGE_SHARE = 0.06
_SECOND = ShapeNumber("second_hopping_ratio", -0.35, 0.35, (-0.2, 0.0, 0.2), 0.05)


@dataclass(frozen=True)
class TightBinding:
    """One orbital a cell.

    Attributes:
        lattice_constant_nm: a.
        angle_rad: of a primitive vector, from +x towards +y (downwards).
        square: or triangular.
    """

    lattice_constant_nm: float
    angle_rad: float
    square: bool

    bands: int = 1
    shape: tuple[ShapeNumber, ...] = (_SECOND, TIP)
    rounded: bool = False
    rising: bool = False

    @property
    def name(self) -> str:
        """square or triangular."""
        return "square" if self.square else "triangular"

    @property
    def title(self) -> str:
        """In words."""
        return f"tight-binding band on a {self.name} lattice"

    @property
    def orders(self) -> tuple[int, ...]:
        """Those of the lattice's rotations."""
        return (0, 4, 8, 12) if self.square else (0, 6, 12)

    def structure(self, shape: Array) -> SquareLattice | TriangularLattice:
        """Return the lattice with t = -1/2, whose energy is s."""
        kind = SquareLattice if self.square else TriangularLattice
        return kind(-0.5, -0.5 * float(shape[0]), 0.0, self.lattice_constant_nm, self.angle_rad)

    def line(self, most_wavenumber: float, step: float) -> Array:
        """From the top to the bottom of a band of nearest neighbours, denser towards the bottom, where k is small."""
        low, high = (-2.0, 2.0) if self.square else (-1.5, 3.0)
        count = int(np.ceil(min(2 * np.pi / self.lattice_constant_nm, most_wavenumber) / step)) + 2
        return np.asarray(high - (high - low) * np.linspace(1.0, 0.0, count) ** 2)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """Around the zone's centre, up to the zone's boundary."""
        edge = self._boundary(angles)
        found = np.stack([contour_radius(self.structure(shape), float(one), angles, reach=float(edge.max())) for one in s])
        return np.where(found <= edge, found, np.nan)

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """The square of the Green's function of the first zone."""
        structure = self.structure(shape)
        z = space.lasting(s[0], np.full(s.shape[1], self.lattice_constant_nm))
        q, phi = space.polar.q[:, None], np.arctan2(space.polar.ky, space.polar.kx)
        edge = self._boundary(phi)
        window = space.polar.through_tip(shape[1]) / (1 + np.exp(np.minimum((q - edge) / (_EDGE_SHARE * edge), 50.0)))
        return space.near_one_over_r(space.polar.pattern(structure, z, window))[None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """t, t' / t, the band's centre -mu and the tip's width."""
        slope = float((ends[0, 1] - ends[0, 0]) / (energies[1] - energies[0]))
        return {
            "hopping_mev": -0.5 / slope,
            "second_hopping_ratio": float(shape[0]),
            "band_centre_mev": float(energies[0] - ends[0, 0] / slope),
            "tip_nm": float(shape[1]),
        }

    def _boundary(self, angles: Array) -> Array:
        """Return the distance in rad/nm from the zone's centre to its boundary, in some directions."""
        # The zone's sides are perpendicular to the shortest reciprocal vectors: along the square's, between the triangle's primitive ones.
        count, first = (4, 0.0) if self.square else (6, np.pi / 6)
        half = np.pi / self.lattice_constant_nm * (1.0 if self.square else 2 / np.sqrt(3))
        turn = 2 * np.pi / count
        from_side = np.mod(angles - self.angle_rad - first + turn / 2, turn) - turn / 2
        return np.asarray(half / np.cos(from_side))
