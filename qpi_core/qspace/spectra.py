"""Kernels in q-space: Fourier transform, axes, radial average, line cut.

A kernel is centred at its pixel k // 2. That pixel is the origin of the phase, so a kernel that is even about it has a real
transform. Spectra are stored with q = 0 at index n // 2, and q is in rad/nm (2 pi included).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from qpi_core.base.errors import InputError
from qpi_core.base.grid import q_axis
from qpi_core.base.validation import require_pixel_size, require_real_image

WINDOWS = ("none", "hann", "tukey")
MAX_PADDED_SIZE = 4096
TUKEY_TAPER = 0.5
"""Fraction of a Tukey window that is tapered (0 is no window, 1 is Hann)."""


@dataclass(frozen=True)
class Profile:
    """Values along one wave-vector axis.

    Attributes:
        q: (n,) rad/nm, ascending.
        values: (n,) the profile; NaN where no sample of the spectrum lies.
    """

    q: NDArray[np.float64]
    values: NDArray[np.float64]


def kernel_window(shape: tuple[int, int], window: str) -> NDArray[np.float64]:
    """Return the separable window of a kernel, largest (1) at the centre pixel n // 2 of both axes.

    Raises:
        InputError: an unknown window.
    """
    if window not in WINDOWS:
        raise InputError(f"window must be one of {', '.join(WINDOWS)}, but it is {window!r}.")
    if window == "none":
        return np.ones(shape)
    # scipy.signal takes a second to import, and most spectra have no window.
    from scipy.signal.windows import get_window

    kind: Any = ("tukey", TUKEY_TAPER) if window == "tukey" else window
    # A periodic window peaks at n // 2 for an even n, a symmetric one for an odd n.
    rows, columns = (get_window(kind, side, fftbins=side % 2 == 0) for side in shape)
    return np.asarray(np.outer(rows, columns))


def kernel_fft(kernel: ArrayLike, window: str = "none", padded_size: int | None = None) -> NDArray[np.complex128]:
    """Return the discrete Fourier transform of a kernel, q = 0 in the middle, phase origin at the kernel's centre pixel.

    F(q) = sum over pixels of A(d) exp(-i q d), with d the offset from pixel k // 2: no factor for the pixel's area.

    Args:
        kernel: (height, width), finite.
        window: one of WINDOWS, multiplied in before the transform.
        padded_size: side in pixels after zero padding (a finer q grid, no more information); None for none.

    Raises:
        InputError: not a finite 2-D array, an unknown window, or a padded size below the kernel's or above MAX_PADDED_SIZE.
    """
    values = require_real_image(kernel, "kernel")
    height, width = values.shape
    values = values * kernel_window((height, width), window)
    if padded_size is not None:
        values = _zero_pad(values, padded_size)
    return np.asarray(scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(values))))


def fft_magnitude(kernel: ArrayLike, window: str = "none", padded_size: int | None = None) -> NDArray[np.float64]:
    """Return |F(q)| of a kernel; arguments and errors as `kernel_fft`."""
    return np.abs(kernel_fft(kernel, window, padded_size))


def q_axes(shape: tuple[int, int], pixel_size_nm: float | tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (q_y, q_x) in rad/nm of a spectrum with the given (height, width); zero at index n // 2 of each."""
    dy, dx = require_pixel_size(pixel_size_nm)
    return q_axis(shape[0], dy), q_axis(shape[1], dx)


def radial_average(spectrum: ArrayLike, pixel_size_nm: float | tuple[float, float]) -> Profile:
    """Average a real spectrum over rings around q = 0.

    The rings are as wide as the coarser of the two q steps, centred at its multiples, and end at the smaller of the two
    Nyquist wave vectors, so that every ring is complete.

    Args:
        spectrum: (height, width) real, q = 0 at index n // 2.
        pixel_size_nm: pitch of the kernel's grid, with zero padding unchanged.

    Raises:
        InputError: not a finite 2-D array, or a bad pixel size.
    """
    values = require_real_image(spectrum, "spectrum")
    q_y, q_x = q_axes((values.shape[0], values.shape[1]), pixel_size_nm)
    step = max(_step(q_y), _step(q_x))
    radius = np.hypot(q_y[:, None], q_x[None, :])
    ring = np.rint(radius / step).astype(np.int64)
    count = int(np.floor(min(-q_y[0], -q_x[0]) / step + 1e-9)) + 1
    inside = ring < count
    total = np.bincount(ring[inside], weights=values[inside], minlength=count)
    pixels = np.bincount(ring[inside], minlength=count)
    return Profile(np.arange(count, dtype=np.float64) * step, np.where(pixels > 0, total / np.maximum(pixels, 1), np.nan))


def line_cut(
    spectrum: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    angle: float = 0.0,
    width: float = 0.0,
) -> Profile:
    """Sample a real spectrum along a line through q = 0.

    Bilinear interpolation at steps of the finer q step; several parallel lines, a step apart, are averaged over the width.

    Args:
        spectrum: (height, width) real, q = 0 at index n // 2.
        pixel_size_nm: pitch of the kernel's grid.
        angle: direction in rad, from +q_x towards +q_y (downwards in the picture).
        width: full width of the averaged strip, rad/nm, >= 0; 0 is a single line.

    Returns:
        q from -q_max to q_max, where q_max is the longest radius that lies on the grid in both directions; NaN where
        part of the strip leaves the grid.

    Raises:
        InputError: not a finite 2-D array, a bad pixel size, angle or width.
    """
    values = require_real_image(spectrum, "spectrum")
    if not np.isfinite(angle):
        raise InputError(f"angle must be a finite number in rad, but it is {angle!r}.")
    if not (np.isfinite(width) and width >= 0):
        raise InputError(f"width must be a finite number of rad/nm that is not negative, but it is {width!r}.")
    q_y, q_x = q_axes((values.shape[0], values.shape[1]), pixel_size_nm)
    step_y, step_x = _step(q_y), _step(q_x)
    step = min(step_y, step_x)
    cosine, sine = np.cos(angle), np.sin(angle)
    reach = min(limit / abs(part) if abs(part) > 1e-12 else np.inf for limit, part in ((q_x[-1], cosine), (q_y[-1], sine)))
    half = int(np.floor(reach / step + 1e-9))
    q = np.arange(-half, half + 1, dtype=np.float64) * step
    side = int(np.floor(width / 2 / step + 1e-9))
    across = np.arange(-side, side + 1)[:, None] * step
    columns = (q * cosine - across * sine) / step_x + values.shape[1] // 2
    rows = (q * sine + across * cosine) / step_y + values.shape[0] // 2
    # Rounding must not push a sample on the border off the grid.
    samples = map_coordinates(values, np.round([rows, columns], 9), order=1, mode="constant", cval=np.nan)
    return Profile(q, samples.mean(axis=0))


def _step(axis: NDArray[np.float64]) -> float:
    return float(axis[1] - axis[0])


def _zero_pad(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Put the array into a (size, size) square of zeros, centre pixel onto centre pixel."""
    height, width = values.shape
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or not max(height, width) <= size <= MAX_PADDED_SIZE:
        least = max(height, width)
        raise InputError(f"padded_size must be a whole number from {least} (the kernel's side) to {MAX_PADDED_SIZE}, but it is {size!r}.")
    padded = np.zeros((size, size))
    top, left = size // 2 - height // 2, size // 2 - width // 2
    padded[top : top + height, left : left + width] = values
    return padded
