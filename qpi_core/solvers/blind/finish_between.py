"""From an activation map with amplitudes straight to defects between the pixels, with the symmetry chosen anew.

A defect between pixels has its amplitude on several of them, and a kernel of many angular orders looks like one of few orders on several
pixels. A map of 0 and 1 then needs false places beside the true ones, or loses these, while the middles of the amplitudes are close to
the defects already. Places that are right for kernels of one symmetry are so for those of another: which symmetry it is shows
there best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.finish import FIRST_STEPS, NEARLY, Finding, as_finding, on_grid
from qpi_core.solvers.blind.points.amplitude_points import amplitude_points
from qpi_core.solvers.blind.points.joint_refinement import fits_in_memory, refine_points
from qpi_core.solvers.blind.points.point_cleaning import clean_points, on_pixels
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep
from qpi_core.solvers.blind.polishing.score import Candidate, list_cost

Array = NDArray[np.float64]

RICH, RICHEST = 3, 5
"""Multiples of the symmetry's angular order that kernels have where the search's own one is not enough."""
_PROMISING, _WELL, _FAR, _LOST = 0.1, 0.02, 0.15, 0.3
"""Shares of the variance that points may leave: so that the search's own kernels are followed, need no more orders, get the most of them,
and beyond which the points are wrong whatever the symmetry.
"""
_MOST_VALUES = 4e7
"""Largest number of values of all filters on the map with which the richest kernels are tried."""


def finish_between(candidate: Candidate, orders: Sequence[int], richer: Callable[[int, int], KernelStep]) -> Finding | None:
    """Return the finding of the points that an activation map with amplitudes stands for; None where they leave much of the layers.

    Args:
        candidate: with amplitudes.
        orders: of symmetry that the kernel may have.
        richer: from an order of symmetry and its multiples to the step with these.
    """
    positions, weights = amplitude_points(candidate.activation)
    if not len(positions) or not fits_in_memory(candidate.step, len(positions)):
        return None
    begun: list[Finding] = []
    if _left(candidate.step, candidate.step.solve_at(positions, weights)) <= _PROMISING:
        begun.append(_refined(candidate.step, positions, weights))
    if not begun or begun[0].unexplained > _WELL:
        fits = [(step, step.solve_at(positions, weights)) for step in (richer(order, RICH) for order in orders)]
        likeliest, fit = max(fits, key=lambda one: one[1].log_likelihood)
        if _left(likeliest, fit) > _LOST:
            return None
        begun.append(_refined(likeliest, positions, weights))
    best = max(begun, key=lambda one: one.evidence)
    if _WELL < best.unexplained <= _FAR and best.symmetry_order:
        richest = richer(best.symmetry_order, RICHEST)
        if richest.bank.count * richest.layers.pixels <= _MOST_VALUES:
            best = max(best, _refined(richest, best.positions, best.weights), key=lambda one: one.evidence)
    return None if best.unexplained > NEARLY else _cleaned(best)


def points_score(candidate: Candidate, step: KernelStep) -> float:
    """Return how well the points of an activation map with amplitudes explain the layers with a step's kernels; -inf for too many.

    Amplitudes on many pixels explain a map that they are wrong for, too; few points do not.
    """
    positions, weights = amplitude_points(candidate.activation)
    if not len(positions) or not fits_in_memory(step, len(positions)):
        return -np.inf
    return step.solve_at(positions, weights).log_likelihood - list_cost(len(positions), step.layers.pixels)


def _left(step: KernelStep, fit: KernelFit) -> float:
    return float(np.mean(fit.variances - step.layers.noise))


def _refined(step: KernelStep, positions: Array, weights: Array) -> Finding:
    return as_finding(step, refine_points(step, positions, weights, own_weights=True, steps=FIRST_STEPS))


def _cleaned(begun: Finding) -> Finding:
    """Return the finding that a nearly right one leads to, on pixels or between them, with equal or own strengths."""
    step = begun.step
    points = clean_points(step, refine_points(step, begun.positions, begun.weights, own_weights=True))
    equal = refine_points(step, points.positions, np.ones(len(points.positions)), own_weights=False)
    choices = [as_finding(step, points), as_finding(step, equal), on_grid(on_pixels(step, points.positions))]
    return max(choices, key=lambda one: one.evidence)
