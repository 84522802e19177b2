"""Whether kinds found in a map vouch for themselves: each has to be needed, and together they have to leave noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qpi_core.solvers.blind.kinds.joint_kernels import Kinds, evidence_of, solve_kinds, unexplained_by
from qpi_core.solvers.blind.polishing.score import nothing_score
from qpi_core.solvers.blind.trust.verdict import FEWEST_DEFECTS, LEAST_GAIN, OF_THE_SEARCH, doubt_about_rest, residual_correlation

_LEAST_A_KIND = 100.0
"""Log evidence that every kind has to bring beyond the other kinds alone, and beyond one kind in place of two."""
KINDS_TRUSTED = "What the kernels of all kinds at the defects found leave of the map is the map's own noise, and each kind is needed."


def doubt_about_kinds(kinds: Kinds) -> str | None:
    """Return why kinds are not to be trusted, in words; None where they are."""
    layers, evidence = kinds[0].step.layers, evidence_of(kinds)
    if evidence - nothing_score(layers.pixels) < LEAST_GAIN:
        return "No pattern stands out of the noise: nothing in the map repeats itself."
    counts = [int(kind.activation.sum()) for kind in kinds]
    if min(counts) < FEWEST_DEFECTS:
        return f"One kind has only {min(counts)} defects, which is too few to tell its kernel from where they are."
    if any(evidence - evidence_of(fewer) < _LEAST_A_KIND for fewer in _with_one_less(kinds)):
        return f"{len(kinds) - 1} of the {len(kinds)} kinds explain the map as well: the last is not needed, or two are the same."
    correlated = residual_correlation(kinds[0].fit.residuals, layers.measured)
    return doubt_about_rest(unexplained_by(kinds), correlated, float(np.mean(layers.noise)), OF_THE_SEARCH)


def _with_one_less(kinds: Kinds) -> Iterator[Kinds]:
    """Yield the kinds without each of them, and with each two of them taken for one."""
    parts = [(kind.step, kind.activation) for kind in kinds]
    for number, (_, activation) in enumerate(parts):
        others = parts[:number] + parts[number + 1 :]
        yield solve_kinds(others)
        for place, (step, own) in enumerate(others):
            yield solve_kinds([*others[:place], (step, np.maximum(own, activation)), *others[place + 1 :]])
