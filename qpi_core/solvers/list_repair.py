"""Lists of defects that the map contradicts: some are missing, some are not there, all are a little off.

What a wrong list costs is more than any noise: a kernel that is blurred by clicks half a pixel off, or that has to explain the waves
of defects nobody listed. So the list is a nuisance parameter. The harmonic kernel of the list as it is finds, in what it leaves of
the map, the strongest patterns like itself (matched filter), and defects whose pattern the map does not show; a score test says
whether moving the defects would explain more than chance. Kernel and list are solved in turn until neither changes. The result is
believed only where its evidence exceeds that of the list as given after the price of every change: the prior of a click's error, the
number of places where a defect could have been missed, the precision with which it was found (Laplace's approximation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic_model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic_problem import HarmonicProblem
from qpi_core.solvers.harmonic_selection import log_evidence
from qpi_core.solvers.joint_positions import converged, joint_system, occam
from qpi_core.solvers.moves_score import POSITION_SIGMA_PX, MovesScore, score_moves
from qpi_core.solvers.position_refinement import refine
from qpi_core.solvers.position_sensitivities import solve_again
from qpi_core.solvers.repaired_list import RepairedList
from qpi_core.solvers.unlisted_defects import absent_defects, missing_defects

Array = NDArray[np.float64]

LEAST_DEFECTS = 3
"""One or two defects can be anywhere: what moves them moves the kernel."""
MOST_DEFECTS, MOST_PIXELS = 200, 40_000
"""Larger problems are taken as they are: their positions can be refined on request."""
_ROUNDS, _MOST_REFINEMENTS = 24, 3
_STEPS_A_ROUND = 2
_SETTLING = 12
_PEAK_GAIN = 14.0
"""Log likelihood that a missing defect must gain at its place: chance gives 9 somewhere on a map of 64 x 64 pixels."""
_DOUBTFUL_GAIN, _MOST_DOUBTFUL = 7.0, 3
"""Places that gain this much are tried one by one: the kernel that goes with one more defect may gain the rest."""
_ABSENT_GAIN = 10.0
_MOST_CHANGED = 0.5
"""Share of the list's length that may be missing or absent: beyond it the list belongs to another map."""
DECISIVE = 10.0
"""Log evidence that a repaired list has to be ahead, the price of its changes taken off."""
_WHITE_FLOORS = 10.0


class Suspicion(Enum):
    """How doubtful a list is."""

    NONE = "none"
    POSSIBLE = "possible"
    CLEAR = "clear"


def suspect_list(values: NDArray[np.float32], first: HarmonicModel, positions: Array, weights: Array) -> Suspicion:
    """Say whether a map contradicts a list; first is the model of fit_harmonics(extended=False) for it."""
    explained = first.fit.evidence.variance < _WHITE_FLOORS * first.floor
    crowded = len(positions) > MOST_DEFECTS or values.size > MOST_PIXELS
    if len(positions) < LEAST_DEFECTS or crowded or explained or pattern_gain(first) < LEAST_GAIN:
        return Suspicion.NONE
    score = score_moves(first, values, positions, weights)
    if len(missing_defects(values, first, float(np.median(weights)), score.least_gain(_PEAK_GAIN))):
        return Suspicion.CLEAR
    if score.decisive:
        return Suspicion.CLEAR if score.blurred else Suspicion.POSSIBLE
    return Suspicion.CLEAR if absent_defects(first, positions, weights, score.least_gain(_ABSENT_GAIN)).any() else Suspicion.NONE


def repair_list(problem: HarmonicProblem, positions: Array, weights: Array, first: HarmonicModel) -> RepairedList | None:
    """Return a list that explains the map decidedly better than the first model, that of the list as given, or None."""
    repair = _Repair(problem)
    given = _State(positions, weights, np.arange(len(positions)), first)
    state = repair.completed(given)
    for _ in range(_MOST_REFINEMENTS):
        # Places that are not settled would be taken for clicks that are off.
        state = repair.settled(state, _SETTLING)
        if not score_moves(state.model, problem.values, state.points, state.weights).decisive:
            break
        complete = repair.completed(repair.moved(state))
        grown = len(complete.points) > len(state.points)
        state = complete
        if not grown:
            break
    return None if state.model is first else _judged(problem, repair.at_its_best(state, positions), first, positions)


@dataclass(frozen=True, eq=False)
class _State:
    """A list on the way: where its defects are, which of the given list each one is (-1: none), and the kernel that goes with it."""

    points: Array
    weights: Array
    origin: NDArray[np.intp]
    model: HarmonicModel


@dataclass(frozen=True)
class _Repair:
    """The steps by which a list is repaired."""

    problem: HarmonicProblem

    def completed(self, state: _State) -> _State:
        """Return the state with the defects that are missing and without those that are absent; the same one where there are none."""
        chosen, limit = True, (1 + _MOST_CHANGED) * len(state.points)
        for _ in range(_ROUNDS):
            score = score_moves(state.model, self.problem.values, state.points, state.weights)
            changed = self.with_missing(state, score)
            if changed is not state:
                chosen = False
            elif not chosen:
                # Symmetry and wave vector were chosen for a worse list.
                changed, chosen = replace(state, model=self.problem.simple_fit(state.points, state.weights)), True
            else:
                changed = self.without_absent(state, score)
                if changed is state and not score.blurred:
                    changed = self.with_a_doubtful_one(state)
            if changed is state or len(changed.points) > limit:
                break
            state = changed
        return state

    def with_missing(self, state: _State, score: MovesScore) -> _State:
        """Return the state with the defects that the map clearly shows beyond the list; the same one without any."""
        found = missing_defects(self.problem.values, state.model, float(np.median(state.weights)), score.least_gain(_PEAK_GAIN))
        return self.settled(_with(state, found), _STEPS_A_ROUND) if len(found) else state

    def without_absent(self, state: _State, score: MovesScore) -> _State:
        """Return the state without the defects whose pattern the map does not show; the same one where it shows all."""
        absent = absent_defects(state.model, state.points, state.weights, score.least_gain(_ABSENT_GAIN))
        if not absent.any() or absent.sum() > _MOST_CHANGED * absent.size:
            return state
        points, weights, origin = state.points[~absent], state.weights[~absent], state.origin[~absent]
        return _State(points, weights, origin, self.problem.simple_fit(points, weights))

    def with_a_doubtful_one(self, state: _State) -> _State:
        """Return the state with one more defect that pays only together with the kernel that it leads to; the same one without any."""
        found = missing_defects(self.problem.values, state.model, float(np.median(state.weights)), _DOUBTFUL_GAIN, True)
        pixels = state.model.equations.pixels
        for place in found[:_MOST_DOUBTFUL]:
            tried = self.settled(_with(state, place[None]), _STEPS_A_ROUND)
            if log_evidence(tried.model.fit, pixels) > log_evidence(state.model.fit, pixels) + _PEAK_GAIN:
                return tried
        return state

    def settled(self, state: _State, steps: int) -> _State:
        """Return the state with the added defects led to their places, the kernel solved along with them."""
        sigma = _position_prior(state, self.problem, moved=False)
        if not sigma.any():
            return state
        model = solve_again(self.problem.values, state.model, state.points, state.weights, most=None)
        points, model = converged(self.problem.values, model, state.points, state.weights, sigma, state.points, steps)
        return replace(state, points=points, model=model)

    def at_its_best(self, state: _State, given: Array) -> _State:
        """Return the state with everything that was moved or added, and the kernel, where they are most probable together."""
        listed = state.origin >= 0
        centres = state.points.copy()
        centres[listed] = given[state.origin[listed]]
        sigma = _position_prior(state, self.problem, moved=bool(np.any(state.points != centres)))
        if not sigma.any():
            return state
        points, model = converged(self.problem.values, state.model, state.points, state.weights, sigma, centres, _SETTLING)
        if points is not state.points:
            # Symmetry and wave vector were chosen for places that were not quite right.
            chosen = self.problem.simple_fit(points, state.weights)
            model = max((model, chosen), key=lambda one: log_evidence(one.fit, one.equations.pixels))
        return replace(state, points=points, model=model)

    def moved(self, state: _State) -> _State:
        found = refine(
            self.problem.values,
            state.points,
            self.problem.kernel_size,
            state.weights,
            position_sigma_px=POSITION_SIGMA_PX,
            pixel_size_nm=self.problem.pixel_size_nm,
        )
        return replace(state, points=found.positions, model=self.problem.simple_fit(found.positions, state.weights))


def _with(state: _State, places: Array) -> _State:
    """Return the state with more defects of the median amplitude, their kernel still that of before."""
    weights = np.concatenate([state.weights, np.full(len(places), float(np.median(state.weights)))])
    origin = np.concatenate([state.origin, np.full(len(places), -1)])
    return replace(state, points=np.vstack([state.points, places]), weights=weights, origin=origin)


def _position_prior(state: _State, problem: HarmonicProblem, moved: bool) -> Array:
    """Return the deviation in px of every position's prior: of a click's error, of a place anywhere on the map; 0 where it stays."""
    anywhere = float(np.sqrt(np.isfinite(problem.values).sum() / (2 * np.pi)))
    return np.where(state.origin < 0, anywhere, POSITION_SIGMA_PX if moved else 0.0)


def _judged(problem: HarmonicProblem, state: _State, first: HarmonicModel, given: Array) -> RepairedList | None:
    """Return the repaired list where its evidence pays for the changes."""
    listed = state.origin >= 0
    added = int(np.sum(~listed))
    absent = np.setdiff1d(np.arange(len(given)), state.origin[listed])
    shifts = state.points[listed] - given[state.origin[listed]]
    pixels = first.equations.pixels
    sigma = _position_prior(state, problem, bool(np.any(shifts)))
    price = 0.5 * float(np.sum(shifts**2)) / POSITION_SIGMA_PX**2 + np.log(pixels) * len(absent) / 2
    if sigma.any():
        price += occam(joint_system(state.model), sigma)
    gain = log_evidence(state.model.fit, pixels) - log_evidence(first.fit, pixels) - price
    if gain < DECISIVE:
        return None
    return RepairedList(
        state.points, state.weights, added, tuple(int(i) for i in absent), np.hypot(*shifts.T), sigma, float(gain), float(price)
    )
