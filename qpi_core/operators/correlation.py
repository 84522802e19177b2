"""Correlation of a map with a kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def correlate_with_kernel(layer: Array, kernel: Array) -> Array:
    """Return sum_m layer(p + m) kernel(m) for every pixel p, (height, width).

    Args:
        layer: (height, width), taken as zero beyond its edges.
        kernel: (k, k); m counts from its centre, index k // 2.
    """
    after = kernel.shape[0] - 1 - kernel.shape[0] // 2
    # scipy.signal takes half a second to import, and most maps ask for no correlation.
    from scipy.signal import fftconvolve

    full = fftconvolve(layer, kernel[::-1, ::-1])
    return np.asarray(full[after : after + layer.shape[0], after : after + layer.shape[1]], dtype=np.float64)
