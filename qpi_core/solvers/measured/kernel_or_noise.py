"""A bound on what a noise model could gain, where a kernel of another shape explains the map already.

To look for background and coloured noise takes much longer than to find the kernel. Patterns that are tied to the defects are
explained better by a kernel than by any stationary noise, which knows their spectrum but not their places. What stationary noise of
any spectrum could gain on what the first stage leaves follows from the flatness of its periodogram (Whittle):

    sum_q log(mean power / smoothed power(q)) / 2,

less what white noise gives by chance. A kernel that gains decidedly more needs no rival.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]

_SMOOTHING_PX = 2.0
_DECISIVE = 1.3
"""Gain of the kernel over that of stationary noise from which on it is believed. Measured on seed 72000: 1.5 to 4.8 for kernels of many
orders on maps without a background, below 0.05 for noise with a short grain, which no kernel follows. A smooth background, which a kernel
can follow (1.0 to 1.6), has to be ruled out beforehand by its long waves."""


def stationary_gain(residual: Array) -> float:
    """Return the log likelihood that stationary noise of any smooth spectrum gains over white noise on a residual, (height, width)."""
    white = np.random.default_rng(0).standard_normal(residual.shape)
    return _flatness(np.nan_to_num(residual)) - _flatness(white)


def kernel_is_decisive(gain: float, residual: Array) -> bool:
    """Say whether a kernel's gain in log evidence over the first stage is beyond what any noise could gain on the first's residual."""
    return gain > _DECISIVE * stationary_gain(residual)


def _flatness(values: Array) -> float:
    power = np.abs(np.fft.fft2(values - values.mean())) ** 2 / values.size
    smooth = gaussian_filter(power, _SMOOTHING_PX, mode="wrap")
    return 0.5 * float(np.sum(np.log(power.mean() / np.maximum(smooth, 1e-12 * power.mean()))))
