"""Tight binding on the honeycomb lattice: two sites a cell, E = E_D +- t |f(k)|, s = (E - E_D) / t, f(k) = sum_j exp(i k . d_j).

The defect sits on one site (A), where the T-matrix acts on that orbital alone, T = V / (1 - V G_AA): one complex amplitude an energy, as
for a lattice of one orbital a cell. The pattern is the square of G_AA + G_BA, the orbitals of both sites as the tip adds them up. It has
three-fold symmetry; that of a defect on the other site is turned by half a turn, so defects on both are two kinds.

Source: Castro Neto et al., Rev. Mod. Phys. 81, 109 (2009), eq. 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.families.family import TIP, ShapeNumber
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace, Patterns
from qpi_core.synthesis.bands.lattices import HoneycombLattice

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_HALVINGS = 40


@dataclass(frozen=True)
class HoneycombBand:
    """One orbital a site.

    Attributes:
        lattice_constant_nm: a, the length of the primitive vectors.
        angle_rad: of a primitive vector, from +x towards +y (downwards).
    """

    lattice_constant_nm: float
    angle_rad: float

    name: str = "honeycomb"
    title: str = "tight-binding band on a honeycomb lattice"
    orders: tuple[int, ...] = (0, 3, 6, 9, 12)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = (TIP,)
    rounded: bool = False
    rising: bool = False

    @property
    def structure(self) -> HoneycombLattice:
        """Return the lattice with t = 1, whose energy is s."""
        return HoneycombLattice(1.0, 0.0, 0.0, self.lattice_constant_nm, self.angle_rad)

    def line(self, most_wavenumber: float, step: float) -> Array:
        """From the bottom of the lower band to the top of the upper one; |ds/dk| is at most a sqrt(3) / 2."""
        count = 2 * int(np.ceil(6.0 / (0.5 * np.sqrt(3) * self.lattice_constant_nm * step))) + 1
        return np.linspace(-3.0, 3.0, count)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """Around the zone's corner for |s| < 1, around its centre above: half the wave vectors of scattering within one of them."""
        found = np.full((s.size, angles.size), np.nan)
        corner = 4 * np.pi / (3 * self.lattice_constant_nm)
        near = (np.abs(s) < 1) & (np.abs(s) > 0)
        far = (np.abs(s) >= 1) & (np.abs(s) < 3)
        # From the corner |f| rises, up to 1 half-way to the next corner; from the centre it falls, up to the zone's boundary.
        if near.any():
            found[near] = self._radius(np.abs(s[near]), angles, (corner, self.angle_rad), 0.5 * corner, rises=True)
        if far.any():
            found[far] = self._radius(np.abs(s[far]), angles, (0.0, 0.0), 0.5 * np.sqrt(3) * corner, rises=False)
        return found

    def _radius(self, s: Array, angles: Array, centre: tuple[float, float], reach: float, rises: bool) -> Array:
        """Return the distance from a centre, (length, direction), at which |f| is s, (s, angles), by bisection."""
        x, y = centre[0] * np.cos(centre[1]), centre[0] * np.sin(centre[1])
        low, high = np.zeros((s.size, angles.size)), np.full((s.size, angles.size), reach)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            size = self.structure.energies_mev(x + middle * np.cos(angles), y + middle * np.sin(angles))[1]
            beyond = (size > s[:, None]) == rises
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return np.asarray(0.5 * (low + high))

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """The square of G_AA + G_BA."""
        z = space.lasting(s[0], np.full(s.shape[1], 0.5 * np.sqrt(3) * self.lattice_constant_nm))
        grid = space.square
        window = np.exp(-(grid.kx**2 + grid.ky**2) * float(shape[0]) ** 2)
        made = []
        for one in z:
            ((_, amplitude),) = self.structure.amplitudes(complex(one), grid.kx, grid.ky)
            made.append(grid.places_of(amplitude * window) ** 2)
        return space.near_one_over_r(np.stack(made))[None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """t, the energy where both bands touch, and the tip's width."""
        slope = float((ends[0, 1] - ends[0, 0]) / (energies[1] - energies[0]))
        return {
            "hopping_mev": 1.0 / slope,
            "dirac_energy_mev": float(energies[0] - ends[0, 0] / slope),
            "tip_nm": float(shape[0]),
        }
