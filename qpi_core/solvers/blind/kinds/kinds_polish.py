"""Activation maps of several kinds polished in turn, each against what the others leave, with the kernels of all after every turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qpi_core.solvers.blind.kinds.joint_kernels import Kind, Kinds, evidence_of, solve_kinds
from qpi_core.solvers.blind.polishing.activation_flips import ActivationFlips
from qpi_core.solvers.blind.polishing.convolution import Convolution, Image
from qpi_core.solvers.blind.polishing.sparse_activation import sparse_activation
from qpi_core.solvers.blind.start.peak_threshold import cut_activation

_STRONGEST = 20
_FEWEST = 2


def own_share(kind: Kind, convolution: Convolution) -> Image:
    """Return what is to be explained by a kind, (energies, height, width) in units of the noise: its own patterns and what all leave."""
    rest = kind.fit.residuals / np.sqrt(kind.fit.variances)[:, None, None]
    return np.asarray(rest + convolution(kind.activation), dtype=np.float32)


def _in_turn(kinds: Kinds, change: Callable[[Kind], Image | None]) -> Kinds:
    """Return the kinds after each was changed against what the others leave; None from change leaves a kind as it is."""
    for number in range(len(kinds)):
        changed = change(kinds[number])
        if changed is not None:
            parts = [(kind.step, kind.activation) for kind in kinds]
            parts[number] = (kinds[number].step, changed)
            kinds = solve_kinds(parts)
    return kinds


def kinds_with_amplitudes(kinds: Kinds, rounds: int, steps: int, threshold: float) -> Kinds:
    """Return the kinds after rounds of sparse activation maps with amplitudes; see `with_amplitudes`."""

    def sparse(kind: Kind) -> Image | None:
        convolution = Convolution(kind.fit, kind.step.layers.long_waves)
        found = sparse_activation(convolution, own_share(kind, convolution), kind.activation, threshold, steps)
        if not found.any():
            return None
        return np.asarray(found / np.sort(found.ravel())[-_STRONGEST:].mean(), dtype=np.float32)

    for _ in range(rounds):
        kinds = _in_turn(kinds, sparse)
    return kinds


def cut_kinds(kinds: Kinds, most: int) -> Kinds | None:
    """Return the kinds of the peaks of their activation maps; None where one has hardly any."""
    cut = [cut_activation(kind.activation, most) for kind in kinds]
    if min(float(one.sum()) for one in cut) < _FEWEST:
        return None
    return solve_kinds([(kind.step, activation) for kind, activation in zip(kinds, cut, strict=True)])


def kinds_with_flips(kinds: Kinds, rounds: int) -> Kinds:
    """Return the best kinds on the way of additions, removals and moves of single defects, kind after kind."""

    def flipped(kind: Kind) -> Image | None:
        convolution = Convolution(kind.fit, kind.step.layers.long_waves)
        flips = ActivationFlips(convolution, own_share(kind, convolution), kind.activation)
        activation = flips.improve(1)
        return activation if flips.changes and activation.any() else None

    best, evidence = kinds, evidence_of(kinds)
    for _ in range(rounds):
        following = _in_turn(kinds, flipped)
        if following is kinds:
            break
        kinds = following
        if evidence_of(kinds) > evidence:
            best, evidence = kinds, evidence_of(kinds)
    return best
