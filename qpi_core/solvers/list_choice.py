"""The list of defects as given, or a repaired one: which of them the harmonic solver should explain the map with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics import neighbour_correlation
from qpi_core.solvers.harmonic_model import HarmonicModel
from qpi_core.solvers.harmonic_problem import HarmonicProblem
from qpi_core.solvers.harmonic_search import SHARED
from qpi_core.solvers.harmonic_selection import log_evidence
from qpi_core.solvers.harmonic_start import HarmonicStart
from qpi_core.solvers.list_repair import DECISIVE, Suspicion, repair_list, suspect_list
from qpi_core.solvers.repaired_list import RepairedList
from qpi_core.solvers.solution import KernelSolution

Array = NDArray[np.float64]

_WHITE_DEVIATIONS = 1.5
"""Standard deviations of the correlation between neighbours up to which a residual counts as white."""


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


def fit_with_list(
    values: NDArray[np.float32], positions: Array, kernel_size: int, weights: Array, pixel_size_nm: tuple[float, float] | None
) -> tuple[ListedFit, ...]:
    """Return the harmonic model for the list as given or, where the map contradicts it, for a repaired one; arguments as for fit_harmonics.

    A list that is clearly wrong is repaired before anything costly is tried with it. One that may be wrong is left alone where more
    angular orders and independent profiles explain all that it leaves: a kernel of an unusual shape looks like it. Where neither
    list explains all, both come back, the repaired one last: a kernel of no symmetry at all may still decide (prefer_repaired).
    """
    problem = HarmonicProblem(values, kernel_size, pixel_size_nm)
    start = problem.start(positions, weights)
    if _leaves_white_noise(start, values):
        return (ListedFit(positions, weights, start, problem.fit(positions, weights, start), None),)
    first = problem.simple_fit(positions, weights, start)
    suspicion = suspect_list(values, first, positions, weights)
    repaired: ListedFit | None = None
    if suspicion is Suspicion.CLEAR:
        repaired = _repaired(problem, positions, weights, first)
        if repaired is not None and _explains_all(repaired.model):
            return (repaired,)
    model = problem.fit(positions, weights, start)
    given = ListedFit(positions, weights, start, model, None)
    shaped = model.excess == 1.0 and (model.fit.hyperparameters.mixing_kind != SHARED or model.stretch is not None)
    if suspicion is Suspicion.POSSIBLE and not shaped:
        repaired = _repaired(problem, positions, weights, first)
    if repaired is None or repaired.repair is None:
        return (given,)
    pixels = model.equations.pixels
    gain = log_evidence(repaired.model.fit, pixels) - log_evidence(model.fit, pixels) - repaired.repair.price
    if gain < DECISIVE:
        return (given,)
    return (repaired,) if _explains_all(repaired.model) else (given, repaired)


def prefer_repaired(given: KernelSolution, repaired: KernelSolution, price: float, pixels: int) -> bool:
    """Say whether a repaired list is worth its price by the noise that the two solutions leave, their freedom taken into account."""
    if min(given.noise_sigma, repaired.noise_sigma) <= 0:
        return repaired.noise_sigma < given.noise_sigma
    return bool(pixels * np.log(given.noise_sigma / repaired.noise_sigma) - price > DECISIVE)


def _repaired(problem: HarmonicProblem, positions: Array, weights: Array, first: HarmonicModel) -> ListedFit | None:
    repair = repair_list(problem, positions, weights, first)
    if repair is None:
        return None
    start = problem.start(repair.positions, repair.weights)
    return ListedFit(repair.positions, repair.weights, start, problem.fit(repair.positions, repair.weights, start), repair)


def _leaves_white_noise(start: HarmonicStart, values: NDArray[np.float32]) -> bool:
    """Say whether neighbouring pixels of what the first stage leaves are as unrelated as those of white noise.

    The cheapest look at a list: what a wrong one leaves has the grain of the kernel.
    """
    if start.samples.values.size < int(np.isfinite(values).sum()):
        return False
    fit, (dy, dx) = start.selection.best, start.aspect
    left = np.full(values.shape, np.nan, dtype=np.float32)
    rows, columns = np.rint(start.samples.y / dy).astype(np.intp), np.rint(start.samples.x / dx).astype(np.intp)
    left[rows, columns] = start.design.residual(fit.hyperparameters.orders, fit.evidence.profiles)
    return bool(neighbour_correlation(left) < _WHITE_DEVIATIONS / np.sqrt(start.samples.values.size))


def _explains_all(model: HarmonicModel) -> bool:
    """Say whether one symmetric kernel leaves white noise."""
    return model.excess == 1.0 and model.fit.hyperparameters.mixing_kind == SHARED
