"""The minimum of a cost of a few numbers that has no slopes, and how it bends there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Cost = Callable[[Array], float]


def descend(cost: Cost, start: Array, scales: Array, steps: int = 6) -> tuple[float, Array]:
    """Return a low cost near a start, (cost, point): some steps a number of Nelder and Mead, which need no slopes on the rough grid."""
    options = {"maxiter": steps * start.size, "initial_simplex": _simplex(start.size)}
    found = minimize(lambda u: cost(start + u * scales), np.zeros(start.size), method="Nelder-Mead", options=options)
    return float(found.fun), np.asarray(start + found.x * scales)


def polish(cost: Cost, start: Array, scales: Array) -> tuple[float, Array]:
    """Return the minimum, (cost, point), in units in which the cost bends alike along all axes and no two of them are tied."""
    units = np.linalg.cholesky(np.linalg.inv(hessian(cost, start, scales)))
    options = {"gtol": 1e-2, "maxiter": 20, "eps": 1e-3}
    found = minimize(lambda u: cost(start + units @ u), np.zeros(start.size), method="BFGS", options=options)
    return float(found.fun), np.asarray(start + units @ found.x)


def _simplex(size: int) -> Array:
    """Return the origin and one unit along every axis."""
    return np.concatenate([np.zeros((1, size)), np.eye(size)])


def hessian(cost: Cost, point: Array, scales: Array) -> Array:
    """Return second derivatives at a minimum; steps that change the cost by about 1/2; along what the data leave open the prior's width."""
    steps = scales.copy()
    base = cost(point)
    for index in range(point.size):
        for _ in range(40):
            move = np.eye(point.size)[index] * steps[index]
            rise = 0.5 * (cost(point + move) + cost(point - move)) - base
            if 0.1 < rise < 1.0 or steps[index] > 2.0:
                break
            steps[index] *= float(np.clip(np.sqrt(0.4 / max(rise, 1e-3)), 0.2, 5.0))
    size = point.size
    second = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            a, b = np.eye(size)[i] * steps[i], np.eye(size)[j] * steps[j]
            if i == j:
                second[i, i] = (cost(point + a) + cost(point - a) - 2 * base) / steps[i] ** 2
            else:
                mixed = cost(point + a + b) - cost(point + a - b) - cost(point - a + b) + cost(point - a - b)
                second[i, j] = second[j, i] = mixed / (4 * steps[i] * steps[j])
    units = np.outer(steps, steps)
    values, vectors = np.linalg.eigh(second * units)
    return np.asarray((vectors * np.maximum(values, 0.02)) @ vectors.T / units)


def jacobian(function: Callable[[Array], Array], point: Array, scales: Array) -> Array:
    """Return the derivatives of some numbers, (numbers, n)."""
    steps = 1e-4 * scales
    moves = np.diag(steps)
    return np.stack(
        [(function(point + move) - function(point - move)) / (2 * step) for move, step in zip(moves, steps, strict=True)], axis=1
    )
