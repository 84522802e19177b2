"""Tight-binding bands on the square, the triangular and the honeycomb lattice.

    E(k) = -t sum_{nearest} cos(k . d) - t' sum_{next nearest} cos(k . d) - mu   (one orbital a cell)

Source: Economou, Green's Functions in Quantum Physics, ch. 5; honeycomb: Castro Neto et al., Rev. Mod. Phys. 81, 109 (2009), eq. 5.
See band_structures.py for the conventions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import Amplitudes, Waves, require_in_range


def _directions(count: int, first: float) -> NDArray[np.float64]:
    """Return `count` unit vectors spread over half a turn; the other half are their negatives."""
    angles = first + np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@dataclass(frozen=True)
class _Lattice:
    """Parameters that all lattices share.

    Attributes:
        hopping_mev: t between nearest neighbours; positive puts the bottom of the band at the zone centre.
        second_hopping_mev: t' between next-nearest neighbours.
        chemical_potential_mev: mu, so that energies count from the Fermi level.
        lattice_constant_nm: a, the length of the primitive vectors.
        angle: rad, of the first primitive vector.

    Raises:
        InputError: a value outside its range.
    """

    hopping_mev: float = 100.0
    second_hopping_mev: float = 0.0
    chemical_potential_mev: float = 0.0
    lattice_constant_nm: float = 0.4
    angle: float = 0.0

    symmetry_order: ClassVar[int]
    _PRIMITIVE_ANGLE: ClassVar[float]

    def __post_init__(self) -> None:
        require_in_range("hopping_mev", abs(self.hopping_mev), 1e-3, 1e5, "meV")
        require_in_range("second_hopping_mev", self.second_hopping_mev, -1e5, 1e5, "meV")
        require_in_range("chemical_potential_mev", self.chemical_potential_mev, -1e6, 1e6, "meV")
        require_in_range("lattice_constant_nm", self.lattice_constant_nm, 0.1, 5.0, "nm")
        require_in_range("angle", self.angle, -100.0, 100.0, "rad")

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """Primitive vectors in nm as rows."""
        angles = self.angle + np.array([0.0, self._PRIMITIVE_ANGLE])
        return self.lattice_constant_nm * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def _cosines(self, kx: Waves, ky: Waves, count: int, first: float, distance_nm: float) -> Waves:
        """Return the sum of 2 cos(k . d) over one shell of neighbours (count pairs d, -d)."""
        shell = distance_nm * _directions(count, self.angle + first)
        return np.asarray(sum(2 * np.cos(kx * x + ky * y) for x, y in shell))


@dataclass(frozen=True)
class _OneOrbitalLattice(_Lattice):
    """A lattice with one orbital a cell: G0(k) = 1 / (z - E(k))."""

    _PAIRS: ClassVar[int]
    _SECOND_ANGLE: ClassVar[float]
    _SECOND_DISTANCE: ClassVar[float]

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies, shape (1, ...)."""
        a = self.lattice_constant_nm
        near = self._cosines(kx, ky, self._PAIRS, 0.0, a)
        energies = -self.hopping_mev * near - self.chemical_potential_mev
        if self.second_hopping_mev:
            energies = energies - self.second_hopping_mev * self._cosines(
                kx, ky, self._PAIRS, self._SECOND_ANGLE, a * self._SECOND_DISTANCE
            )
        return energies[None]

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return 1 / (z - E(q))."""
        return ((1.0, self.local(z, kx, ky)),)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return 1 / (z - E(q))."""
        return np.asarray(1.0 / (z - self.energies_mev(kx, ky)[0]))


@dataclass(frozen=True)
class SquareLattice(_OneOrbitalLattice):
    """Square lattice: E = -2 t (cos kx a + cos ky a) - 4 t' cos kx a cos ky a - mu."""

    symmetry_order = 4
    _PRIMITIVE_ANGLE = math.pi / 2
    _PAIRS = 2
    _SECOND_ANGLE = math.pi / 4
    _SECOND_DISTANCE = math.sqrt(2)


@dataclass(frozen=True)
class TriangularLattice(_OneOrbitalLattice):
    """Triangular lattice: six nearest neighbours at a, six next-nearest at sqrt(3) a, turned by 30 degrees."""

    symmetry_order = 6
    _PRIMITIVE_ANGLE = math.pi / 3
    _PAIRS = 3
    _SECOND_ANGLE = math.pi / 6
    _SECOND_DISTANCE = math.sqrt(3)


@dataclass(frozen=True)
class HoneycombLattice(_Lattice):
    """Honeycomb lattice: E = D(k) +- |h(k)|, h = -t sum_j exp(i k . d_j), D = -t' sum 2 cos - mu; the defect sits on an A site.

    The three d_j lead from A to its B neighbours, a / sqrt(3) away; the lattice around one site is 3-fold.
    """

    symmetry_order = 3
    _PRIMITIVE_ANGLE = math.pi / 3

    def _terms(self, kx: Waves, ky: Waves) -> tuple[Waves, NDArray[np.complex128]]:
        """Return D and h in meV."""
        angles = self.angle + np.pi / 6 + 2 * np.pi * np.arange(3) / 3
        bond = self.lattice_constant_nm / math.sqrt(3)
        h = -self.hopping_mev * sum(np.exp(1j * bond * (kx * math.cos(t) + ky * math.sin(t))) for t in angles)
        diagonal = np.full(np.shape(kx), -self.chemical_potential_mev)
        if self.second_hopping_mev:
            diagonal = diagonal - self.second_hopping_mev * self._cosines(kx, ky, 3, 0.0, self.lattice_constant_nm)
        return diagonal, np.asarray(h)

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies of the two bands, shape (2, ...)."""
        diagonal, h = self._terms(kx, ky)
        return np.stack([diagonal - np.abs(h), diagonal + np.abs(h)])

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return G_AA + G_BA: the tip adds up the orbitals of both sites.

        H_AB = h with the true positions in the phases, so H_BA = conj(h), and the same formula holds in every zone.
        """
        diagonal, h = self._terms(kx, ky)
        shifted = z - diagonal
        return ((1.0, np.asarray((shifted + np.conj(h)) / (shifted**2 - np.abs(h) ** 2))),)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return G_AA = (z - D) / ((z - D)^2 - |h|^2)."""
        diagonal, h = self._terms(kx, ky)
        return np.asarray((z - diagonal) / ((z - diagonal) ** 2 - np.abs(h) ** 2))
