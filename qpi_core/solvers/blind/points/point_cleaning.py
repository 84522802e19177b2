"""Lists of defects between pixels put right: doubles merged, faint ones left out, missing ones added, and refined after each change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from qpi_core.solvers.blind.points.joint_refinement import PointList, refine_points
from qpi_core.solvers.blind.polishing.convolution import Convolution
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import Candidate, scored

Array = NDArray[np.float64]

_DOUBLE_PX, _PAIRED_PX = 1.3, 2.5
"""Distances below which two found defects are taken for one that lies between them: in any list, and in one that is full of pairs."""
_MANY_PAIRS = 3.0
"""Multiple of the pairs that chance would make from which on a list is full of them."""
_FAINT, _STRONG, _STRONG_SHARE = 0.3, 2.5, 0.8
"""Amplitudes as shares of that of the strong ones: below it, and above what one missing defect can have."""
_ROUNDS = 5
_BEYOND_CHANCE = 4.0
"""Log likelihood that a missing defect gains beyond the log of the number of pixels where chance could have put it."""


def clean_points(step: KernelStep, begun: PointList) -> PointList:
    """Return the best list between pixels that a refined one leads to.

    A narrower kernel at two places beside each defect explains a map nearly as well as the kernel itself: a list full of pairs is
    also judged with each of them made one, once the kernel has followed.
    """
    found = _cleaned(step, begun, _DOUBLE_PX)
    if not is_full_of_pairs(found.positions, step.layers.pixels):
        return found
    return max(found, _cleaned(step, found, _PAIRED_PX), key=lambda one: one.evidence)


def is_full_of_pairs(positions: Array, pixels: int) -> bool:
    """Say whether far more pairs of defects are close to each other than in a list of places drawn at random on so many pixels."""
    if len(positions) < 2:
        return False
    pairs = len(cKDTree(positions).query_pairs(_PAIRED_PX))
    chance = 0.5 * len(positions) ** 2 * np.pi * _PAIRED_PX**2 / pixels
    return bool(pairs > 1 + _MANY_PAIRS * chance)


def _cleaned(step: KernelStep, begun: PointList, double_px: float) -> PointList:
    """Return the best list on the way of repairs and refinements in turn; closer pairs than double_px are made one."""
    best = current = begun
    for _ in range(_ROUNDS):
        positions, weights = _with_missing(step, current, *_merged(*_without_faint(step, current), double_px))
        if len(positions) == len(current.positions) and np.allclose(positions, current.positions):
            break
        current = refine_points(step, positions, weights / weights.mean(), own_weights=True)
        if current.evidence > best.evidence:
            best = current
    return best


def points_of(candidate: Candidate) -> tuple[Array, Array]:
    """Return positions (n, 2) as (x, y) in px and weights of mean 1 of an activation map."""
    rows, columns = np.nonzero(candidate.activation)
    amplitudes = candidate.activation[rows, columns].astype(np.float64)
    return np.stack([columns, rows], axis=1).astype(np.float64), amplitudes / amplitudes.mean()


def on_pixels(step: KernelStep, positions: Array) -> Candidate:
    """Return the scored candidate of the pixels closest to positions."""
    height, width = step.layers.shape
    columns, rows = np.clip(np.rint(positions), 0, [width - 1, height - 1]).astype(int).T
    activation = np.zeros((height, width), dtype=np.float32)
    activation[rows, columns] = 1
    return scored(step, activation)


def _merged(positions: Array, weights: Array, double_px: float) -> tuple[Array, Array]:
    """Return the list with every close pair made one defect in their weighted middle, the closest pair first."""
    while len(positions) > 1:
        distances, others = cKDTree(positions).query(positions, k=2)
        first = int(np.argmin(distances[:, 1]))
        if distances[first, 1] > double_px:
            break
        pair = [first, int(others[first, 1])] if others[first, 1] != first else [first, int(others[first, 0])]
        both = weights[pair]
        middle = (positions[pair] * both[:, None]).sum(axis=0) / both.sum()
        positions = np.vstack([np.delete(positions, pair, axis=0), middle])
        weights = np.append(np.delete(weights, pair), both.sum())
    return positions, weights


def _without_faint(step: KernelStep, current: PointList) -> tuple[Array, Array]:
    """Return the list without defects that are far weaker than the strong ones, or that chance could have made."""
    strong = float(np.quantile(current.weights, _STRONG_SHARE))
    kept = (current.weights >= _FAINT * strong) & (current.support >= np.log(step.layers.pixels))
    return (current.positions[kept], current.weights[kept]) if kept.any() else (current.positions, current.weights)


def _with_missing(step: KernelStep, current: PointList, positions: Array, weights: Array) -> tuple[Array, Array]:
    """Return the list with the places where what is left of the map looks like the kernel, by more than chance."""
    convolution = Convolution(current.fit, step.layers.long_waves)
    left = current.fit.residuals / np.sqrt(current.fit.variances).astype(np.float32)[:, None, None]
    match = convolution.adjoint(left)
    amplitude = match / convolution.energy
    gain = np.where((amplitude > _FAINT) & (amplitude < _STRONG), 0.5 * match * amplitude, 0)
    rows, columns = np.nonzero((gain == maximum_filter(gain, 5)) & (gain > np.log(step.layers.pixels) + _BEYOND_CHANCE))
    places = np.stack([columns, rows], axis=1).astype(np.float64)
    if not len(places):
        return positions, weights
    apart = cKDTree(positions).query(places)[0] > _DOUBLE_PX
    return np.vstack([positions, places[apart]]), np.concatenate([weights, amplitude[rows, columns][apart].astype(np.float64)])
