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

from qpi_core.solvers.harmonic.equations.normal_equations import StoredDesign
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.extension import held_out_errors
from qpi_core.solvers.harmonic.start import HarmonicStart

Array = NDArray[np.float64]

_SMOOTHING_PX = 2.0
DECISIVE_SHARE = 1.3
"""Gain of the kernel over that of stationary noise from which on it is believed. Measured on seed 72000: 1.5 to 4.8 for kernels of many
orders on maps without a background, below 0.05 for noise with a short grain, which no kernel follows. A smooth background, which a kernel
can follow (1.0 to 1.6), has to be ruled out beforehand by its long waves."""

_UNSEEN_EXCESS = 1.08
"""Mean square in parts of the map that a kernel has not seen over that in all of it, up to which it predicts them. Measured on seed 72000:
1.01 to 1.06 for kernels without symmetry, 1.13 to 4.3 for maps with a background or a step that the kernel follows."""


def stationary_gain(residual: Array) -> float:
    """Return the log likelihood that stationary noise of any smooth spectrum gains over white noise on a residual, (height, width)."""
    white = np.random.default_rng(0).standard_normal(residual.shape)
    return _flatness(np.nan_to_num(residual)) - _flatness(white)


def kernel_is_decisive(gain: float, residual: Array) -> bool:
    """Say whether a kernel's gain in log evidence over the first stage is beyond what any noise could gain on the first's residual."""
    return gain > DECISIVE_SHARE * stationary_gain(residual)


def predicts_unseen_parts(start: HarmonicStart, model: HarmonicModel) -> bool:
    """Say whether a kernel, solved on three quarters of a map, explains the fourth as well as its own.

    A kernel that follows the background around its defects cannot; a kernel that is the defects' can.

    Args:
        start: the first stage for the list.
        model: for the same list.
    """
    design, matrix = start.design, None if model.stretch is None else model.stretch.matrix
    if matrix is not None:
        design = StoredDesign(start.samples.stretched(matrix), model.splines, model.fit.hyperparameters.orders)
    errors = held_out_errors(design, model.splines.nodes, model.fit, model.floor)
    return float(errors.sum()) < _UNSEEN_EXCESS * model.fit.evidence.variance * start.samples.values.size


def _flatness(values: Array) -> float:
    power = np.abs(np.fft.fft2(values - values.mean())) ** 2 / values.size
    smooth = gaussian_filter(power, _SMOOTHING_PX, mode="wrap")
    return 0.5 * float(np.sum(np.log(power.mean() / np.maximum(smooth, 1e-12 * power.mean()))))
