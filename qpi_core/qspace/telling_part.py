"""Which part of q-space holds a kernel: one of many pixels is a dot in the middle of all that its pixels resolve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.qspace.view import ZOOMS

_LEAST_SHARE = 0.999
_LEAST_PIXELS = 12


def telling_zoom(kernel: ArrayLike) -> int:
    """Return how far a picture of a kernel's spectrum is to be zoomed in at first.

    The largest of qpi_core.qspace.view.ZOOMS whose inner 1/zoom of the wave vectors holds 99.9 % of the power,

        sum over |q_x|, |q_y| <= q_N / zoom of |F|^2 >= 0.999 sum of |F|^2,

    q = 0 left out (a constant says nothing), and still reaches twelve pixels from there. F is that of the kernel under a Hann window:
    without one the steps at the edges of the kernel send lines through all of q-space.

    Args:
        kernel: (k, k), centre at index k // 2.
    """
    magnitude = fft_magnitude(kernel, "hann")
    half = magnitude.shape[0] // 2
    distance = np.abs(np.arange(magnitude.shape[0]) - half)
    farther = np.maximum(distance[:, None], distance[None, :])
    power = np.where(farther > 0, magnitude**2, 0.0)
    inside = np.cumsum(np.bincount(farther.ravel(), weights=power.ravel()))
    fitting = [zoom for zoom in ZOOMS if half // zoom >= _LEAST_PIXELS and inside[half // zoom] >= _LEAST_SHARE * inside[-1]]
    return max(fitting, default=1)
