"""Which part of q-space holds a kernel: one of many pixels is a dot in the middle of all that its pixels resolve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.qspace.view import ZOOMS

_LEAST_SHARE = 0.999
_LEAST_PIXELS = 12


def telling_zoom(magnitude: NDArray[np.floating], pixels: int = 1) -> int:
    """Return how far a picture of a spectrum is to be zoomed in at first.

    The largest of qpi_core.qspace.view.ZOOMS whose inner 1/zoom of the wave vectors holds 99.9 % of the power,

        sum over |q_x|, |q_y| <= q_N / zoom of |F|^2 >= 0.999 sum of |F|^2,

    q = 0 left out (a constant says nothing), and still reaches twelve pixels of the kernel's own q grid from there.

    Args:
        magnitude: (m, m) |F|, q = 0 at index m // 2.
        pixels: of the finer grid of a zero-padded transform in one of the kernel's own.
    """
    side = magnitude.shape[0]
    distance = np.abs(np.arange(side) - side // 2)
    farther = np.maximum(distance[:, None], distance[None, :])
    power = np.where(farther >= pixels, magnitude.astype(np.float64) ** 2, 0.0)
    inside = np.cumsum(np.bincount(farther.ravel(), weights=power.ravel()))
    fitting = [
        zoom for zoom in ZOOMS if side // 2 // zoom >= _LEAST_PIXELS * pixels and inside[side // 2 // zoom] >= _LEAST_SHARE * inside[-1]
    ]
    return max(fitting, default=1)
