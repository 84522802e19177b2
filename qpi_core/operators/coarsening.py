"""Maps on fewer, larger pixels: means over blocks, and whether a pattern survives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_KEPT_POWER = 0.98
"""Share of a kernel's power that its means of f x f pixels must keep."""


def coarser_map(image: NDArray[np.floating], factor: int) -> Array:
    """Return the means over blocks of factor x factor pixels, NaN where less than half of a block was measured.

    Args:
        image: (height, width), NaN where not measured; what is missing to whole blocks counts as not measured.
        factor: side of a block in px, at least 1.
    """
    missing = [(0, -side % factor) for side in image.shape]
    padded = np.pad(np.asarray(image, dtype=np.float64), missing, constant_values=np.nan)
    measured = np.isfinite(padded)
    share = _block_means(measured.astype(np.float64), factor)
    total = _block_means(np.where(measured, padded, 0.0), factor)
    return np.where(share >= 0.5, total / np.maximum(share, 0.5), np.nan)


def coarser_positions(positions: ArrayLike, factor: int) -> Array:
    """Return (n, 2) positions in px of the coarser map: the centre of its first pixel lies at (factor - 1) / 2 of the fine one."""
    return (np.asarray(positions, dtype=np.float64) - (factor - 1) / 2) / factor


def coarser_pitch(pixel_size_nm: float | tuple[float, float] | None, factor: int) -> float | tuple[float, float] | None:
    """Return the pixel size in nm, one number or (dy, dx), of the coarser map."""
    if pixel_size_nm is None or isinstance(pixel_size_nm, (int, float)):
        return None if pixel_size_nm is None else factor * pixel_size_nm
    return factor * pixel_size_nm[0], factor * pixel_size_nm[1]


def keeps_pattern(kernels: Sequence[NDArray[np.floating]], factor: int) -> bool:
    """Say whether means of factor x factor pixels keep the power of these kernels, (k, k) each."""
    for kernel in kernels:
        side = len(kernel) // factor * factor
        fine = np.asarray(kernel[:side, :side], dtype=np.float64)
        coarse = _block_means(fine, factor)
        if factor**2 * float((coarse**2).sum()) < _KEPT_POWER * float((fine**2).sum()):
            return False
    return True


def _block_means(image: Array, factor: int) -> Array:
    """Return the means over blocks of an image whose sides are whole numbers of blocks."""
    height, width = image.shape
    means: Array = image.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    return means
