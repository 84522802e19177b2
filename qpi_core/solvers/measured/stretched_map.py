"""A kernel in stretched coordinates (see harmonic.stretch) on a map with a noise model.

Where the map holds a background, nothing can be told of a stretch beforehand: what a round kernel leaves is not white in any case. So
the noise model of the round kernel comes first. What it leaves of the map once background, rows and lattice are taken off shows whether
a stretch explains more; the noise model is then found again for the stretched kernel, and the marginal likelihood of the whole map, the
two numbers of the stretch paid for, decides between the two.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.orders.residual_test import DOUBTFUL
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStart

Array = NDArray[np.float64]


def stretched_under_noise(
    problem: HarmonicProblem, positions: Array, cleaned: NDArray[np.float32], noisy: NoisyStart, movable: bool = False
) -> tuple[HarmonicProblem, NoisyStart] | None:
    """Return the problem in stretched coordinates and the first stage under its noise model; None where the map prefers none.

    Args:
        problem: the map, without a stretch.
        positions: of its defects.
        cleaned: (height, width) the map without all that the noise model says is neither kernel nor white noise.
        noisy: the first stage of the kernel without a stretch.
        movable: the listed places may be off.
    """
    shown, weights = replace(problem, values=cleaned), noisy.start.samples.weights
    there = noisy.places(positions)
    found, start = shown.stretched(there, weights, shown.start(there, weights), DOUBTFUL)
    if start.stretch is None:
        return None
    stretched = replace(problem, stretch=found.stretch)
    again = find_noise(stretched, positions, noisy.given, stretched.start(positions, noisy.given), known=noisy, movable=movable)
    if again is None:
        return None
    paid = replace(again, evidence=again.evidence - float(np.log(np.isfinite(noisy.values).sum())))
    return (stretched, paid) if paid.evidence > noisy.evidence else None
