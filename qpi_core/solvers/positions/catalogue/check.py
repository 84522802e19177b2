"""Whether a map contradicts a list of defects: defects that it shows beyond the list, or does not show, or would rather have elsewhere."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.positions.catalogue.candidates import absent_defects, gain_of_missing, missing_defects
from qpi_core.solvers.positions.score_test import MovesScore, score_moves

Array = NDArray[np.float64]

LEAST_DEFECTS = 3
"""One or two defects can be anywhere: what moves them moves the kernel."""
MOST_DEFECTS, MOST_PIXELS = 200, 40_000
"""Larger problems are taken as they are: their positions can be refined on request."""
PEAK_GAIN = 14.0
"""Log likelihood that a missing defect must gain at its place: chance gives 9 somewhere on a map of 64 x 64 pixels."""
ABSENT_GAIN = 10.0


class Suspicion(Enum):
    """How doubtful a list is."""

    NONE = "none"
    POSSIBLE = "possible"
    CLEAR = "clear"


def is_taken_as_given(values: NDArray[np.float32], positions: Array) -> bool:
    """Say whether a list is too short to be doubted, or list or map too large to be repaired."""
    return not LEAST_DEFECTS <= len(positions) <= MOST_DEFECTS or values.size > MOST_PIXELS


def longest_list(listed: int) -> int:
    """Return how many defects a repaired list may have: as many as one that is repaired at all, or half as many again as are listed."""
    return max(MOST_DEFECTS, listed + listed // 2)


def suspect_list(values: NDArray[np.float32], first: HarmonicModel, positions: Array, weights: Array) -> tuple[Suspicion, float]:
    """Say whether a map contradicts a list; first is the model of fit_harmonics(extended=False) for it.

    Returns:
        The suspicion, and the gain in log likelihood that moved defects promise; 0 where that was not asked.
    """
    if is_taken_as_given(values, positions) or is_explained(first.fit, first.floor) or pattern_gain(first) < LEAST_GAIN:
        return Suspicion.NONE, 0.0
    score = score_moves(first)
    if is_incomplete(values, first, positions, weights, score) or score.blurred:
        return Suspicion.CLEAR, score.gain
    return Suspicion.POSSIBLE if score.decisive else Suspicion.NONE, score.gain


def is_incomplete(values: NDArray[np.float32], model: HarmonicModel, positions: Array, weights: Array, score: MovesScore) -> bool:
    """Say whether the map clearly shows defects beyond a list, or clearly does not show some of it; model and score are the list's."""
    if len(missing_defects(values, model, float(np.median(weights)), score.least_gain(PEAK_GAIN))):
        return True
    return bool(absent_defects(model, positions, weights, score.least_gain(ABSENT_GAIN)).any())


def gain_of_another_list(values: NDArray[np.float32], first: HarmonicModel, weights: Array) -> float:
    """Return the gain in log likelihood that moved defects, or more of them, promise for a kernel of one kind, whichever is larger.

    Args:
        values: (height, width) map.
        first: model of fit_harmonics(extended=False) for the list.
        weights: of the list.
    """
    return max(score_moves(first).gain, gain_of_missing(values, first, float(np.median(weights)), PEAK_GAIN))
