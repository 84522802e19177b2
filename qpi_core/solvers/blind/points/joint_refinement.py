"""Defects between pixels with amplitudes of their own, together with the kernel.

Gauss-Newton steps in all positions and amplitudes at once. The kernel follows every step: what it could take over is projected out
of the information (variable projection), so that positions and kernel do not wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from qpi_core.solvers.blind.points.point_patterns import point_patterns
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep
from qpi_core.solvers.blind.polishing.score import list_cost

Array = NDArray[np.float64]

POSITION_SIGMA_PX = 12**-0.5
"""Prior of a defect's place about its pixel: anywhere within it."""
WEIGHT_SIGMA = 0.3
_UNKNOWN_WEIGHT = 10.0
_STEPS = 8
_LONGEST_STEP_PX = 0.5
_SETTLED = 0.02
_STEADY = 1e-4
_MOST_VALUES = 2e7
"""Largest number of values of all patterns; larger problems stay on pixels."""


@dataclass(frozen=True, eq=False)
class PointList:
    """Defects between pixels with the kernels that they lead to.

    Attributes:
        positions: (n, 2) columns (x, y) in px.
        weights: (n,) amplitudes, of mean 1.
        fit: of the kernels.
        evidence: comparable with the score of an activation map.
        deviations: (n,) standard deviation of a position in each direction, px; 0 where none was moved.
        support: (n,) log likelihood that the map would lose without the defect; infinite where strengths are equal by assumption.
    """

    positions: Array
    weights: Array
    fit: KernelFit
    evidence: float
    deviations: Array
    support: Array


def fits_in_memory(step: KernelStep, defects: int) -> bool:
    """Say whether a list is small enough for the map to be refined."""
    return 3.0 * defects * step.layers.measured.size * len(step.layers.values) <= _MOST_VALUES


def refine_points(step: KernelStep, positions: Array, weights: Array, own_weights: bool, steps: int = _STEPS) -> PointList:
    """Return the list after Gauss-Newton steps: positions, and with own_weights amplitudes too."""
    fit = step.solve_at(positions, weights)
    best = _Step(step, positions, weights, own_weights, fit)
    for _ in range(steps):
        moved, sized, change = best.taken()
        following = _Step(step, moved, sized, own_weights, step.solve_at(moved, sized))
        if following.misfit > best.misfit:
            break
        settled = following.misfit > best.misfit * (1 - _STEADY) or change < _SETTLED
        best = following
        if settled:
            break
    return best.result()


class _Step:
    """A list with its fit, and the Gauss-Newton step from there."""

    def __init__(self, step: KernelStep, positions: Array, weights: Array, own_weights: bool, fit: KernelFit) -> None:
        self.step, self.positions, self.weights, self.own_weights, self.fit = step, positions, weights, own_weights, fit
        self.misfit = float(np.log(fit.variances).sum())

    def taken(self) -> tuple[Array, Array, float]:
        """Return positions and weights after the step, and the largest move in px."""
        information, pull = self._system()
        count = len(self.positions)
        change = np.linalg.solve(information + self._prior(), pull)
        moves = change[: 2 * count].reshape(2, count).T
        longest = np.abs(moves).max(axis=1, keepdims=True)
        moves = moves * np.minimum(1.0, _LONGEST_STEP_PX / np.maximum(longest, 1e-12))
        height, width = self.step.layers.shape
        moved = np.clip(self.positions + moves, -0.5, [width - 0.5, height - 0.5])
        sized = self.weights
        if self.own_weights:
            sized = np.clip(self.weights + change[2 * count :], 0.05, 5.0)
            sized = sized / sized.mean()
        return moved, sized, float(np.abs(moves).max())

    def result(self) -> PointList:
        """Return the list with its evidence, by Laplace's approximation, and the deviations of its positions."""
        information, _ = self._system()
        count, prior = len(self.positions), self._prior()
        _, whole = np.linalg.slogdet(information + prior)
        occam = 0.5 * (whole - float(np.log(np.diag(prior)).sum()))
        if self.own_weights:
            occam += 0.5 * float(np.sum((self.weights - 1) ** 2)) / WEIGHT_SIGMA**2
        covariance = np.diag(np.linalg.inv(information + prior))[: 2 * count].reshape(2, count)
        support = np.full(count, np.inf)
        if self.own_weights:
            free = np.diag(np.concatenate([np.diag(prior)[: 2 * count], np.full(count, _UNKNOWN_WEIGHT**-2.0)]))
            support = 0.5 * self.weights**2 / np.diag(np.linalg.inv(information + free))[2 * count :]
        evidence = self.fit.log_likelihood - list_cost(count, self.step.layers.pixels) - occam
        return PointList(self.positions, self.weights, self.fit, float(evidence), np.sqrt(covariance.mean(axis=0)), support)

    def _prior(self) -> Array:
        count = len(self.positions)
        precision = np.full(2 * count, POSITION_SIGMA_PX**-2.0)
        return np.diag(np.concatenate([precision, np.full(count, WEIGHT_SIGMA**-2.0)]) if self.own_weights else precision)

    def _system(self) -> tuple[Array, Array]:
        """Return information and pull of (x, y, amplitude) of all defects, the kernels projected out."""
        layers, fit = self.step.layers, self.fit
        inside = layers.measured.ravel()
        design = self.step.design_at(self.positions, self.weights)
        gram = design @ design.T
        patterns = point_patterns(fit.kernels, self.positions, layers.shape)
        patterns[:, 1:] *= self.weights.astype(np.float32)[:, None, None]
        chosen = (1, 2, 0) if self.own_weights else (1, 2)
        total: Array = np.zeros((len(chosen) * len(self.positions),) * 2)
        pull: Array = np.zeros(len(total))
        for number, variance in enumerate(fit.variances):
            slopes = self.step.without_long_waves(patterns[number][list(chosen)].reshape(-1, *layers.shape))
            root = fit.roots[number]
            factor = cho_factor(root.T @ gram @ root + fit.precisions[number] * np.eye(len(root)))
            across = root.T @ (design @ slopes.T)
            total += (slopes @ slopes.T - across.T @ cho_solve(factor, across)) / variance
            pull += slopes @ fit.residuals[number].reshape(-1)[inside] / variance
        return total, pull
