"""From a rough activation map to the one that explains the layers best: kernels and activation map in turn.

Amplitudes first (sparse_activation), which finds its way through a landscape that 0 and 1 would be stuck in; then exact additions,
removals and moves of single defects (activation_flips).
"""

from __future__ import annotations

import numpy as np

from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.activation_flips import ActivationFlips
from qpi_core.solvers.blind.polishing.convolution import Convolution, Image
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit
from qpi_core.solvers.blind.polishing.score import Candidate, scored
from qpi_core.solvers.blind.polishing.sparse_activation import sparse_activation
from qpi_core.solvers.blind.start.peak_threshold import cut_activation

THRESHOLD, OTHER_THRESHOLDS = 3.0, (4.0, 2.0)
"""Of sparse activation maps, in standard deviations of the residual: the usual one, and those for a list of which little is left."""
_STRONGEST = 20
_MOST_STALLED = 1
_LEAST_PEAKS = 3


def with_amplitudes(start: Candidate, rounds: int, steps: int, threshold: float) -> Candidate:
    """Return a candidate whose activation map has amplitudes, after so many rounds of sparse map and kernels in turn.

    Args:
        start: any candidate.
        rounds: kernels are solved so often.
        steps: of the sparse solver in each round.
        threshold: in standard deviations of the present residual.
    """
    step, activation, fit = start.step, start.activation, start.fit
    for _ in range(rounds):
        convolution = Convolution(fit, step.layers.long_waves)
        found = sparse_activation(convolution, in_noise(step.layers, fit), activation, threshold, steps)
        if not found.any():
            return start
        strongest = np.sort(found.ravel())[-_STRONGEST:]
        activation = (found / strongest.mean()).astype(np.float32)
        fit = step.solve(activation)
    return Candidate(step, activation, fit, start.score)


def in_noise(layers: Layers, fit: KernelFit) -> Image:
    """Return the layers in units of the residual's standard deviation of each; 0 where not measured."""
    return np.asarray(layers.values / np.sqrt(fit.variances)[:, None, None], dtype=np.float32)


def cut(candidate: Candidate, most: int) -> Candidate | None:
    """Return the scored candidate of the peaks of an activation map with amplitudes; None where it has hardly any."""
    activation = cut_activation(candidate.activation, most)
    return scored(candidate.step, activation) if activation.sum() >= _LEAST_PEAKS else None


def with_flips(start: Candidate, rounds: int, sweeps: int = 1) -> Candidate:
    """Return the best candidate on the way of flips and kernels in turn."""
    best = current = start
    stalled = 0
    for _ in range(rounds):
        flips = ActivationFlips(
            Convolution(current.fit, current.step.layers.long_waves), in_noise(current.step.layers, current.fit), current.activation
        )
        activation = flips.improve(sweeps)
        if not flips.changes or not activation.any():
            break
        current = scored(current.step, activation)
        if current.score > best.score:
            best, stalled = current, 0
        else:
            stalled += 1
            if stalled > _MOST_STALLED:
                break
    return best


def with_moves(start: Candidate, rounds: int) -> Candidate:
    """Return the candidate after rounds in which defects only move, the kernels following: none is added or removed."""
    current = start
    for _ in range(rounds):
        flips = ActivationFlips(
            Convolution(current.fit, current.step.layers.long_waves), in_noise(current.step.layers, current.fit), current.activation
        )
        flips.move()
        if not flips.changes:
            break
        current = scored(current.step, flips.activation)
    return current
