"""A map as it was measured: its noise model, the list of defects under it, and what each part of the map is.

The list is judged under the noise model: coloured noise is no sign of a wrong list. Where it contradicts the map all the same, it is
repaired on the map without its long waves (a model that may follow every grain of the map would also follow a wrong list), the noise
model is made afresh for the repaired list, and the evidence of both decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.components import MixedModel
from qpi_core.noise.lattice_waves import find_lattice_waves
from qpi_core.noise.selection import SelectionOptions, score_white_noise
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import SHARED
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.explained_map import ExplainedMap, explained
from qpi_core.solvers.measured.large_map import find_noise_of_map
from qpi_core.solvers.measured.mended_list import STRONG, with_a_right_list
from qpi_core.solvers.measured.model_checks.free_kernels import predict_unseen_parts
from qpi_core.solvers.measured.model_checks.kernel_or_noise import (
    CLEAN,
    DECISIVE_SHARE,
    NO_FAULT_OF_THE_KERNEL,
    predicts_unseen_parts,
    stationary_gain,
)
from qpi_core.solvers.measured.noise_model.find_noise import chances_of_white_noise
from qpi_core.solvers.measured.noise_model.noisy_start import LATTICE, NoisyStart
from qpi_core.solvers.measured.stretched_map import stretched_under_noise
from qpi_core.solvers.positions.catalogue.check import Suspicion, gain_of_another_list, is_taken_as_given, suspect_list
from qpi_core.solvers.positions.catalogue.repair import DECISIVE
from qpi_core.solvers.positions.catalogue.selection import ListedFit, fit_with_list
from qpi_core.solvers.positions.shape_score import shape_evidence

Array = NDArray[np.float64]

_NO_FAULT_OF_KERNEL_OR_LIST = {**NO_FAULT_OF_THE_KERNEL, LATTICE: 0.5}
"""The same terms, and a strong lattice."""
_PROMISING = 0.2
"""Evidence of a kernel of any shape, in units of what stationary noise could gain, below which it is not tried against a strong background
(measured, seed 72000: 0.24 to 1.7 for kernels without symmetry; below 0.1 for streaks, blurred noise, lattices and unlisted defects)."""
_OF_STATIONARY = 0.5
"""Promise of another list, in the same units, from which on it is tried first (measured, seeds 603 and 4711: 0.6 to 0.8 where missing
defects leave long waves, up to 0.38 for right lists of unequal defects, up to 0.25 for backgrounds, streaks, blur and lattices)."""


def explain_map(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    begun: HarmonicStart | None = None,
    mend_list: bool = True,
    report: Progress = no_progress,
    known: NoisyStart | None = None,
    movable: bool = True,
) -> ExplainedMap | None:
    """Return the map explained by kernel, defects, background and noise; None where white noise explains all but the kernel.

    Args:
        problem: the map.
        positions, weights: of the list as given.
        begun: first stage under white noise, where it was made already.
        mend_list: repair a list that the map contradicts; else it is taken as it is.
        report: progress, called between the steps; what it raises stops the work.
        known: noise model for another list of the same map, to begin with.
        movable: where a list is repaired its places may be off; else the map itself has given them.
    """
    begun = problem.start(positions, weights) if begun is None else begun
    report(0.1, "Looking for background and coloured noise")
    small = may_be_modelled(np.isfinite(problem.values))
    doubtful = mend_list and not is_taken_as_given(problem.values, positions)
    moved = doubtful and movable
    noisy = find_noise_of_map(problem, positions, weights, begun, known, moved)
    if noisy is None:
        return None
    report(0.5, "Solving for the kernel under the noise model")
    given, found = problem, explained(problem, positions, noisy)
    stretched = stretched_under_noise(problem, positions, found.cleaned, noisy, moved) if small else None
    if stretched is not None:
        problem, noisy = stretched
        found = explained(problem, positions, noisy)
    if doubtful and small and found.may_be_the_kernel(STRONG) and _kernel_clears_the_list(given, positions, weights, begun, found):
        return None
    if doubtful and small:
        report(0.7, "Comparing the list of defects with the map")
        white = begun if stretched is None else problem.start(positions, weights)
        mended = with_a_right_list(problem, ListedFit(positions, weights, white, found.listed.model, None), found, noisy)
        if mended is not found:
            return None if mended is None or _is_no_noise(given, positions, weights, begun, mended) else mended
    if found.may_be_the_kernel(STRONG):
        fits: tuple[ListedFit, ...] = (ListedFit(positions, weights, begun, given.fit(positions, weights, begun), None),)
        if doubtful and not small:
            fits = fit_with_list(problem.values, positions, problem.kernel_size, weights, problem.pixel_size_nm, begun)
        if fits[-1].worth() > found.evidence:
            return None
    return found


def _is_no_noise(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, mended: ExplainedMap) -> bool:
    """Say whether what a repaired list leaves is explained better by a kernel of another shape than by a noise model."""
    if not mended.may_be_the_kernel(STRONG):
        return False
    price = 0.0 if mended.listed.repair is None else mended.listed.repair.price
    fits = fit_with_list(problem.values, positions, problem.kernel_size, weights, problem.pixel_size_nm, begun)
    return fits[-1].worth() > mended.evidence - price


def _kernel_clears_the_list(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, found: ExplainedMap) -> bool:
    """Say whether a kernel of any shape under white noise beats the noise model, and leaves nothing that speaks against the list."""
    model = problem.fit(positions, weights, begun)
    if ListedFit(positions, weights, begun, model, None).worth() < found.evidence + DECISIVE:
        return False
    return suspect_list(problem.values, model, positions, weights)[0] is Suspicion.NONE


def holds_only_kernels(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> bool:
    """Say whether a map that the first stage does not explain is kernels of the listed defects all the same, and nothing else."""
    if begun.stretch is not None or is_explained(begun.selection.best, begun.floor):
        return False
    if may_be_modelled(np.isfinite(problem.values)):  # of a larger map no such chances are known
        chances = chances_of_white_noise(problem, positions, weights, begun)
        if min(chances.values(), default=1.0) >= SelectionOptions().probability:
            return False
    listed = [DefectClass(positions, weights)]
    # Whoever asks again of the same first stage gets what was found.
    return begun.remembered("free kernels", lambda: predict_unseen_parts(problem.values, listed, problem.kernel_size))


def explained_by_white_noise(
    problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart
) -> tuple[ListedFit, ...] | None:
    """Return the fits of another kernel or another list where these alone explain a map that the first stage did not.

    Kernels of another shape, and defects that are a little off, leave patterns with the grain of the kernel, which a noise model could
    take up, but hardly any long waves, offset rows or lattice. So where these are weak, kernel and list are looked at first. None:
    they are not weak, nothing needed explaining, or something is left.
    """
    chances = chances_of_white_noise(problem, positions, weights, begun)
    limit = SelectionOptions().probability
    if not any(chance < limit for chance in chances.values()):
        return None
    if _is_no_fault_of_kernel_or_list(chances) and not _promises_more_than_noise(problem, positions, weights, begun):
        return _explained_by_the_kernel(problem, positions, weights, begun)
    fits = fit_with_list(problem.values, positions, problem.kernel_size, weights, problem.pixel_size_nm, begun)
    model = fits[-1].model
    white = model.excess == 1.0 and _leaves_white_noise(problem.values, model)
    if white and model.fit.hyperparameters.mixing_kind == SHARED:
        return fits
    # Independent profiles of many orders follow almost anything around the defects: where they gain no more than a noise model could,
    # the evidence has to decide (explain_map).
    first = problem.simple_fit(positions, weights, begun)
    gain = fits[-1].worth() - log_evidence(first.fit, first.equations.pixels)
    settled = white or model.fit.evidence.variance < CLEAN * float(np.nanvar(problem.values))
    stationary = stationary_gain(_left(problem.values, first))
    decisive = gain > DECISIVE_SHARE * stationary or (gain > stationary and predicts_unseen_parts(fits[-1].start, model))
    return fits if settled and decisive else None


def _promises_more_than_noise(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> bool:
    """Say whether another list promises a good part of what noise of any spectrum could gain: strong patterns have long waves as well."""
    if is_taken_as_given(problem.values, positions):
        return False
    first = problem.simple_fit(positions, weights, begun)
    return gain_of_another_list(problem.values, first, weights) > _OF_STATIONARY * stationary_gain(_left(problem.values, first))


def holds_more_than_patterns(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> bool:
    """Say whether the first stage leaves long waves, offset rows or a lattice, which no error of kernel or list can be."""
    return _is_no_fault_of_kernel_or_list(chances_of_white_noise(problem, positions, weights, begun))


def _is_no_fault_of_kernel_or_list(chances: Mapping[str, float]) -> bool:
    return any(chances.get(name, 1.0) < least for name, least in _NO_FAULT_OF_KERNEL_OR_LIST.items())


def _explained_by_the_kernel(
    problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart
) -> tuple[ListedFit, ...] | None:
    """Return the fit of a kernel of any shape where it explains even what looks like long waves, offset rows or a lattice, for certain.

    It has to leave white noise or next to nothing, to clear the list, to gain more than any noise model could, and to predict parts of
    the map that it has not seen, which a kernel that follows a background does not.
    """
    first = problem.simple_fit(positions, weights, begun)
    stationary = stationary_gain(_left(problem.values, first))
    if is_taken_as_given(problem.values, positions) or shape_evidence(begun) < _PROMISING * stationary:
        return None
    given = ListedFit(positions, weights, begun, problem.fit(positions, weights, begun), None)
    gain = given.worth() - log_evidence(first.fit, first.equations.pixels)
    clean = given.model.fit.evidence.variance < CLEAN * float(np.nanvar(problem.values))
    settled = clean or _leaves_white_noise(problem.values, given.model)
    certain = given.model.excess == 1.0 and gain > DECISIVE_SHARE * stationary and settled
    if not certain or not predicts_unseen_parts(begun, given.model):
        return None
    return (given,) if suspect_list(problem.values, given.model, positions, weights)[0] is Suspicion.NONE else None


def _leaves_white_noise(values: NDArray[np.float32], model: HarmonicModel) -> bool:
    """Say whether no test finds anything but white noise in what a model leaves of a map."""
    mixed, left = MixedModel(values.astype(np.float64), (), model.aspect, model.floor), _left(values, model)
    options = SelectionOptions()
    chances = score_white_noise(mixed, left, model.fit.evidence.variance, options)
    return min(chances.values()) > options.probability and not find_lattice_waves(left)


def _left(values: NDArray[np.float32], model: HarmonicModel) -> Array:
    """Return what a model leaves of a map, (height, width), with mean 0."""
    left = np.asarray(values - superposition(model, (values.shape[0], values.shape[1])), dtype=np.float64)
    return left - float(np.nanmean(left))
