"""From a map with several classes of defects to one kernel a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import is_constant
from qpi_core.diagnostics.classes import warn_about_classes
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.answers.first_estimate import with_effort_told
from qpi_core.extraction.answers.request import Answer, Request, constant_answer
from qpi_core.extraction.classes.class_methods import leftovers, moved_together, resized, solve_classes
from qpi_core.extraction.defects.defect_refinement import Refinement, refine_defects, refinement_at
from qpi_core.extraction.methods import METHODS, Method
from qpi_core.operators.reconstruction import superposition_of
from qpi_core.runtime.progress import Progress, part_of
from qpi_core.runtime.threads import one_thread

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

MAX_CLASSES = 12
_REFINEMENT_SWEEPS, _SETTLED_PX = 3, 0.02
_MOVING, _SOLVED = 0.6, 0.9
"""Shares of the work after which the defects have moved, and the kernels are there."""


@dataclass(frozen=True)
class ClassOptions:
    """What is asked of every class alike; see `Extractor.extract_classes`.

    `solve` takes the place of the method's own solve, for lists that the map itself has chosen.
    """

    method: Method
    kernel_size: int
    refine_positions: bool = False
    refine_weights: bool = False
    pixel_size_nm: float | tuple[float, float] | None = None
    with_latent: bool = False
    noise_model: str = "auto"
    effort: str = "full"
    solve: Callable[[Sequence[Request]], list[Answer]] | None = None


@one_thread()
def extract_classes(
    extractor: Extractor,
    observation: ArrayLike,
    positions: ArrayLike,
    classes: Sequence[object],
    weights: ArrayLike | None,
    options: ClassOptions,
    report: Progress,
) -> ClassEstimates:
    """Run a method on all classes; see `Extractor.extract_classes`, which is the way in.

    Raises:
        InputError: as that.
    """
    common = extractor.request(observation, positions, options.kernel_size, options.pixel_size_nm, weights)
    labels = require_classes(classes, len(common.positions))
    names = tuple(dict.fromkeys(labels))
    if len(names) == 1:
        return _one_class(extractor, observation, common, labels, options, report)
    members = {name: np.flatnonzero([label == name for label in labels]) for name in names}
    common = replace(common, noise_model=options.noise_model, effort=options.effort, report=part_of(report, _MOVING, _SOLVED))
    requests = [_part(common, name, chosen) for name, chosen in members.items()]
    refinements: list[Refinement | None] = [None] * len(names)
    if is_constant(common.observation):
        answers = [constant_answer(request) for request in requests]
    else:
        if options.refine_positions or options.refine_weights:
            requests, refinements = _refined_defects(requests, options, report)
        report(_MOVING, "Solving for the kernels of all classes")
        answers = solve_classes(options.method, requests) if options.solve is None else options.solve(requests)
        answers = [with_effort_told(options.method.name, common, answer) for answer in answers]
    report(_SOLVED, "Comparing with the map")
    answers = _with_common_noise(options.method, requests, answers)
    used = _together(common, members, resized(requests, answers))
    fitted = _reconstruction(requests, answers)
    original = np.asarray(observation)
    rest = leftovers(requests, answers)
    estimates = {}
    for name, request, answer, refinement, left in zip(names, requests, answers, refinements, rest, strict=True):
        estimate = extractor.assemble(options.method, request, answer, original, fitted)
        estimate = estimate if refinement is None else refinement.note(estimate)
        record = {"class": name, "classes": labels, "positions_px": used.positions, "weights": used.weights}
        estimate = replace(estimate, provenance={**estimate.provenance, "classes": json_ready(record)})
        if options.with_latent and extractor.has_model and not is_constant(common.observation):
            estimate = extractor.add_latent(estimate, left.observation)
        estimates[name] = estimate
    warnings = tuple(warn_about_classes(estimates))
    return ClassEstimates(estimates, labels, used.positions, used.weights, warnings)


def require_classes(classes: Sequence[object], count: int) -> tuple[str, ...]:
    """Return the class of each defect as a name.

    Raises:
        InputError: not one for each defect, an empty name, or more than MAX_CLASSES.
    """
    if isinstance(classes, str) or np.ndim(np.asarray(classes, dtype=object)) != 1:
        raise InputError("classes must be a list with the class of each defect, such as ['A', 'B', 'A'].")
    labels = tuple(str(label).strip() for label in classes)
    if len(labels) != count:
        raise InputError(f"classes has {len(labels)} entries for {count} positions; every defect needs one.")
    if not all(labels):
        raise InputError(f"classes has an empty entry for defect {labels.index('') + 1}; name its class.")
    if len(set(labels)) > MAX_CLASSES:
        raise InputError(f"classes has {len(set(labels))} different entries; at most {MAX_CLASSES} kernels are solved together.")
    return labels


def _one_class(
    extractor: Extractor,
    observation: ArrayLike,
    common: Request,
    labels: tuple[str, ...],
    options: ClassOptions,
    report: Progress,
) -> ClassEstimates:
    """Return what `extract` gives."""
    estimate = extractor.extract(
        observation,
        common.positions,
        options.method.name,
        options.kernel_size,
        options.refine_positions,
        options.refine_weights,
        options.pixel_size_nm,
        weights=common.weights,
        with_latent=options.with_latent,
        report=report,
        noise_model=options.noise_model,
        effort=options.effort,
    )
    return ClassEstimates({labels[0]: estimate}, labels, estimate.positions, estimate.weights)


def _part(common: Request, name: str, chosen: NDArray[np.intp]) -> Request:
    weights = common.weights[chosen]
    if not weights.any():
        raise InputError(f"weights are all zero in the class {name!r}; a class needs a defect that shows.")
    return replace(common, positions=common.positions[chosen], weights=weights)


def _together(common: Request, members: dict[str, NDArray[np.intp]], requests: Sequence[Request]) -> Request:
    """Return the request with the defects of all classes, as they were used, in the order given."""
    positions, weights = common.positions.copy(), common.weights.copy()
    for chosen, request in zip(members.values(), requests, strict=True):
        positions[chosen], weights[chosen] = request.positions, request.weights
    return replace(common, positions=positions, weights=weights)


def _reconstruction(requests: Sequence[Request], answers: Sequence[Answer]) -> NDArray[np.float32]:
    """Return sum_c A_c*M_c + background."""
    image, noise = requests[0].observation, answers[0].noise
    known = np.isfinite(image) if noise is None else np.isfinite(image) & ~noise.outliers
    total = np.full(image.shape, answers[0].solution.background, dtype=np.float32)
    if noise is not None:
        total = noise.background.astype(np.float32)
    for request, answer in zip(resized(requests, answers), answers, strict=True):
        total += superposition_of(answer.solution, request.positions, request.weights, known)
    return total


def _with_common_noise(method: Method, requests: Sequence[Request], answers: list[Answer]) -> list[Answer]:
    """Give answers that were made class by class the background and the noise of their sum."""
    if len({(answer.solution.background, answer.solution.noise_sigma) for answer in answers}) == 1:
        return answers
    zero = [replace(answer, solution=replace(answer.solution, background=0.0)) for answer in answers]
    left = requests[0].observation - _reconstruction(requests, zero)
    background, noise = float(np.nanmean(left, dtype=np.float64)), float(np.nanstd(left, dtype=np.float64))
    return [replace(a, solution=replace(a.solution, background=background, noise_sigma=noise)) for a in answers]


def _refined_defects(requests: list[Request], options: ClassOptions, report: Progress) -> tuple[list[Request], list[Refinement | None]]:
    """Let the map move the defects: of all classes together, with background and noise, or each with what the others leave as its map."""
    if options.refine_positions and not options.refine_weights:
        words = "Moving the defects of all classes, background and noise along with them"
        report(0.0, words)
        answers = moved_together([replace(request, report=lambda *_: report(0.0, words)) for request in requests])
        if answers is not None:
            return _moved_to(requests, answers)
    given, found = requests, list[Refinement | None]([None] * len(requests))
    stages = _REFINEMENT_SWEEPS * (1 + len(requests))
    for sweep in range(_REFINEMENT_SWEEPS):
        begun = sweep * (1 + len(requests))
        share = _MOVING * begun / stages
        report(share, f"Round {sweep + 1} of at most {_REFINEMENT_SWEEPS}: the kernels of all classes")
        begun_requests = [replace(request, report=part_of(report, share, share)) for request in requests]
        left = leftovers(requests, solve_classes(METHODS["harmonic"], begun_requests))
        moved = []
        for index, (rest, first) in enumerate(zip(left, given, strict=True)):
            words = f"Round {sweep + 1} of at most {_REFINEMENT_SWEEPS}: moving class {index + 1} of {len(given)}"
            at = begun + 1 + index

            def tell(share: float, _: str, at: int = at, words: str = words) -> None:
                report(_MOVING * (at + share) / stages, words)

            tell(0.0, words)
            start = replace(rest, positions=first.positions, weights=first.weights)
            refined, found[index] = refine_defects(start, options.refine_positions, options.refine_weights, tell)
            moved.append(replace(first, positions=refined.positions, weights=refined.weights))
        furthest = max(float(np.abs(new.positions - old.positions).max()) for new, old in zip(moved, requests, strict=True))
        requests = moved
        if furthest < _SETTLED_PX and not options.refine_weights:
            break
    return requests, found


def _moved_to(requests: Sequence[Request], answers: Sequence[Answer]) -> tuple[list[Request], list[Refinement | None]]:
    """Return the requests with their defects at the places of answers, and how well the map without all but each class knows them."""
    moved = [
        request if one.repair is None else replace(request, positions=one.repair.positions)
        for request, one in zip(requests, answers, strict=True)
    ]
    found: list[Refinement | None] = []
    for request, rest, answer in zip(requests, leftovers(moved, answers), answers, strict=True):
        background = 0.0 if answer.noise is None else answer.noise.removable()
        without = np.asarray(rest.observation - background, dtype=np.float32)
        found.append(refinement_at(replace(request, observation=without), rest.positions))
    return moved, found


def estimates_of(result: KernelEstimate | ClassEstimates) -> dict[str, KernelEstimate]:
    """Return class -> estimate; a result without classes has one with an empty name."""
    return {"": result} if isinstance(result, KernelEstimate) else result.estimates
