"""The steps by which a list of defects is repaired: some added, some left out, all moved, the kernel solved along with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.positions.catalogue.candidates import absent_defects, missing_defects
from qpi_core.solvers.positions.catalogue.check import ABSENT_GAIN, LEAST_DEFECTS, PEAK_GAIN, longest_list
from qpi_core.solvers.positions.jacobian import solve_again
from qpi_core.solvers.positions.refinement import refine
from qpi_core.solvers.positions.refinement_options import RefinementOptions
from qpi_core.solvers.positions.score_test import POSITION_SIGMA_PX, MovesScore, score_moves
from qpi_core.solvers.positions.shape_score import model_of_its_shape
from qpi_core.solvers.positions.variable_projection import converged, joint_system, occam

Array = NDArray[np.float64]

_CLICK_SIGMAS = (0.35, POSITION_SIGMA_PX, 1.4)
_ROUNDS = 24
_STEPS_A_ROUND = 2
SETTLING = 12
_DOUBTFUL_GAIN, _MOST_DOUBTFUL = 7.0, 3
"""Places that gain this much are tried one by one: the kernel that goes with one more defect may gain the rest."""
_MOST_CHANGED = 0.5
"""Share of the list's length that may be absent: beyond it the list belongs to another map."""


@dataclass(frozen=True, eq=False)
class ListState:
    """A list on the way: where its defects are, which of the given list each one is (-1: none), and the kernel that goes with it.

    click_sigma is the prior deviation in px of a listed position in each direction.
    """

    points: Array
    weights: Array
    origin: NDArray[np.intp]
    model: HarmonicModel
    click_sigma: float = POSITION_SIGMA_PX


@dataclass(frozen=True)
class RepairSteps:
    """The steps by which a list is repaired.

    Attributes:
        problem: the map.
        incomplete: whether what the map shows is more likely missing or absent defects than defects that are off.
        despite_moves: add whatever gains enough by itself, also where defects that are off could make it gain as much.
    """

    problem: HarmonicProblem
    incomplete: bool
    despite_moves: bool = False

    def completed(self, state: ListState) -> ListState:
        """Return the state with the defects that are missing and without those that are absent; the same one where there are none."""
        chosen, limit = True, longest_list(len(state.points))
        for _ in range(_ROUNDS):
            score = score_moves(state.model)
            changed = self.with_missing(state, score)
            if changed is not state:
                chosen = False
            elif not chosen:
                # Symmetry and wave vector were chosen for a worse list.
                changed, chosen = replace(state, model=self.problem.simple_fit(state.points, state.weights)), True
            else:
                changed = self.without_absent(state, score)
                if changed is state and not (score.blurred if self.incomplete else score.decisive):
                    changed = self.with_a_doubtful_one(state)
            if changed is state or len(changed.points) > limit:
                break
            state = changed
        return state

    def with_missing(self, state: ListState, score: MovesScore) -> ListState:
        """Return the state with the defects that the map clearly shows beyond the list; the same one without any."""
        least = PEAK_GAIN if self.despite_moves else score.least_gain(PEAK_GAIN, self.incomplete)
        found = missing_defects(self.problem.values, state.model, float(np.median(state.weights)), least)
        return self.settled(_with(state, found), _STEPS_A_ROUND) if len(found) else state

    def without_absent(self, state: ListState, score: MovesScore) -> ListState:
        """Return the state without the defects whose pattern the map does not show; the same one where it shows all."""
        absent = absent_defects(state.model, state.points, state.weights, score.least_gain(ABSENT_GAIN, self.incomplete))
        kept = int(np.sum(~absent))
        if not absent.any() or absent.sum() > _MOST_CHANGED * absent.size or kept < LEAST_DEFECTS:
            return state
        points, weights, origin = state.points[~absent], state.weights[~absent], state.origin[~absent]
        return ListState(points, weights, origin, self.problem.simple_fit(points, weights), state.click_sigma)

    def with_a_doubtful_one(self, state: ListState) -> ListState:
        """Return the state with one more defect that pays only together with the kernel that it leads to; the same one without any."""
        found = missing_defects(self.problem.values, state.model, float(np.median(state.weights)), _DOUBTFUL_GAIN, True)
        pixels = state.model.equations.pixels
        for place in found[:_MOST_DOUBTFUL]:
            tried = self.settled(_with(state, place[None]), _STEPS_A_ROUND)
            if log_evidence(tried.model.fit, pixels) > log_evidence(state.model.fit, pixels) + PEAK_GAIN:
                return tried
        return state

    def settled(self, state: ListState, steps: int) -> ListState:
        """Return the state with the added defects led to their places, the kernel solved along with them."""
        sigma = position_prior(state, self.problem, moved=False)
        if not sigma.any():
            return state
        model = solve_again(self.problem.values, state.model, state.points, state.weights, most=None)
        points, model = converged(self.problem.values, model, state.points, state.weights, sigma, state.points, steps)
        return replace(state, points=points, model=model)

    def at_its_best(self, state: ListState, given: Array) -> ListState:
        """Return the state with everything that was moved or added, and the kernel, where they are most probable together."""
        listed = state.origin >= 0
        centres = state.points.copy()
        centres[listed] = given[state.origin[listed]]
        shifts = state.points - centres
        if shifts.any():
            state = replace(state, click_sigma=self.likely_click_sigma(state, shifts))
        sigma = position_prior(state, self.problem, moved=bool(shifts.any()))
        if not sigma.any():
            return state
        points, model = converged(self.problem.values, state.model, state.points, state.weights, sigma, centres, SETTLING)
        if points is not state.points:
            # Symmetry and wave vector were chosen for places that were not quite right.
            chosen = model_of_its_shape(self.problem, points, state.weights)
            model = max((model, chosen), key=lambda one: log_evidence(one.fit, one.equations.pixels))
        return replace(state, points=points, model=model)

    def likely_click_sigma(self, state: ListState, shifts: Array) -> float:
        """Return the deviation of clicks, out of a few, that makes shifts (n, 2) px most probable (Laplace)."""
        system = joint_system(state.model)

        def price(sigma: float) -> float:
            prior = position_prior(replace(state, click_sigma=sigma), self.problem, moved=True)
            return 0.5 * float(np.sum(shifts**2)) / sigma**2 + occam(system, prior)

        return min(_CLICK_SIGMAS, key=price)

    def moved(self, state: ListState) -> ListState:
        """Return the state with all its defects moved to where the map has them (position_refinement)."""
        found = refine(
            self.problem.values,
            state.points,
            self.problem.kernel_size,
            state.weights,
            self.problem.pixel_size_nm,
            RefinementOptions(sigma_px=POSITION_SIGMA_PX, stretch=np.zeros(2) if self.problem.stretch is None else self.problem.stretch),
        )
        return replace(state, points=found.positions, model=model_of_its_shape(self.problem, found.positions, state.weights))


def _with(state: ListState, places: Array) -> ListState:
    """Return the state with more defects of the median amplitude, their kernel still that of before."""
    weights = np.concatenate([state.weights, np.full(len(places), float(np.median(state.weights)))])
    origin = np.concatenate([state.origin, np.full(len(places), -1)])
    return replace(state, points=np.vstack([state.points, places]), weights=weights, origin=origin)


def position_prior(state: ListState, problem: HarmonicProblem, moved: bool) -> Array:
    """Return the deviation in px of every position's prior: of a click's error, of a place anywhere on the map; 0 where it stays."""
    anywhere = float(np.sqrt(np.isfinite(problem.values).sum() / (2 * np.pi)))
    return np.where(state.origin < 0, anywhere, state.click_sigma if moved else 0.0)
