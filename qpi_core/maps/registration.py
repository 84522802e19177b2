"""Sub-pixel shifts between maps of the same place, found from the maps themselves.

Two maps, levelled and tapered, are compared by their cross-correlation; its largest magnitude gives the shift (a pattern may change its
sign between two energies). Source: Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33, 156 (2008), as scikit-image has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qpi_core.maps.preparation.levelling import level

Array = NDArray[np.float64]

_UPSAMPLING, _ROUNDS = 50, 4
MOST_SHIFT = 0.3
"""Share of a side beyond which a shift is not believed."""
LEAST_CORRELATION = 0.1
_SIGMAS = 6.0


@dataclass(frozen=True)
class Shift:
    """How a map lies relative to another one.

    Attributes:
        dy, dx: px: what lies at (x, y) of the reference lies at (x + dx, y + dy) of the map.
        correlation: of both, where they overlap once the shift is undone; its sign is that of the contrast.
        trusted: whether it stands out of what maps without anything in common would give.
    """

    dy: float
    dx: float
    correlation: float
    trusted: bool


def find_shift(reference: NDArray[np.floating], other: NDArray[np.floating]) -> Shift:
    """Return the shift of a map relative to a reference of the same shape, (height, width); NaN where not measured."""
    from skimage import registration

    compare: Any = registration.phase_cross_correlation
    first, second = _prepared(reference), _prepared(other)
    if not first.any() or not second.any():
        return Shift(0.0, 0.0, 0.0, False)
    height, width = reference.shape
    dy, dx = 0.0, 0.0
    for _ in range(_ROUNDS):
        # The taper stays with the frame, not with the pattern: once moved, the next shift is found without its pull towards zero.
        moved = _prepared(moved_back(other, dy, dx)) if dy or dx else second
        found, _, _ = compare(first, moved, upsample_factor=_UPSAMPLING, normalization=None)
        dy, dx = dy - float(found[0]), dx - float(found[1])
        if abs(dy) > MOST_SHIFT * height or abs(dx) > MOST_SHIFT * width:
            return Shift(dy, dx, 0.0, False)
        if max(abs(float(found[0])), abs(float(found[1]))) <= 1 / _UPSAMPLING:
            break
    correlation, count = _correlation(first, moved_back(second, dy, dx))
    return Shift(dy, dx, correlation, abs(correlation) > max(LEAST_CORRELATION, _SIGMAS / np.sqrt(max(count, 1))))


def moved_back(values: NDArray[np.floating], dy: float, dx: float) -> Array:
    """Return a map with a shift undone, by cubic splines; NaN where nothing was measured, or lies beyond the map's edge."""
    known = np.isfinite(values)
    filled = np.where(known, values, np.nanmean(values))
    moved = ndimage.shift(filled.astype(np.float64), (-dy, -dx), order=3, mode="nearest")
    seen = ndimage.shift(known.astype(np.float64), (-dy, -dx), order=1, mode="constant", cval=0.0)
    return np.asarray(np.where(seen > 1 - 1e-6, moved, np.nan))


def _prepared(values: NDArray[np.floating]) -> Array:
    """Return a map without its plane, in units of its spread, brought to zero at its edges and where it was not measured."""
    flat = level(np.asarray(values, dtype=np.float64), "plane")
    spread = float(np.nanstd(flat))
    taper = np.outer(*(np.hanning(side + 2)[1:-1] for side in flat.shape))
    return np.asarray(np.nan_to_num(flat / spread if spread > 0 else flat * 0.0) * np.sqrt(taper))


def _correlation(first: Array, second: Array) -> tuple[float, int]:
    there = np.isfinite(first) & np.isfinite(second)
    if there.sum() < 16:
        return 0.0, 0
    a, b = first[there] - first[there].mean(), second[there] - second[there].mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return (float(a @ b) / size if size > 0 else 0.0), int(there.sum())
