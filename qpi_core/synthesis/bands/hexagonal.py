"""A parabola whose contours are hexagonally warped, as of surface states of close-packed metals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.synthesis.bands.band_structures import Amplitudes, Waves, require_in_range


@dataclass(frozen=True)
class HexagonalParabola:
    """E = E0 + hbar^2 k^2 / (2 m) (1 - 2 eta cos 6(phi - angle)); k = k_0 (1 + eta cos 6(phi - angle)) to first order in eta.

    Attributes:
        band_edge_mev: E0.
        effective_mass: m in electron masses; negative for a hole band.
        warping: eta, 0 to 0.45.
        angle: rad, a direction in which the contour reaches furthest.

    Raises:
        InputError: a value outside its range.
    """

    band_edge_mev: float = -65.0
    effective_mass: float = 0.40
    warping: float = 0.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        require_in_range("band_edge_mev", self.band_edge_mev, -1e5, 1e5, "meV")
        require_in_range("effective_mass", abs(self.effective_mass), 1e-3, 1e3, "electron masses")
        require_in_range("warping", self.warping, 0.0, 0.45, "")
        require_in_range("angle", self.angle, -100.0, 100.0, "rad")

    @property
    def symmetry_order(self) -> int:
        """6, or 0 without warping."""
        return 6 if self.warping > 0 else 0

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """None: a continuum."""
        return None

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies, shape (1, ...)."""
        sixfold = np.cos(6 * (np.arctan2(ky, kx) - self.angle))
        curvature = HBAR2_OVER_2M_MEV_NM2 / self.effective_mass
        return np.asarray(self.band_edge_mev + curvature * (kx**2 + ky**2) * (1 - 2 * self.warping * sixfold))[None]

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return 1 / (z - E(q))."""
        return ((1.0, self.local(z, kx, ky)),)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return 1 / (z - E(q))."""
        return np.asarray(1.0 / (z - self.energies_mev(kx, ky)[0]))
