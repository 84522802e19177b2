"""A list that a map contradicts under its noise model: repaired, and believed where the evidence of everything together says so.

Places that are off are marginalised with the noise model itself (see noise_model.defect_effects). What that cannot mend, defects that are
missing or are not there, is repaired on the map as it is, on the map without its background, or on both (a background may be what missing
defects leave; see STRONG); then the noise model is found again for the repaired list, its places marginalised as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.explained_map import ExplainedMap, explained
from qpi_core.solvers.measured.noise_model.defect_effects import may_be_moved
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStart
from qpi_core.solvers.positions.catalogue.check import Suspicion, suspect_list
from qpi_core.solvers.positions.catalogue.repair import DECISIVE
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.solvers.positions.catalogue.selection import ListedFit, repaired_list

Array = NDArray[np.float64]

STRONG, WEAK = 0.5, 0.05
"""Standard deviation of a background, in units of the signal's: below WEAK it does no harm, and a list is repaired on the map as it is; up
to STRONG also without the background, where the map as it is gave nothing decisive; from there on both ways, and the evidence decides."""
_NO_PATTERNS = 1.0
"""In the same units, from which on it is not what missing defects leave: the list is repaired without it alone, which saves minutes.

Measured: 0.5 to 0.8 where up to six in ten of few defects were missing (seeds 9106 and 9109), 1.0 to 2.7 for backgrounds of the signal's
strength and twice it (seed 9502).
"""


def with_a_right_list(problem: HarmonicProblem, given: ListedFit, found: ExplainedMap, noisy: NoisyStart) -> ExplainedMap | None:
    """Return the map explained by the list as it is, or by a repaired one that is decidedly better; None where that leaves white noise.

    Args:
        problem: the map.
        given: the list as given, with its first stage under white noise.
        found: the map explained by it, its places moved where the map asks for it.
        noisy: the first stage of that.
    """
    positions, own = found.listed.positions, noisy.start.samples.weights
    first = replace(problem, values=noisy.values).simple_fit(positions, own, noisy.start)
    suspicion, _ = suspect_list(found.cleaned, first, positions, own)
    if suspicion is Suspicion.NONE:
        return found
    removed, signal = float(found.noise.removable().std()), found.noise.signal
    as_it_is, without = (problem.values, given.weights), (found.cleaned, own)
    shown_in = ((as_it_is, removed < _NO_PATTERNS * signal), (without, removed > WEAK * signal))
    views = [view for view, tried in shown_in if tried]
    best: ExplainedMap | None = found
    most = found.evidence + DECISIVE
    for values, weights in views:
        shown = replace(problem, values=values)
        begun = values is problem.values and noisy.moves is None
        repaired = _repaired(shown, positions, weights, given.start if begun else shown.start(positions, weights))
        if repaired is None:
            continue
        mended, evidence = _explained_by(problem, given.positions, repaired, noisy)
        if evidence > most:
            best, most = mended, evidence
        # What looks like a strong background is one, or the patterns of missing defects: the evidence of both views says which.
        if best is None or (best is not found and removed < STRONG * signal):
            break
    return best


def _repaired(shown: HarmonicProblem, positions: Array, weights: Array, white: HarmonicStart) -> RepairedList | None:
    first = shown.simple_fit(positions, weights, white)
    level = log_evidence(first.fit, first.equations.pixels)
    return repaired_list(shown, positions, weights, white, lambda: level)


def _explained_by(problem: HarmonicProblem, given: Array, repaired: RepairedList, noisy: NoisyStart) -> tuple[ExplainedMap | None, float]:
    """Return the map explained by a repaired list, None where that leaves white noise, and its log evidence, the price taken off."""
    together = may_be_moved(len(repaired.positions))
    listed = repaired.listed_as(given) if together else repaired.positions
    known = replace(noisy, moves=repaired.positions - listed if together else None)
    again = find_noise(problem, listed, repaired.weights, problem.start(listed, repaired.weights), known=known, movable=together)
    if again is None:
        start = problem.start(repaired.positions, repaired.weights)
        return None, log_evidence(start.selection.best, start.samples.values.size) - repaired.price
    mended = explained(problem, listed, again)
    repair = repaired.settled(given, mended.listed.positions, int(np.isfinite(again.values).sum())) if together else repaired
    return replace(mended, listed=replace(mended.listed, repair=repair)), mended.evidence - repair.price
