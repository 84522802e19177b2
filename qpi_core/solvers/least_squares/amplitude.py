"""Amplitude and background of a kernel of known shape, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fit_amplitude(observation: NDArray[np.float32], prediction: NDArray[np.float32], signed: bool = True) -> tuple[float, float]:
    """Return (scale, background) that minimise |observation - scale * prediction - background|^2 over the measured pixels.

    Args:
        observation: (height, width), NaN where not measured.
        prediction: (height, width), A*M with the kernel's shape in arbitrary units.
        signed: allow a negative scale; otherwise a negative one becomes 0.
    """
    measured = np.isfinite(observation)
    y, p = observation[measured].astype(np.float64), prediction[measured].astype(np.float64)
    centred = p - p.mean()
    power = float(centred @ centred)
    # A flat prediction (relative to rounding) says nothing about the amplitude.
    scale = float(centred @ (y - y.mean())) / power if power > 1e-14 * float(p @ p) + 1e-300 else 0.0
    if not signed:
        scale = max(0.0, scale)
    return scale, float(y.mean() - scale * p.mean())
