"""Lists of defects that the map contradicts: some are missing, some are not there, all are a little off.

What a wrong list costs is more than any noise: a kernel that is blurred by clicks half a pixel off, or that has to explain the waves
of defects nobody listed. So the list is a nuisance parameter. The harmonic kernel of the list as it is finds, in what it leaves of
the map, the strongest patterns like itself (matched filter), and defects whose pattern the map does not show; a score test says
whether moving the defects would explain more than chance. A kernel that clicks have blurred suggests defects that are not there, and
one that lacks defects suggests moves, so both orders of repair are tried where the first does not explain all. The result is
believed only where its evidence exceeds that of the list as given after the price of every change: the prior of a click's error, the
number of places where a defect could have been missed, the precision with which it was found (Laplace's approximation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.model_checks.whiteness import model_leaves_white_noise
from qpi_core.solvers.positions.catalogue.check import is_incomplete
from qpi_core.solvers.positions.catalogue.repair_steps import SETTLING, ListState, RepairSteps, position_prior
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.solvers.positions.score_test import score_moves
from qpi_core.solvers.positions.variable_projection import joint_system, occam

Array = NDArray[np.float64]

_MOST_REFINEMENTS = 3
_NEAR_RIVAL = 0.5
"""Share of what another shape of the kernel gains that a repaired list must gain before it is repaired in yet another order."""
_OF_MOVES = 0.4
"""Gain of the first few added defects, in units of what moving the list gained, from which on it is completed whatever moves promise
(measured, seeds 600 and 604: 0.02 to 0.15 where clicks are off, 0.90 where defects are missing)."""
DECISIVE = 10.0
"""Log evidence that a repaired list has to be ahead, the price of its changes taken off."""


def repair_list(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    first: HarmonicModel,
    rival: Callable[[], float],
    explains_all: Callable[[RepairedList], bool],
) -> RepairedList | None:
    """Return a list that explains the map decidedly better than the first model, that of the list as given, or None.

    Args:
        problem: the map.
        positions, weights: the list as given.
        first: its model with one shared profile.
        rival: gives the log evidence that the given list reaches with a kernel of any shape; it is asked only where one order of repair
            does not settle the matter, for the other one is not worth its time where the first comes nowhere near.
        explains_all: says whether a repaired list leaves nothing with a kernel of any shape; then no other order of repair is tried.
    """
    best: RepairedList | None = None
    start = log_evidence(first.fit, first.equations.pixels)
    for steps, state in _attempts(problem, ListState(positions, weights, np.arange(len(positions)), first)):
        if state.model is first:
            continue
        state = steps.at_its_best(state, positions)
        judged = _judged(problem, state, first, positions)
        if judged is not None and (best is None or judged.gain > best.gain):
            best = judged
        # A list that was both completed and moved may have got there by the wrong way.
        one_way = judged is not None and not (judged.changed and judged.moved_px.any())
        if one_way and model_leaves_white_noise(state.model, problem.values):
            break
        if judged is not None and judged is best and explains_all(judged):
            break
        if log_evidence(state.model.fit, first.equations.pixels) - start < _NEAR_RIVAL * (rival() - start):
            break
    return best


def _attempts(problem: HarmonicProblem, given: ListState) -> Iterator[tuple[RepairSteps, ListState]]:
    """Yield the list repaired in one order, then in the other: first completed, or first moved.

    Missing defects can make a score that hides them: each of them gains little, moving all the others gains more. So a list that was moved
    is at last completed whatever moves promise, if a few more defects gain nearly as much as all the moves did.
    """
    score = score_moves(given.model)
    incomplete = is_incomplete(problem.values, given.model, given.points, given.weights, score)
    adding, moving = RepairSteps(problem, incomplete), RepairSteps(problem, False)
    gained = np.inf
    if not incomplete and score.decisive:
        moved = moving.moved(given)
        gained = _gain(moved, given)
        yield moving, _mended(moving, moving.completed(moved))
    completed = adding.completed(given)
    if completed is not given or not score.decisive:
        yield adding, _mended(adding, completed)
    if incomplete and score.decisive:
        yield moving, _mended(moving, moving.completed(moving.moved(given)))
    if not incomplete and score.blurred:
        bold = RepairSteps(problem, True, despite_moves=True)
        begun = bold.with_missing(given, score)
        if begun is not given and _gain(begun, given) > _OF_MOVES * gained:
            yield bold, _mended(bold, bold.completed(begun))


def _gain(state: ListState, before: ListState) -> float:
    """Return by how much the log evidence of a state's model is above that of another one."""
    pixels = before.model.equations.pixels
    return log_evidence(state.model.fit, pixels) - log_evidence(before.model.fit, pixels)


def _mended(steps: RepairSteps, state: ListState) -> ListState:
    """Return a completed state moved and completed in turn until neither changes it."""
    for _ in range(_MOST_REFINEMENTS):
        # Places that are not settled would be taken for clicks that are off.
        state = steps.settled(state, SETTLING)
        if not score_moves(state.model).decisive:
            break
        complete = steps.completed(steps.moved(state))
        grown = len(complete.points) != len(state.points)
        state = complete
        if not grown:
            break
    return state


def _judged(problem: HarmonicProblem, state: ListState, first: HarmonicModel, given: Array) -> RepairedList | None:
    """Return the repaired list where its evidence pays for the changes."""
    listed = state.origin >= 0
    added = int(np.sum(~listed))
    absent = np.setdiff1d(np.arange(len(given)), state.origin[listed])
    shifts = state.points[listed] - given[state.origin[listed]]
    pixels = first.equations.pixels
    sigma = position_prior(state, problem, bool(np.any(shifts)))
    price = 0.5 * float(np.sum(shifts**2)) / state.click_sigma**2 + np.log(pixels) * len(absent) / 2
    if sigma.any():
        price += occam(joint_system(state.model), sigma)
    gain = log_evidence(state.model.fit, pixels) - log_evidence(first.fit, pixels) - price
    if gain < DECISIVE:
        return None
    return RepairedList(
        state.points, state.weights, added, tuple(int(i) for i in absent), np.hypot(*shifts.T), sigma, float(gain), float(price)
    )
