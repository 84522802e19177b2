"""A score test for a list of positions: would the map be explained decidedly better if its defects were moved?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.positions.variable_projection import joint_system

Array = NDArray[np.float64]

POSITION_SIGMA_PX = 0.7
"""Prior standard deviation of a click in each direction."""
_NOTHING_TO_LEARN = 1e-9
"""Expected gain of a defect below which its moves are rounding: a single defect, or all at one place, can only move together."""
_LEAST_MOVE_PX, _BLUR_PX = 0.05, 0.15
_SCORE_DEVIATIONS, _CLEAR_SCORE = 3.5, 10.0
_PEAK_OVER_SCORE = 10.0
"""Least gain of a missing defect over the score per unknown (measured, 18 maps of each kind: 14 to 400 where defects are missing, below
6 where clicks are off: a kernel that is blurred by them suggests defects everywhere)."""


@dataclass(frozen=True)
class MovesScore:
    """What moving the listed defects promises, the kernel following them.

    Attributes:
        per_unknown: gain in twice the log likelihood over what chance would give, 1 by chance.
        deviations: the same gain beyond chance, in standard deviations of chance.
        spread_px: root mean square of the moves.
        gain: in log likelihood, that of chance included.
    """

    per_unknown: float
    deviations: float
    spread_px: float
    gain: float

    @property
    def decisive(self) -> bool:
        """Say whether the gain is beyond chance and the moves are worth it."""
        return self.deviations > _SCORE_DEVIATIONS and self.spread_px > _LEAST_MOVE_PX

    @property
    def blurred(self) -> bool:
        """Say whether the kernel is likely blurred by clicks that are off."""
        return self.per_unknown > _CLEAR_SCORE and self.spread_px > _BLUR_PX

    def least_gain(self, least: float, incomplete: bool = False) -> float:
        """Return what a missing or absent defect must gain to be one, and no sign of others that are off.

        In a list that is incomplete in any case, what is missing may be what makes the score, unless that is large.
        """
        return least if incomplete and not self.blurred else max(least, _PEAK_OVER_SCORE * self.per_unknown)


def score_moves(model: HarmonicModel) -> MovesScore:
    """Return by a score test (one joint Gauss-Newton step) what moving a model's defects would explain.

    Under the model the pull is N(0, I) with I the information that is left once the kernel has followed; so the gain g.(I + prior)^-1 g
    is a sum of squares with weights h, the eigenvalues of I (I + prior)^-1: mean sum h, variance 2 sum h^2. Moving all defects alike
    moves the kernel, so the common part of the moves is left out.
    """
    count = len(model.samples.positions)
    system = joint_system(model)
    common = np.kron(np.eye(2), np.full((count, 1), count**-0.5))
    apart = np.eye(2 * count) - common @ common.T
    information = apart @ system.information[: 2 * count, : 2 * count] @ apart / system.variance
    pull = apart @ system.pull[: 2 * count] / system.variance
    answer = np.linalg.solve(information + np.eye(2 * count) / POSITION_SIGMA_PX**2, np.column_stack([information, pull]))
    shares, moves = answer[:, :-1], answer[:, -1]
    gain, chance = float(pull @ moves), float(np.trace(shares))
    if chance < _NOTHING_TO_LEARN * count:
        return MovesScore(1.0, 0.0, 0.0, 0.0)
    deviation = float(np.sqrt(2 * np.sum(shares * shares.T)))
    return MovesScore(gain / chance, (gain - chance) / deviation, float(np.sqrt(np.mean(moves**2))), 0.5 * gain)
