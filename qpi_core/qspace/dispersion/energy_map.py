"""Energy against wave vector, E(q): |FFT| of every layer's kernel, averaged over rings or along a direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import Profile, fft_magnitude, line_cut, radial_average


@dataclass(frozen=True, eq=False)
class EnergyMap:
    """Radial spectra over energy.

    Attributes:
        energies: (energies,) bias in mV as given, ascending or not; the layer's number where it is not known.
        energies_known: whether they are energies.
        q: (m,) rad/nm, 2 pi included (rad/px without a pixel size), ascending from 0.
        magnitude: (energies, m) mean of |FFT| over the ring or across the cut, units of the kernel; NaN in layers without a kernel.
    """

    energies: NDArray[np.float64]
    energies_known: bool
    q: NDArray[np.float64]
    magnitude: NDArray[np.float64]


def energy_map(
    kernels: ArrayLike,
    bias_mv: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    window: str = "hann",
    angle: float | None = None,
    width: float = 0.0,
) -> EnergyMap:
    """Return the radial average of |FFT| of every kernel, or its cut along a direction.

    |FFT| of a kernel is the same at q and -q, so a cut starts at q = 0.

    Args:
        kernels: (energies, k, k), k at least 2; a layer with NaN gives a row of NaN.
        bias_mv: (energies,) in mV; None, or a value that is not finite, numbers the layers instead.
        pixel_size_nm: pitch, one number or (dy, dx); None gives q in rad/px.
        window: one of qpi_core.qspace.spectra.WINDOWS; without one the kernel's square edge adds to every ring.
        angle: direction of a cut, rad from +q_x towards +q_y (downwards); None averages over rings.
        width: full width of the strip that a cut averages over, rad/nm.

    Raises:
        InputError: shapes that do not fit, a bad pixel size, an unknown window, or a bad angle or width.
    """
    patterns = np.asarray(kernels)
    if patterns.ndim != 3 or not len(patterns) or min(patterns.shape[1:]) < 2 or patterns.dtype.kind not in "fiu":
        raise InputError(f"kernels must be real numbers of shape (energies, k, k), but the shape is {patterns.shape}.")
    energies = np.full(len(patterns), np.nan) if bias_mv is None else np.asarray(bias_mv, dtype=np.float64)
    if energies.shape != (len(patterns),):
        raise InputError(f"bias_mv must have shape ({len(patterns)},), one energy a layer, but it has shape {energies.shape}.")
    known = bool(np.isfinite(energies).all())
    pitch = 1.0 if pixel_size_nm is None else pixel_size_nm

    def profile(spectrum: NDArray[np.float64]) -> Profile:
        if angle is None:
            return radial_average(spectrum, pitch)
        cut = line_cut(spectrum, pitch, angle, width)
        return Profile(cut.q[len(cut.q) // 2 :], cut.values[len(cut.q) // 2 :])

    q = profile(np.zeros(patterns.shape[1:])).q
    rows = np.full((len(patterns), len(q)), np.nan)
    for row, pattern in zip(rows, patterns, strict=True):
        if np.isfinite(pattern).all():
            row[:] = profile(fft_magnitude(pattern, window)).values
    return EnergyMap(energies if known else np.arange(len(patterns), dtype=np.float64), known, q, rows)
