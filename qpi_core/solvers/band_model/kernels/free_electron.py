"""The kernel of a point defect in a free-electron-like band, as a function of its parameters.

    delta rho(r, E) = -(1/pi) Im [T(E) G(r, E)^2],   G ~ H_0^(1)(kappa r),   kappa^2 = (2 m / hbar^2) (E - E0 + i Gamma),   Im kappa > 0

and a mean free path l multiplies it by exp(-r / l). T(E), complex, holds strength and phase of the scattering: two linear amplitudes a
layer, of the real and the imaginary part of H_0^2. Below the edge the wave does not run but dies out, by the same formula. Inside the
core, a radius of a few pixels, the defect itself is seen: there a profile is free.

Sources: Crommie, Lutz, Eigler, Nature 363, 524 (1993); Buergi, Petersen, Brune, Kern, Surf. Sci. 447, L157 (2000); Fiete, Heller, Rev.
Mod. Phys. 75, 933 (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.solvers.harmonic.equations.basis import RadialSplines

Array = NDArray[np.float64]

_FLOOR_PX = 1.2
LEAST_WAVENUMBER = 1e-3
ROUNDING_PX2, ROUNDING_SPREAD_PX2 = 0.125, 0.125
"""Mean and deviation of the prior of the rounding: a point, and half a pixel, are one deviation from the mean."""


@dataclass(frozen=True)
class FreeElectronBand:
    """E = E0 + hbar^2 k^2 / (2 m).

    Attributes:
        band_edge_mev: E0.
        effective_mass: m in electron masses; negative for a hole-like band.
        broadening_mev: Gamma > 0, half width of a state.
        inverse_mean_free_path: 1 / l in 1/nm, >= 0.
    """

    band_edge_mev: float
    effective_mass: float
    broadening_mev: float
    inverse_mean_free_path: float

    def wavenumbers(self, energy_mev: Array) -> NDArray[np.complex128]:
        """Return kappa in rad/nm, (n,)."""
        squared = self.effective_mass / HBAR2_OVER_2M_MEV_NM2 * (energy_mev - self.band_edge_mev + 1j * self.broadening_mev)
        kappa = np.sqrt(squared.astype(np.complex128))
        return np.asarray(np.where(kappa.imag < 0, -kappa, kappa))


def rounded_radii(splines: RadialSplines, pitch_nm: float, rounding_px2: float = ROUNDING_PX2) -> Array:
    """Return (nodes,) the radii in nm at which waves are taken: finite, and smooth enough for the splines, inside the core."""
    outside = np.maximum(splines.nodes**2 + rounding_px2, 0.0)
    return np.asarray(pitch_nm * (outside**4 + _FLOOR_PX**8) ** 0.125)


def running(kappa: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return wave numbers that a Hankel function can take: Im > 0, and away from 0."""
    outward = np.where(kappa.imag < 0, -kappa, kappa)
    return np.asarray(np.where(np.abs(outward) < LEAST_WAVENUMBER, 1j * LEAST_WAVENUMBER, outward))


def wave_columns(
    kappa: NDArray[np.complex128],
    inverse_mean_free_path: float,
    splines: RadialSplines,
    pitch_nm: float,
    rounding_px2: float = ROUNDING_PX2,
) -> Array:
    """Return spline coefficients of the real and imaginary part of H_0^(1)(kappa r)^2 exp(-r / l), (n, c, 2), largest value near 1.

    Args:
        kappa: (n,) rad/nm, Im > 0.
        inverse_mean_free_path: 1/nm.
        splines: radial basis, lengths in pixels.
        pitch_nm: length of that pixel.
        rounding_px2: u of r -> sqrt(r^2 + u), what a defect and a pixel of finite size do to the wave just outside the core.
    """
    radii, safe = rounded_radii(splines, pitch_nm, rounding_px2), running(kappa)
    waves = hankel1(0, safe[:, None] * radii) ** 2 * np.exp(-radii * inverse_mean_free_path)
    waves *= np.abs(safe[:, None])
    coefficients = waves @ splines.interpolation.T
    return np.stack([coefficients.real, coefficients.imag], axis=-1)


def core_columns(splines: RadialSplines, core_px: float) -> Array:
    """Return the spline coefficients that are free inside the core, (c, count)."""
    count = int(np.ceil(core_px / splines.step)) + 3
    return np.eye(splines.count)[:, :count]
