"""Regularisation where one place alone shows the kernel: by the marginal likelihood, because held-out pixels cannot tell.

With all defects at one place every map pixel shows a kernel pixel of its own, so nothing predicts a pixel that was held out. Under the
prior A ~ N(0, (amplitude * envelope)^2), independent from pixel to pixel, the map's pixels are independent too:

    Y(p) - b ~ N(0, sigma^2 (1 + g^2 envelope(p - r)^2 / strength)),   strength = sigma^2 / amplitude^2,   g = sum of the weights
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_PLACE_PX = 0.5


@dataclass(frozen=True)
class LikeliestEnvelope:
    """The most probable prior of a single pattern.

    Attributes:
        strength: sigma^2 / amplitude^2, absolute (as the solvers take it).
        width: of the Gaussian envelope in px.
        variance: of the noise in the units of the values squared, by maximum likelihood.
        gain: log likelihood above that of noise alone, >= 0.
        error: the variance that noise alone would need for the same likelihood, comparable to a mean squared residual.
    """

    strength: float
    width: float
    variance: float
    gain: float
    error: float


def is_one_place(positions: NDArray[np.float64]) -> bool:
    """Say whether all positions (n, 2) lie within SAME_PLACE_PX of the first one."""
    return bool((np.hypot(*(positions - positions[0]).T) <= SAME_PLACE_PX).all())


def likeliest_envelope(
    values: NDArray[np.float32],
    mask: NDArray[np.float32],
    position: NDArray[np.float64],
    total_weight: float,
    window: int,
    widths: Sequence[float],
    strengths: Sequence[float],
) -> LikeliestEnvelope:
    """Return the most probable of the given envelope widths (px) and absolute strengths.

    Args:
        values: (height, width), mean 0 over the mask.
        mask: (height, width), 1 where measured.
        position: (2,) x and y of the one place in px.
        total_weight: sum of the defects' amplitudes.
        window: side of the solved window in px; beyond it the kernel is zero.
        widths, strengths: candidates.
    """
    measured = mask > 0
    rows, columns = np.nonzero(measured)
    dy, dx = rows - position[1], columns - position[0]
    squared = values[measured].astype(np.float64) ** 2
    alone = max(float(squared.mean()), np.finfo(np.float64).tiny)
    inside = np.maximum(np.abs(dx), np.abs(dy)) <= window // 2
    best = LikeliestEnvelope(float(max(strengths)), float(min(widths)), alone, 0.0, alone)
    for width in widths:
        power = total_weight**2 * np.exp(-(dx**2 + dy**2) / width**2) * inside
        for strength in strengths:
            factor = 1 + power / strength
            variance = max(float((squared / factor).mean()), np.finfo(np.float64).tiny)
            gain = -0.5 * len(squared) * (np.log(variance / alone) + float(np.log(factor).mean()))
            if gain > best.gain:
                error = alone * float(np.exp(-2 * gain / len(squared)))
                best = LikeliestEnvelope(float(strength), float(width), variance, float(gain), error)
    return best
