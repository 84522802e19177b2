"""Pixel grids: where the centre is, coordinates in pixels and nm, wave-vector axes.

One convention everywhere: a window of n pixels has its centre (r = 0, or q = 0) at index n // 2, and positions are
(x, y) in pixels with 0 at the centre of the first pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import require_pixel_size

DEFAULT_PIXEL_SIZE_NM = 10 / 64
"""Pitch of the paper's scenes: 10 nm in 64 pixels."""
CENTRE_PX = 0.005
"""Distance from a defect, in px, up to which a direction means nothing: theta is 0 there, as arctan2 has it at the centre itself.

Eq. 7 has no limit at its centre. A defect found 1e-5 px beside a pixel would have any value there, and its map none of the kernel's.
"""


def kernel_offsets(size: int) -> NDArray[np.int64]:
    """Return the pixel offsets of a window from its centre: arange(size) - size // 2."""
    return np.arange(size, dtype=np.int64) - size // 2


def kernel_coordinates(size: int, pixel_size_nm: float | tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (x, y) in nm of every pixel of a (size, size) kernel window, both of shape (size, size)."""
    dy, dx = require_pixel_size(pixel_size_nm)
    offsets = kernel_offsets(size).astype(np.float64)
    y, x = np.meshgrid(offsets * dy, offsets * dx, indexing="ij")
    return x, y


def kernel_polar(size: int, pixel_size_nm: float | tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (r in nm, theta in rad) of every pixel of a kernel window; theta runs from +x towards +y (downwards)."""
    x, y = kernel_coordinates(size, pixel_size_nm)
    return np.hypot(x, y), np.arctan2(y, x)


def q_axis(size: int, pixel_size_nm: float) -> NDArray[np.float64]:
    """Return the wave vectors of a fftshifted spectrum in rad/nm (2 pi included), zero at index size // 2."""
    return 2 * np.pi * np.fft.fftshift(np.fft.fftfreq(size, d=pixel_size_nm))


def px_to_nm(positions: ArrayLike, pixel_size_nm: float | tuple[float, float]) -> NDArray[np.float64]:
    """Return (n, 2) positions (x, y) in nm from positions in pixels."""
    dy, dx = require_pixel_size(pixel_size_nm)
    return np.multiply(np.asarray(positions, dtype=np.float64), [dx, dy], dtype=np.float64)


def nm_to_px(positions: ArrayLike, pixel_size_nm: float | tuple[float, float]) -> NDArray[np.float64]:
    """Return (n, 2) positions (x, y) in pixels from positions in nm."""
    dy, dx = require_pixel_size(pixel_size_nm)
    with np.errstate(over="ignore"):  # becomes infinite, which every check of positions tells
        return np.divide(np.asarray(positions, dtype=np.float64), [dx, dy], dtype=np.float64)


def central_crop(window: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the central (size, size) part of a square window, centre index onto centre index (no copy).

    Raises:
        ValueError: the window is smaller than size.
    """
    start = window.shape[-1] // 2 - size // 2
    if start < 0 or start + size > window.shape[-1]:
        raise ValueError(f"cannot crop {size} pixels out of a window of {window.shape[-1]}.")
    return window[..., start : start + size, start : start + size]
