"""The methods for several classes of defects in one map: what each one does with them, all classes solved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.estimates.caution import NO_NOISE_MODEL, Caution, CautionKind
from qpi_core.extraction.answers.request import Answer, Request
from qpi_core.extraction.answers.under_noise import beside_noise
from qpi_core.extraction.methods import Method

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.noise.model import MapNoise
    from qpi_core.solvers.harmonic.joint.start import DefectClass
    from qpi_core.solvers.layers.catalogue import LayersRepair
    from qpi_core.solvers.measured.class_map import ExplainedClasses, PlainClasses
    from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList

TOO_LARGE = Caution(
    "This map holds more than its kernels and white noise, but with several classes of defects it is too large, or has too many gaps, for "
    "background and noise to be modelled; it was taken with a constant background and white noise. Crop it to 20,000 pixels, or level it.",
    CautionKind.NOISE_NOT_MODELLED,
)


def solve_classes(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Return one answer a class; the requests share the map, each has the defects of its class.

    Where a noise model cannot be fitted, the answers are those of the plain model, and say so.
    """
    return _or_plain(lambda asked: CLASS_METHODS[method.name](method, asked), requests)


def solve_classes_as_listed(requests: Sequence[Request]) -> list[Answer]:
    """Return what `refined` makes of lists that the map itself has chosen: they are not doubted again."""
    return _or_plain(lambda asked: _corrected(asked, None), requests)


def moved_together(requests: Sequence[Request]) -> list[Answer] | None:
    """Return the kernels of all classes at places that were found along with them, background and noise (the answers' `repair`).

    None where the map does not ask for other places, or the defects are too few or too many for it.
    """
    if requests[0].noise_model == "white":
        return None
    answers = _or_plain(lambda asked: _joint_harmonic(asked, movable=True), requests)
    return answers if all(answer.repair is not None for answer in answers) else None


def _or_plain(solve: Callable[[Sequence[Request]], list[Answer]], requests: Sequence[Request]) -> list[Answer]:
    try:
        return solve(requests)
    except np.linalg.LinAlgError:
        if requests[0].noise_model == "white":
            raise
        plain = solve([replace(request, noise_model="white") for request in requests])
        return [replace(answer, notes=(*answer.notes, NO_NOISE_MODEL)) for answer in plain]


def _classes(requests: Sequence[Request]) -> list[DefectClass]:
    from qpi_core.solvers.harmonic.joint.start import DefectClass

    return [DefectClass(request.positions, request.weights) for request in requests]


def _defect_average(method: Method, requests: Sequence[Request]) -> list[Answer]:
    return [method.solve(request) for request in requests]


def _tikhonov(method: Method, requests: Sequence[Request]) -> list[Answer]:
    from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov_classes

    return [Answer(one) for one in solve_tikhonov_classes(requests[0].observation, _classes(requests), requests[0].kernel_size)]


def _joint_harmonic(requests: Sequence[Request], plain: PlainClasses | None = None, movable: bool = False) -> list[Answer]:
    """Return the harmonic kernels of all classes, under the noise model that the map asks for.

    Args:
        requests: one a class.
        plain: what is known of white noise.
        movable: the listed places may be off.
    """
    from qpi_core.solvers.harmonic.joint.fit import joint_solutions

    one, explained = requests[0], _explained(requests, plain=plain, movable=movable)
    shape, noise = (one.observation.shape[0], one.observation.shape[1]), explained.noise
    solutions = joint_solutions(explained.joint, explained.classes, shape, one.kernel_size, one.pixel_size_nm)
    if noise is None:
        small = may_be_modelled(np.isfinite(one.observation))
        unmodelled = one.noise_model == "auto" and not small and explained.leaves_more(one.observation)
        return [Answer(solution, notes=(TOO_LARGE,) if unmodelled else ()) for solution in solutions]
    answers = [_under_noise(solution, noise) for solution in solutions]
    if explained.stage is not None and explained.stage.moves is not None:
        return [_moved(*each, explained.stage.moving_gain) for each in zip(answers, requests, explained.classes, strict=True)]
    if noise.strength_spread > 0:
        return [replace(answer, weights=own.weights) for answer, own in zip(answers, explained.classes, strict=True)]
    return answers


def _moved(answer: Answer, request: Request, own: DefectClass, gain: float) -> Answer:
    """Return the answer of a class whose places were marginalised: reconstruction and residual are those of the list as given."""
    from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList

    repair = RepairedList.moved(request.positions, own.positions, own.weights, gain)
    return replace(answer, repair=repair, solution=replace(answer.solution, superposition=None))


def _harmonic(method: Method, requests: Sequence[Request]) -> list[Answer]:
    return _joint_harmonic(requests)


def _refined(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Correct the harmonic kernels wherever held-out pixels show more; under a noise model the evidence has chosen already.

    Where the map contradicts the list, the kernels are those of the list that it prefers, and reconstruction and residual those of the
    list as given, as for one class.
    """
    from qpi_core.solvers.positions.catalogue.check import is_taken_as_given

    if requests[0].effort == "fast":
        return _joint_harmonic(requests)
    repair = _repair(requests)
    mended, repairs = _mended(requests, repair)
    everywhere = np.concatenate([request.positions for request in requests])
    movable = not is_taken_as_given(requests[0].observation, everywhere)
    answers = _corrected(mended, None if repair is None else repair.begun.get(0), movable)
    if not any(repairs):
        return answers
    # Strengths are of the defects of the repaired list, which are not those that were given.
    answers = [replace(answer, weights=None, solution=replace(answer.solution, superposition=None)) for answer in answers]
    pixels, given = int(np.isfinite(requests[0].observation).sum()), [request.positions for request in requests]
    return [replace(each[0], repair=_both(*each, pixels)) for each in zip(answers, repairs, given, strict=True)]


def _both(answer: Answer, repair: RepairedList | None, given: NDArray[np.float64], pixels: int) -> RepairedList | None:
    """Return what was changed in the list of a class, (n, 2) px, that the catalogue has repaired and the noise model may have moved."""
    moved = answer.repair
    return repair if moved is None else moved if repair is None else repair.settled(given, moved.positions, pixels)


def _corrected(requests: Sequence[Request], plain: PlainClasses | None, movable: bool = False) -> list[Answer]:
    from qpi_core.solvers.refined.joint_refined import correct_jointly

    one, priors = requests[0], _joint_harmonic(requests, plain, movable)
    solutions = [answer.solution for answer in priors]
    if priors[0].noise is not None:
        kept = [replace(solution, details={**solution.details, "prior": "harmonic", "correction": "none"}) for solution in solutions]
        return [replace(answer, solution=solution) for answer, solution in zip(priors, kept, strict=True)]
    corrected = correct_jointly(one.observation, _classes(requests), one.kernel_size, solutions)
    return [replace(answer, solution=solution) for answer, solution in zip(priors, corrected, strict=True)]


def _repair(requests: Sequence[Request]) -> LayersRepair | None:
    """Return what the map, a stack of one layer, would change in the list."""
    from qpi_core.solvers.layers.catalogue import repair_over_layers
    from qpi_core.solvers.layers.problem import StackProblem

    one = requests[0]
    problem = StackProblem(one.observation[None], tuple(_classes(requests)), one.kernel_size, one.pixel_size_nm, one.noise_model)
    return repair_over_layers(problem, [0])


def _mended(requests: Sequence[Request], found: LayersRepair | None) -> tuple[Sequence[Request], Sequence[RepairedList | None]]:
    """Return the requests with the list that the map prefers, and what was changed in each class."""
    if found is None or not any(found.repairs):
        return requests, (None,) * len(requests)
    pairs = zip(requests, found.classes, strict=True)
    return [replace(request, positions=own.positions, weights=own.weights) for request, own in pairs], found.repairs


def _parametric(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Fit one formula a class to the map without what its noise model says of it."""
    from qpi_core.solvers.formula.parametric import solve_parametric_classes

    one, noise = requests[0], None
    if one.noise_model != "white":
        noise = _explained(requests, stretchable=False).noise
    image = one.observation if noise is None else np.where(noise.outliers, np.nan, one.observation - noise.removable())
    solutions = solve_parametric_classes(np.asarray(image, dtype=np.float32), _classes(requests), one.kernel_size, one.pixel_size_nm)
    return [_under_noise(solution, noise) for solution in solutions]


def _under_noise(solution: KernelSolution, noise: MapNoise | None) -> Answer:
    """Return the answer of one class for a map with a noise model, where it has one."""
    return Answer(solution) if noise is None else Answer(beside_noise(solution, noise), noise=noise)


def _explained(
    requests: Sequence[Request], stretchable: bool = True, plain: PlainClasses | None = None, movable: bool = False
) -> ExplainedClasses:
    from qpi_core.solvers.harmonic.problem import HarmonicProblem
    from qpi_core.solvers.measured.class_map import ExplainedClasses, explain_classes, fit_plainly

    one = requests[0]
    problem = HarmonicProblem(one.observation, one.kernel_size, one.pixel_size_nm)
    if one.effort == "fast":
        quick = fit_plainly(problem, _classes(requests), stretchable=False, extended=False)
        return ExplainedClasses(quick.joint, tuple(_classes(requests)), None)
    return explain_classes(problem, _classes(requests), one.noise_model, one.report, stretchable, plain, movable)


def _network(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Show the network of every class the map without what the joint harmonic solve says of the other classes."""
    requests[0].models()  # where there are none, that is said before the work
    return [method.solve(request) for request in leftovers(requests, _joint_harmonic(requests))]


def leftovers(requests: Sequence[Request], answers: Sequence[Answer]) -> list[Request]:
    """Return every class's request with the patterns of the other classes, as they were answered, taken off the map."""
    from qpi_core.operators.reconstruction import reconstruct

    shape = requests[0].observation.shape
    pairs = zip(resized(requests, answers), answers, strict=True)
    images = [reconstruct(answer.solution.wide_kernel, 0.0, one.positions, one.weights, shape) for one, answer in pairs]
    total = np.sum(images, axis=0, dtype=np.float32)
    return [replace(r, observation=r.observation - (total - image)) for r, image in zip(requests, images, strict=True)]


def resized(requests: Sequence[Request], answers: Sequence[Answer]) -> list[Request]:
    """Return the requests with the strengths that the map has given the listed defects, where it has."""
    pairs = zip(requests, answers, strict=True)
    return [request if answer.weights is None else replace(request, weights=answer.weights) for request, answer in pairs]


CLASS_METHODS: dict[str, Callable[[Method, Sequence[Request]], list[Answer]]] = {
    "defect_average": _defect_average,
    "tikhonov": _tikhonov,
    "harmonic": _harmonic,
    "parametric": _parametric,
    "refined": _refined,
    "one_step": _network,
    "two_step": _network,
}
