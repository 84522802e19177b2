"""Maximum of a marginal likelihood by Fisher scoring with the average information: one evaluation a step, no differences of gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from qpi_core.noise.components import Components

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[Components, Array, Array]]
"""From a point to the likelihood there, the gradient of its cost and the information, for the parameters that are searched."""

_LEAST_CURVATURE = 1e-2
_MOST_SHORTENINGS = 8
_SHORTER = 0.3
_ARMIJO = 1e-3


def scored(
    objective: Objective, start: Array, scales: Array, lower: Array, upper: Array, tolerance: float, steps: int
) -> tuple[Array, Components]:
    """Return the local minimum of the cost and the likelihood there.

    Args:
        objective: raises numpy.linalg.LinAlgError where there is no likelihood.
        start: (k,) parameters.
        scales: (k,) how far a parameter may move in one step.
        lower, upper: (k,) bounds; points are clipped to them.
        tolerance: stop when a step promises less than this.
        steps: at most.

    Raises:
        numpy.linalg.LinAlgError: the start has no likelihood.
    """
    point = np.clip(start, lower, upper)
    found, gradient, information = objective(point)
    for _ in range(steps):
        step, promised = _step(information * np.outer(scales, scales), gradient * scales, point, lower, upper)
        if promised < tolerance:
            break
        length, better = 1.0, False
        for _ in range(_MOST_SHORTENINGS):
            trial = np.clip(point + length * step * scales, lower, upper)
            try:
                reached = objective(trial)
            except LinAlgError:
                length *= _SHORTER
                continue
            if reached[0].cost < found.cost - _ARMIJO * length * promised:
                better = True
                break
            length *= _SHORTER
        if not better:
            break
        point, (found, gradient, information) = trial, reached
    return point, found


def _step(information: Array, gradient: Array, point: Array, lower: Array, upper: Array) -> tuple[Array, float]:
    """Return the scoring step (at most 1 in any scaled parameter, none across a bound) and the decrease that it promises."""
    free = ((point > lower) | (gradient < 0)) & ((point < upper) | (gradient > 0))
    reduced = np.where(np.outer(free, free), information, np.diag(np.where(free, 0.0, 1.0)))
    values, vectors = np.linalg.eigh(0.5 * (reduced + reduced.T))
    inner = vectors.T @ (gradient * free)
    step = -(vectors @ (inner / np.maximum(values, _LEAST_CURVATURE)))
    step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-30))
    return step, float(-0.5 * step @ (gradient * free))
