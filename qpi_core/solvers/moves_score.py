"""A score test for a list of positions: would the map be explained decidedly better if its defects were moved?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic_model import HarmonicModel
from qpi_core.solvers.position_sensitivities import sensitivities

Array = NDArray[np.float64]

POSITION_SIGMA_PX = 0.7
"""Prior standard deviation of a click in each direction."""
_LEAST_MOVE_PX, _BLUR_PX = 0.05, 0.15
_SCORE_DEVIATIONS, _CLEAR_SCORE = 5.0, 8.0
_PEAK_OVER_BLUR = 18.0
"""Least gain of a missing defect over the mean gain that a coordinate promises (measured: 20 to 600 where defects are missing, below 5
where clicks are off, 10 to 15 where the kernel has another shape than the solver's)."""


@dataclass(frozen=True)
class MovesScore:
    """What moving the listed defects promises.

    Attributes:
        per_unknown: gain in twice the log likelihood for every coordinate, 1 by chance.
        spread_px: root mean square of the moves.
        count: of coordinates.
    """

    per_unknown: float
    spread_px: float
    count: int

    @property
    def decisive(self) -> bool:
        """Say whether the gain is beyond chance and the moves are worth it."""
        return self.per_unknown > 1 + _SCORE_DEVIATIONS * np.sqrt(2 / self.count) and self.spread_px > _LEAST_MOVE_PX

    @property
    def blurred(self) -> bool:
        """Say whether the kernel is likely blurred by clicks that are off."""
        return self.per_unknown > _CLEAR_SCORE and self.spread_px > _BLUR_PX

    def least_gain(self, least: float) -> float:
        """Return what a missing or absent defect must gain: a kernel that is blurred by clicks that are off suggests them everywhere."""
        return max(least, _PEAK_OVER_BLUR * self.per_unknown) if self.blurred else least


def score_moves(model: HarmonicModel, values: NDArray[np.float32], points: Array, weights: Array) -> MovesScore:
    """Return by a score test (one Gauss-Newton step) what moved defects would explain.

    Moving all of them alike moves the kernel, so the common part of the moves is left out.
    """
    count = len(points)
    system = sensitivities(values, model, points, weights)
    common = np.kron(np.eye(2), np.full((count, 1), count**-0.5))
    apart = np.eye(2 * count) - common @ common.T
    information = apart @ system.information[: 2 * count, : 2 * count] @ apart / system.variance
    pull = apart @ system.pull[: 2 * count] / system.variance
    moves = np.linalg.solve(information + np.eye(2 * count) / POSITION_SIGMA_PX**2, pull)
    return MovesScore(float(pull @ moves) / (2 * count), float(np.sqrt(np.mean(moves**2))), 2 * count)
