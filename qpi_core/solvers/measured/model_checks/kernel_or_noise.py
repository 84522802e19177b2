"""A bound on what a noise model could gain, where a kernel of another shape explains the map already.

To look for background and coloured noise takes much longer than to find the kernel. Patterns that are tied to the defects are
explained better by a kernel than by any stationary noise, which knows their spectrum but not their places. What stationary noise of
any spectrum could gain on what the first stage leaves follows from the flatness of its periodogram (Whittle):

    sum_q log(mean power / smoothed power(q)) / 2,

less what white noise gives by chance. A kernel that gains decidedly more needs no rival.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from qpi_core.noise.selection import SelectionOptions
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.extension import held_out_errors
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise, residual_chances

Array = NDArray[np.float64]

NO_FAULT_OF_THE_KERNEL = {"background 16": 1e-25, "rows": 1e-100}
"""Terms of the score test that errors of kernel and list hardly feed, and the probabilities below which they are none (measured, 22 maps
of 11 kinds: 1e-20 or more and 1e-60 or more where clicks are off or kernels one-sided; below 1e-80 with a background, 1e-270 with rows)."""
CLEAN = 1e-3
"""Share of the map's variance below which what a kernel leaves is the kernel's own affair: no background of a measured map is that weak."""
_SMOOTHING_PX = 2.0
DECISIVE_SHARE = 1.3
"""Gain of the kernel over that of stationary noise from which on it is believed. Measured on seed 72000: 1.5 to 4.8 for kernels of many
orders on maps without a background, below 0.05 for noise with a short grain, which no kernel follows. A smooth background, which a kernel
can follow (1.0 to 1.6), has to be ruled out beforehand by its long waves. Below this a kernel has to predict unseen parts as well."""

_UNSEEN_EXCESS = 1.08
"""Mean square in parts of the map that a kernel has not seen over that in all of it, up to which it predicts them. Measured on seed 72000:
1.01 to 1.06 for kernels without symmetry, 1.13 to 4.3 for maps with a background or a step that the kernel follows."""


def stationary_gain(residual: Array) -> float:
    """Return the log likelihood that stationary noise of any smooth spectrum gains over white noise on a residual, (height, width)."""
    white = np.random.default_rng(0).standard_normal(residual.shape)
    return _flatness(np.nan_to_num(residual)) - _flatness(white)


def predicts_unseen_parts(start: HarmonicStart, model: HarmonicModel) -> bool:
    """Say whether a kernel, solved on three quarters of a map, explains the fourth as well as its own, or all but CLEAN of its variance.

    A kernel that follows the background around its defects cannot; a kernel that is the defects' can.

    Args:
        start: the first stage for the list.
        model: for the same list.
    """
    design, matrix = start.design, None if model.stretch is None else model.stretch.matrix
    if matrix is not None:
        design = StoredDesign(start.samples.stretched(matrix), model.splines, model.fit.hyperparameters.orders)
    errors = held_out_errors(design, model.splines.nodes, model.fit, model.floor)
    # Nearly without noise, what orders and profiles leave out of a kernel is no white noise, and is larger where it was not fitted.
    allowed = max(_UNSEEN_EXCESS * model.fit.evidence.variance, CLEAN * float(np.var(start.samples.values)))
    return float(errors.sum()) < allowed * start.samples.values.size


@dataclass(frozen=True, eq=False)
class KernelTrial:
    """A first fit under white noise, and a better one without a noise model.

    Attributes:
        values: (height, width) the map, NaN where not measured.
        first, left: (height, width) what the two leave of it.
        gain: of the better one in log evidence.
        shared: whether all its kernels have one profile each.
    """

    values: NDArray[np.floating]
    first: Array
    left: Array
    gain: float
    shared: bool

    def suffices(self, aspect: tuple[float, float], positions: Array) -> bool:
        """Say whether no noise model needs to be looked for.

        Independent profiles of many orders follow almost anything around the defects, so unless they leave next to nothing they are no
        answer: the evidence of a noise model has to be compared with theirs.

        Args:
            aspect: (dy, dx) of a pixel in solver units.
            positions: (n, 2) defects, columns (x, y) in px.
        """
        chances = residual_chances(self.first, aspect, positions)
        if min(chances.values(), default=1.0) >= SelectionOptions().probability:
            return True
        if has_long_waves(self.first, aspect, positions):
            return False
        if self.shared:
            return leaves_white_noise(self.left, aspect, positions)
        clean = float(np.nanvar(self.left)) < CLEAN * float(np.nanvar(self.values))
        return clean and self.gain > DECISIVE_SHARE * stationary_gain(self.first)


def has_long_waves(left: Array, aspect: tuple[float, float], positions: Array) -> bool:
    """Say whether what kernels leave of a map holds what no error of kernel or list leaves; the arguments are those of residual_chances."""
    chances = residual_chances(left, aspect, positions)
    return any(chances.get(name, 1.0) < least for name, least in NO_FAULT_OF_THE_KERNEL.items())


def _flatness(values: Array) -> float:
    power = np.abs(np.fft.fft2(values - values.mean())) ** 2 / values.size
    smooth = gaussian_filter(power, _SMOOTHING_PX, mode="wrap")
    return 0.5 * float(np.sum(np.log(power.mean() / np.maximum(smooth, 1e-12 * power.mean()))))
