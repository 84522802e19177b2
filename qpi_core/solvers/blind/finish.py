"""From a polished activation map to a finished answer: on pixels or between them, with equal or own strengths, as the evidence has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.points.joint_refinement import PointList, fits_in_memory, refine_points
from qpi_core.solvers.blind.points.point_cleaning import clean_points, on_pixels, points_of
from qpi_core.solvers.blind.points.repeated_pairs import as_one, common_pairs
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep
from qpi_core.solvers.blind.polishing.polish import THRESHOLD, cut, with_amplitudes, with_flips, with_moves
from qpi_core.solvers.blind.polishing.score import Candidate

Array = NDArray[np.float64]

FIRST_STEPS, NEARLY = 3, 0.05
"""Steps between the pixels after which a list that is right leaves next to nothing, and the share of the variance above which it is wrong.

Such a list would take seconds to be put right, and would not be (tuning seed: right ones left at most 0.013, wrong ones 0.01 to 0.32).
"""


@dataclass(frozen=True, eq=False)
class Finding:
    """A list of defects with the kernels that it leads to.

    Attributes:
        step: the symmetry and the layers that it was solved with.
        positions: (n, 2) columns (x, y) in px.
        weights: (n,) amplitudes, of mean 1.
        deviations: (n,) standard deviation of each position in each direction, px; 0 where all lie on pixels.
        fit: the kernels.
        evidence: comparable between findings of one map.
    """

    step: KernelStep
    positions: Array
    weights: Array
    deviations: Array
    fit: KernelFit
    evidence: float

    @property
    def symmetry_order(self) -> int:
        """Order of the bank's symmetry."""
        return self.step.bank.bank.symmetry_order

    @property
    def unexplained(self) -> float:
        """Share of the layers' variance that is left beyond their noise."""
        return float(np.mean(self.fit.variances - self.step.layers.noise))


def on_grid(candidate: Candidate) -> Finding:
    """Return the finding of an activation map of 0 and 1."""
    positions, weights = points_of(candidate)
    return Finding(candidate.step, positions, weights, np.zeros(len(weights)), candidate.fit, candidate.score)


def finish(candidate: Candidate) -> Finding:
    """Return the finding with the most evidence that a candidate leads to."""
    step = candidate.step
    if not fits_in_memory(step, int(candidate.activation.sum())):
        return on_grid(candidate)
    positions, weights = points_of(candidate)
    begun = refine_points(step, positions, weights, own_weights=True, steps=FIRST_STEPS)
    if as_finding(step, begun).unexplained > NEARLY:
        return on_grid(candidate)
    found = clean_points(step, begun)
    rounded = on_pixels(step, found.positions)
    rounded = max(rounded, with_flips(with_moves(rounded, 4), 4), candidate, key=lambda one: one.score)
    choices = [on_grid(rounded), as_finding(step, found)]
    if found.evidence > rounded.score:
        equal = refine_points(step, found.positions, np.ones(len(found.positions)), own_weights=False)
        choices.append(as_finding(step, equal))
    return max(choices, key=lambda one: one.evidence)


def as_finding(step: KernelStep, points: PointList) -> Finding:
    """Return the finding of a list between pixels."""
    return Finding(step, points.positions, points.weights, points.deviations, points.fit, points.evidence)


def with_richer_kernels(finding: Finding, rich: KernelStep) -> Finding:
    """Return the finding with kernels of more angular orders where the evidence prefers them."""
    fit = rich.solve_at(finding.positions, finding.weights)
    gain = fit.log_likelihood - finding.fit.log_likelihood
    if gain <= 0:
        return finding
    return Finding(rich, finding.positions, finding.weights, finding.deviations, fit, finding.evidence + gain)


def with_pairs_as_one(finding: Finding, rich: KernelStep) -> Finding:
    """Return the finding with pairs of one offset made one defect each where the evidence prefers that.

    The kernel at the pairs' middles is that at their ends twice, which takes more angular orders: those of the rich step.
    """
    pairs = common_pairs(finding.positions, finding.step.layers.pixels)
    if not len(pairs) or not fits_in_memory(rich, len(finding.positions) - len(pairs)):
        return finding
    found = refine_points(rich, *as_one(finding.positions, finding.weights, pairs), own_weights=True)
    if found.evidence <= finding.evidence:
        return finding
    return as_finding(rich, found)


def from_middles(finding: Finding, rich: KernelStep, most: int) -> Finding:
    """Return the finding that the middles of pairs of one offset lead to, or the finding itself where that has more evidence.

    An elongated kernel of which the search's angular orders hold a half only is found as two halves, among many false places. Most middles
    are defects then, and with more orders the true kernel shows.

    Args:
        finding: one that leaves much of the layers unexplained.
        rich: a step of more angular orders.
        most: defects.
    """
    pairs = common_pairs(finding.positions, finding.step.layers.pixels)
    if not len(pairs):
        return finding
    listed = cut(with_amplitudes(on_pixels(rich, finding.positions[pairs].mean(axis=1)), 4, 40, THRESHOLD), most)
    if listed is None:
        return finding
    return max(finding, finish(with_flips(listed, 5)), key=lambda one: one.evidence)
