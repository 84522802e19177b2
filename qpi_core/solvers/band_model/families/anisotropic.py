"""Bands whose contours are no circles: an ellipse, a hexagonally warped parabola, a topological surface state.

    elliptic      s = k_along^2 / sqrt(ratio) + k_across^2 sqrt(ratio)
    hexagonal     s = k^2 (1 - 2 eta cos 6(phi - angle)):  k = sqrt(s) (1 + eta cos 6(phi - angle)) to first order
    topological   s = sqrt(k^2 + (w / v)^2 k^6 cos^2 3(phi - angle)), with the spin's matrix elements

Sources: Petersen et al., Phys. Rev. B 57, R6858 (1998) (anisotropic surface states); Fu, Phys. Rev. Lett. 103, 266801 (2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2, MEV_NM_IN_KM_PER_S
from qpi_core.solvers.band_model.families.family import TIP, ShapeNumber
from qpi_core.solvers.band_model.families.isotropic import DiracCone, FreeElectrons
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace, Patterns
from qpi_core.synthesis.bands.band_structures import EllipticBand as ParabolicBand
from qpi_core.synthesis.bands.band_structures import WarpedBand
from qpi_core.synthesis.bands.hexagonal import HexagonalParabola

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_MOST_RATIO = 4.0
_MOST_WARPING = 0.3
_SIXTH = np.pi / 3
_SIX_FOLD_ANGLE = ShapeNumber("angle_rad", 0.0, _SIXTH, (0.0, _SIXTH / 4, _SIXTH / 2, 3 * _SIXTH / 4), 0.07)


@dataclass(frozen=True)
class EllipticBand:
    """E = E0 + hbar^2 / (2 m) (k_along^2 / sqrt(ratio) + k_across^2 sqrt(ratio)); ratio is given by its logarithm."""

    name: str = "elliptic"
    title: str = "band with elliptic contours"
    orders: tuple[int, ...] = (0, 2, 4, 6)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = (
        ShapeNumber("log_ratio", 0.0, float(np.log(_MOST_RATIO)), (0.3, 0.8), 0.1),
        ShapeNumber("angle_rad", 0.0, np.pi, tuple(np.pi * np.arange(4) / 4), 0.2),
        TIP,
    )
    rounded: bool = False
    rising: bool = False

    def line(self, most_wavenumber: float, step: float) -> Array:
        """The square of the geometric mean of the half axes."""
        return FreeElectrons().line(most_wavenumber, step)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """The ellipse."""
        stretch = np.exp(0.5 * shape[0])
        across = np.cos(angles - shape[1]) ** 2 / stretch + np.sin(angles - shape[1]) ** 2 * stretch
        return np.asarray(np.sqrt(np.where(s > 0, s, np.nan))[:, None] / np.sqrt(across))

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """The square of the Green's function."""
        z = space.lasting(s[0], 2 * np.sqrt(np.abs(s[0])))
        # A mass of hbar^2 / 2 makes s the energy.
        band = ParabolicBand(0.0, HBAR2_OVER_2M_MEV_NM2, float(np.exp(max(shape[0], 0.0))), float(shape[1]))
        return space.near_one_over_r(space.polar.pattern(band, z, space.polar.through_tip(shape[2])))[None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """E0, m (geometric mean), ratio m_along / m_across and direction of the long axis of the contour."""
        found = FreeElectrons().numbers(energies, ends, shape)
        return {**found, "mass_ratio": float(np.exp(shape[0])), "angle_rad": float(shape[1]), "tip_nm": float(shape[2])}


@dataclass(frozen=True)
class HexagonalBand:
    """E = E0 + hbar^2 k^2 / (2 m) (1 - 2 eta cos 6(phi - angle))."""

    name: str = "hexagonal"
    title: str = "parabola with hexagonally warped contours"
    orders: tuple[int, ...] = (0, 6, 12)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = (
        ShapeNumber("warping", 0.0, _MOST_WARPING, (0.03, 0.1), 0.02),
        _SIX_FOLD_ANGLE,
        TIP,
    )
    rounded: bool = False
    rising: bool = False

    def line(self, most_wavenumber: float, step: float) -> Array:
        """The square of the mean radius."""
        return FreeElectrons().line(most_wavenumber, step)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """sqrt(s / (1 - 2 eta cos 6(phi - angle)))."""
        across = 1 - 2 * shape[0] * np.cos(6 * (angles - shape[1]))
        return np.asarray(np.sqrt(np.where(s > 0, s, np.nan))[:, None] / np.sqrt(across))

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """The square of the Green's function."""
        z = space.lasting(s[0], 2 * np.sqrt(np.abs(s[0])))
        band = HexagonalParabola(0.0, HBAR2_OVER_2M_MEV_NM2, float(shape[0]), float(shape[1]))
        made = space.polar.pattern(band, z, space.polar.through_tip(shape[2]))
        return space.near_one_over_r(made)[None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """E0, m, eta and the direction in which the contour reaches furthest."""
        return {
            **FreeElectrons().numbers(energies, ends, shape),
            "warping": float(shape[0]),
            "angle_rad": float(shape[1]),
            "tip_nm": float(shape[2]),
        }


@dataclass(frozen=True)
class TopologicalSurfaceState:
    """E = E_D +- hbar v sqrt(k^2 + (w / v)^2 k^6 cos^2 3(phi - angle)), whose spin turns with k."""

    name: str = "topological"
    title: str = "topological surface state with hexagonally warped contours"
    orders: tuple[int, ...] = (0, 6, 12)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = (
        ShapeNumber("warping_over_velocity_nm2", 0.0, 4.0, (0.2, 0.5, 1.0, 2.0), 0.1),
        _SIX_FOLD_ANGLE,
        TIP,
    )
    rounded: bool = False
    rising: bool = True

    def line(self, most_wavenumber: float, step: float) -> Array:
        """k along a direction without warping, negative below the Dirac point."""
        return DiracCone().line(most_wavenumber, step)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """The root of x + (w / v)^2 cos^2 x^3 = s^2, x = k^2, by Newton's method from above."""
        cube = (shape[0] * np.cos(3 * (angles - shape[1]))) ** 2
        x = np.repeat((s**2)[:, None], angles.size, axis=1)
        for _ in range(30):
            x -= (x + cube * x**3 - (s**2)[:, None]) / (1 + 3 * cube * x**2)
        return np.asarray(np.sqrt(np.maximum(x, 0.0)))

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """Half the trace of G(r) G(-r)."""
        z = space.lasting(s[0], np.ones(s.shape[1]))
        made = space.polar.pattern(WarpedBand(0.0, 1.0, float(shape[0]), float(shape[1])), z, space.polar.through_tip(shape[2]))
        return space.near_one_over_r(made)[None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """Dirac energy, v, w and the direction of a tip of the snowflake's short axis."""
        cone = DiracCone().numbers(energies, ends, shape)
        warping = float(shape[0]) * cone["velocity_km_per_s"] / MEV_NM_IN_KM_PER_S
        return {**cone, "warping_mev_nm3": warping, "angle_rad": float(shape[1]), "tip_nm": float(shape[2])}
