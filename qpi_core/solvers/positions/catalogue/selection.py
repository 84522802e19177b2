"""The list of defects as given, or a repaired one: which of them the harmonic solver should explain the map with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.solution import KernelSolution
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import SHARED
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.model_checks.whiteness import model_leaves_white_noise, start_leaves_white_noise
from qpi_core.solvers.positions.catalogue.check import Suspicion, is_taken_as_given, suspect_list
from qpi_core.solvers.positions.catalogue.repair import DECISIVE, repair_list
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.solvers.positions.score_test import score_moves
from qpi_core.solvers.positions.shape_score import shape_evidence

Array = NDArray[np.float64]

_CERTAIN_GAIN, _CERTAIN_SHARE = 100.0, 0.25
"""Log evidence that a stretch gains with the list as given, and its share of what moved defects promise, from which on the kernel is
stretched and the list is repaired for such a kernel first. (Measured, seed 600, 64 x 64 pixels, noise 0.02 to 0.7, clicks 0.7 px off or a
tenth missing: gains of 9 to 55, once 166, and shares of 0.01 to 0.08, once 0.36, for kernels that are not stretched; 91 to 1270 and 0.3
to 2.1 for most that are.)"""


@dataclass(frozen=True)
class ListedFit:
    """The harmonic model with the list that it explains the map with.

    Attributes:
        positions, weights: of that list.
        start, model: for that list.
        repair: what was changed, None where the list is the one that was given.
    """

    positions: Array
    weights: Array
    start: HarmonicStart
    model: HarmonicModel
    repair: RepairedList | None

    def worth(self) -> float:
        """Return the log evidence less the price of the repair and of the two numbers of a stretch."""
        price, pixels = 0.0 if self.repair is None else self.repair.price, self.model.equations.pixels
        if self.model.stretch is not None:
            price += float(np.log(pixels))
        return log_evidence(self.model.fit, pixels) - price


def fit_with_list(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None,
    start: HarmonicStart | None = None,
) -> tuple[ListedFit, ...]:
    """Return the harmonic model for the list as given or, where the map contradicts it, for a repaired one; arguments as for fit_harmonics.

    A list that is clearly wrong is repaired before anything costly is tried with it, unless a kernel of another shape promises more
    (shape_score) and, once solved for, clears it. One that may be wrong is left alone where more angular orders and independent profiles
    gain more than moved defects promise, and leave white noise: a kernel of an unusual shape looks like it (measured, shape over moves:
    below 0.3 where clicks are off, 1.2 to 40 for strained, one-sided and band kernels). Else the evidence decides.
    Where neither list explains all, both come back, the repaired one last: a kernel of no symmetry at all may still decide
    (prefer_repaired). All of this is done for a round kernel first: wrong positions can pass for a stretch of the kernel, and only what
    a round one leaves unexplained asks for a stretched one.
    """
    problem = HarmonicProblem(values, kernel_size, pixel_size_nm)
    start = problem.start(positions, weights) if start is None else start
    return start.remembered("list", lambda: _fitted(problem, positions, weights, start))


def _fitted(problem: HarmonicProblem, positions: Array, weights: Array, start: HarmonicStart) -> tuple[ListedFit, ...]:
    """Return the fits of fit_with_list; start is the first stage of the problem for the list as given."""
    values = problem.values
    if is_taken_as_given(values, positions) or start_leaves_white_noise(start, values):
        return (ListedFit(positions, weights, start, problem.fit(positions, weights, start), None),)
    stretched, its_start = problem.stretched(positions, weights, start)
    if stretched is not problem and start_leaves_white_noise(its_start, values):
        return (ListedFit(positions, weights, its_start, stretched.fit(positions, weights, its_start), None),)
    if stretched is not problem and _is_certainly_stretched(problem, positions, weights, start, its_start):
        others = _chosen(stretched, positions, weights, its_start)
        # The fit of a repaired list finds the stretch again, and compares it with none.
        if others[-1].model.stretch is not None and others[-1].model.excess == 1.0:
            return others
    fits = _chosen(problem, positions, weights, start)
    last = fits[-1]
    if last.model.stretch is not None and last.repair is not None:
        # Only the repaired list has shown that the kernel is stretched, and was repaired without knowing it.
        stretched = replace(problem, stretch=last.model.stretch.numbers)
        its_start = stretched.start(positions, weights)
    if stretched is problem or (_explains_all(last.model) and last.model.stretch is None):
        return fits
    others = _chosen(stretched, positions, weights, its_start)
    return others if others[-1].worth() > last.worth() + DECISIVE else fits


def _is_certainly_stretched(
    problem: HarmonicProblem, positions: Array, weights: Array, start: HarmonicStart, stretched: HarmonicStart
) -> bool:
    """Say whether a stretch of the kernel gains more than wrong positions could give it; start is the first stage without it."""
    pixels = start.samples.values.size
    gain = log_evidence(stretched.selection.best, pixels) - log_evidence(start.selection.best, pixels)
    if gain < _CERTAIN_GAIN:
        return False
    moves = score_moves(problem.simple_fit(positions, weights, start)).gain
    return bool(gain > _CERTAIN_SHARE * moves)


def _chosen(problem: HarmonicProblem, positions: Array, weights: Array, start: HarmonicStart) -> tuple[ListedFit, ...]:
    """Return the fits of fit_with_list in the coordinates of a problem; start is its first stage for the list as given."""
    first = problem.simple_fit(positions, weights, start)
    suspicion, promised = suspect_list(problem.values, first, positions, weights)
    fitted: list[HarmonicModel] = []

    def model() -> HarmonicModel:
        if not fitted:
            fitted.append(problem.fit(positions, weights, start))
        return fitted[0]

    pixels = first.equations.pixels
    repaired: ListedFit | None = None

    def shaped() -> bool:
        return log_evidence(model().fit, pixels) - log_evidence(first.fit, pixels) > promised

    # A kernel without symmetry looks like a wrong list, until it is solved for.
    if suspicion is Suspicion.CLEAR and shape_evidence(start) > promised and shaped():
        suspicion, _ = suspect_list(problem.values, model(), positions, weights)
    # A shape that leaves something may be what missing defects have made of the kernel: then both lists are compared.
    if suspicion is Suspicion.CLEAR or (suspicion is Suspicion.POSSIBLE and not (shaped() and _leaves_nothing(model(), problem.values))):
        repaired = _repaired(problem, positions, weights, start, lambda: log_evidence(model().fit, pixels))
        if repaired is not None and suspicion is Suspicion.CLEAR and _explains_all(repaired.model):
            return (repaired,)
    given = ListedFit(positions, weights, start, model(), None)
    if repaired is None or repaired.repair is None:
        return (given,)
    gain = log_evidence(repaired.model.fit, pixels) - log_evidence(model().fit, pixels) - repaired.repair.price
    if gain < DECISIVE:
        return (given,)
    return (repaired,) if _explains_all(repaired.model) else (given, repaired)


def prefer_repaired(given: KernelSolution, repaired: KernelSolution, price: float, pixels: int) -> bool:
    """Say whether a repaired list is worth its price by the noise that the two solutions leave, their freedom taken into account."""
    if min(given.noise_sigma, repaired.noise_sigma) <= 0:
        return repaired.noise_sigma < given.noise_sigma
    return bool(pixels * np.log(given.noise_sigma / repaired.noise_sigma) - price > DECISIVE)


def repaired_list(
    problem: HarmonicProblem, positions: Array, weights: Array, start: HarmonicStart, rival: Callable[[], float]
) -> RepairedList | None:
    """Return what repair_list gives for the first stage of a list; it is made once, whatever light the map is looked at in later."""

    def explains_all(repair: RepairedList) -> bool:
        model = _fit_of(problem, repair, start).model
        if not _leaves_nothing(model, problem.values):
            return False
        return suspect_list(problem.values, model, repair.positions, repair.weights)[0] is Suspicion.NONE

    def made() -> RepairedList | None:
        first = problem.simple_fit(positions, weights, start)
        return repair_list(problem, positions, weights, first, rival, explains_all)

    return start.remembered("repair", made)


def _repaired(
    problem: HarmonicProblem, positions: Array, weights: Array, given: HarmonicStart, rival: Callable[[], float]
) -> ListedFit | None:
    repair = repaired_list(problem, positions, weights, given, rival)
    return None if repair is None else _fit_of(problem, repair, given)


def _fit_of(problem: HarmonicProblem, repair: RepairedList, given: HarmonicStart) -> ListedFit:
    """Return the whole solver's fit for a repaired list; given is the first stage of the list that it was made of."""
    points, weights = repair.positions, repair.weights

    def made() -> ListedFit:
        start = problem.start(points, weights)
        return ListedFit(points, weights, start, problem.fit(points, weights, start, changed=True), repair)

    return given.remembered(("fit of a repaired list", points.tobytes()), made)


def _leaves_nothing(model: HarmonicModel, values: NDArray[np.float32]) -> bool:
    return model.excess == 1.0 and model_leaves_white_noise(model, values)


def _explains_all(model: HarmonicModel) -> bool:
    """Say whether one symmetric kernel leaves white noise."""
    return model.excess == 1.0 and model.fit.hyperparameters.mixing_kind == SHARED
