"""Bands with circular contours, whose waves are Hankel functions: free electrons, a Dirac cone, two parabolas at once.

    free electrons   G ~ H_0(kappa r),                    kappa^2 = s
    Dirac cone       G ~ H_0(kappa r) + (s . r) H_1 ...,  kappa = s: patterns H_0^2 and H_1^2, whose weights tell what the defect does
    two parabolas    T_ab G_a G_b: patterns H_0(kappa_a r) H_0(kappa_b r) of every pair

Sources: Crommie, Lutz, Eigler, Nature 363, 524 (1993); Bena, Phys. Rev. Lett. 100, 076601 (2008) (Dirac cones).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2, MEV_NM_IN_KM_PER_S
from qpi_core.solvers.band_model.families.family import ShapeNumber
from qpi_core.solvers.band_model.kernels.free_electron import running
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace, Patterns

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_BELOW_THE_EDGE = 0.7


def circle(k: Array, angles: Array) -> Array:
    """Return radii of circles, (k, angles); NaN for k <= 0."""
    return np.broadcast_to(np.where(k > 0, k, np.nan)[:, None], (k.size, angles.size))


def parabola_numbers(energies: tuple[float, float], ends: Array) -> tuple[float, float]:
    """Return band edge in meV and effective mass of k^2 at two energies."""
    slope = (ends[1] - ends[0]) / (energies[1] - energies[0])
    return float(energies[0] - ends[0] / slope), float(HBAR2_OVER_2M_MEV_NM2 * slope)


@dataclass(frozen=True)
class FreeElectrons:
    """E = E0 + hbar^2 k^2 / (2 m)."""

    name: str = "free-electron"
    title: str = "free-electron-like band"
    orders: tuple[int, ...] = (0,)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = ()
    rounded: bool = True
    rising: bool = False

    def line(self, most_wavenumber: float, step: float) -> Array:
        """k^2, negative below the edge."""
        k = np.arange(-_BELOW_THE_EDGE * most_wavenumber, most_wavenumber, step)
        return np.asarray(np.sign(k) * k**2)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """sqrt(s)."""
        return circle(np.sqrt(np.maximum(s, 0.0)), angles)

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """|kappa| H_0(kappa r)^2."""
        kappa, radii = running(np.sqrt(s[0])), space.radii(rounding_px2)
        return np.asarray(np.abs(kappa[:, None]) * hankel1(0, kappa[:, None] * radii) ** 2)[None, :, :, None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """E0 and m."""
        edge, mass = parabola_numbers(energies, ends[0])
        return {"band_edge_mev": edge, "effective_mass": mass}


@dataclass(frozen=True)
class DiracCone:
    """E = E_D +- hbar v k."""

    name: str = "dirac"
    title: str = "linear (Dirac) band"
    orders: tuple[int, ...] = (0,)
    bands: int = 1
    shape: tuple[ShapeNumber, ...] = ()
    rounded: bool = True
    rising: bool = True

    def line(self, most_wavenumber: float, step: float) -> Array:
        """k, negative below the Dirac point."""
        return np.arange(-most_wavenumber, most_wavenumber, step)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """|s|."""
        return circle(np.abs(s), angles)

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """|kappa| H_0(kappa r)^2 and |kappa| H_1(kappa r)^2: without and with what turns when an electron is scattered back."""
        kappa, radii = running(np.where(s[0].real < 0, -s[0].conj(), s[0])), space.radii(rounding_px2)
        waves = np.stack([hankel1(order, kappa[:, None] * radii) for order in (0, 1)])
        return np.asarray(np.abs(kappa[:, None]) * waves**2)[..., None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """Dirac energy and velocity."""
        slope = float((ends[0, 1] - ends[0, 0]) / (energies[1] - energies[0]))
        return {"dirac_energy_mev": float(energies[0] - ends[0, 0] / slope), "velocity_km_per_s": MEV_NM_IN_KM_PER_S / abs(slope)}


@dataclass(frozen=True)
class TwoParabolas:
    """Two free-electron-like bands that one defect scatters into each other."""

    name: str = "two-bands"
    title: str = "pair of free-electron-like bands"
    orders: tuple[int, ...] = (0,)
    bands: int = 2
    shape: tuple[ShapeNumber, ...] = ()
    rounded: bool = True
    rising: bool = False

    def line(self, most_wavenumber: float, step: float) -> Array:
        """k^2 of each, negative below the edge."""
        return FreeElectrons().line(most_wavenumber, step)

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """sqrt(s) of one of them."""
        return FreeElectrons().contour(s, shape, angles)

    def patterns(self, s: Waves, shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """H_0(kappa_a r) H_0(kappa_b r) of the pairs aa, ab, bb."""
        kappa, radii = running(np.sqrt(s)), space.radii(rounding_px2)
        first, second = np.sqrt(np.abs(kappa[..., None])) * hankel1(0, kappa[..., None] * radii)
        return np.stack([first**2, first * second, second**2])[..., None]

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """E0 and m of both, the one of the larger contour first."""
        found = [parabola_numbers(energies, one) for one in ends[np.argsort(-ends.sum(axis=1))]]
        return {f"{name}_{n}": value for n, pair in enumerate(found, 1) for name, value in zip(_EDGE_AND_MASS, pair, strict=True)}


_EDGE_AND_MASS = ("band_edge_mev", "effective_mass")
