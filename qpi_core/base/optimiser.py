"""Minimise a smooth function of a few parameters, given its gradient, when a value costs about a millisecond.

Quasi-Newton steps (BFGS) that start from a Hessian by differences of the gradient: with seven parameters that costs seven
gradients, and then few steps are needed, whatever the scales of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]

_DIFFERENCE = 1e-3
_MOST_HALVINGS = 12
_STEPS = 8
"""Quasi-Newton steps a round."""


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    Attributes:
        point: (k,) parameters.
        cost: value there.
        gradient: (k,).
        evaluations: how often the function was called.
    """

    point: Array
    cost: float
    gradient: Array
    evaluations: int


def hessian_by_differences(objective: Objective, point: Array, gradient: Array, steps: Array) -> Array:
    """Return the symmetrised Hessian, (k, k), from one-sided differences of the gradient with the given steps; 0 where a step is 0."""
    rows = np.stack([(objective(point + step)[1] - gradient) / step.max() if step.any() else step for step in np.diag(steps)])
    return np.asarray(0.5 * (rows + rows.T))


def minimise(
    objective: Objective,
    start: Array,
    scales: Array,
    lower: Array,
    upper: Array,
    tolerance: float = 0.01,
    rounds: int = 6,
    curvature: Callable[[Array], Array] | None = None,
) -> Minimum:
    """Return a local minimum.

    Args:
        objective: point -> (value, gradient); the value may be infinite.
        start: (k,) parameters.
        scales: (k,) how far a parameter may move in one step.
        lower, upper: (k,) bounds; points are clipped to them.
        tolerance: stop when the quadratic model promises less than this.
        rounds: how often the Hessian is formed afresh.
        curvature: point -> Hessian or an approximation of it, (k, k); None is differences of the gradient.
    """
    point = np.clip(start, lower, upper)
    cost, gradient = objective(point)
    evaluations, movable = 1, upper > lower
    for _ in range(rounds):
        if curvature is None:
            hessian = hessian_by_differences(objective, point, gradient, _DIFFERENCE * scales * movable) * np.outer(scales, scales)
            evaluations += int(movable.sum())
        else:
            hessian = curvature(point) * np.outer(scales, scales)
        before = cost
        for _ in range(_STEPS):
            free = ((point > lower) | (gradient < 0)) & ((point < upper) | (gradient > 0))
            step, promised = _newton_step(hessian, gradient * scales * free, free)
            if promised < tolerance:
                return Minimum(point, cost, gradient, evaluations)
            length, found = 1.0, False
            for _ in range(_MOST_HALVINGS):
                trial = np.clip(point + length * step * scales, lower, upper)
                trial_cost, trial_gradient = objective(trial)
                evaluations += 1
                if trial_cost < cost - 1e-3 * length * promised:
                    found = True
                    break
                length *= 0.3
            if not found:
                break
            moved, change = (trial - point) / scales, (trial_gradient - gradient) * scales
            hessian = _updated(hessian, moved, change)
            point, cost, gradient = trial, trial_cost, trial_gradient
            if length < 0.1:
                break
        if before - cost < tolerance:
            break
    return Minimum(point, cost, gradient, evaluations)


def _newton_step(hessian: Array, gradient: Array, free: NDArray[np.bool_]) -> tuple[Array, float]:
    """Return the step (at most 1 in any scaled parameter) and the decrease that the quadratic model promises."""
    reduced = np.where(np.outer(free, free), hessian, np.diag(np.where(free, 0.0, 1.0)))
    values, vectors = np.linalg.eigh(reduced)
    curvature = np.maximum(np.abs(values), 1e-2)
    step = -(vectors @ ((vectors.T @ gradient) / curvature))
    step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-30))
    return step, float(-0.5 * step @ gradient)


def _updated(hessian: Array, moved: Array, change: Array) -> Array:
    """Return the BFGS update, damped (Powell) where the curvature along the step is not positive."""
    predicted = hessian @ moved
    curvature, expected = float(moved @ change), float(moved @ predicted)
    if expected <= 0:
        return hessian
    if curvature < 0.1 * expected:
        mix = 0.9 * expected / (expected - curvature)
        change = mix * change + (1 - mix) * predicted
        curvature = float(moved @ change)
    return np.asarray(hessian - np.outer(predicted, predicted) / expected + np.outer(change, change) / curvature)
