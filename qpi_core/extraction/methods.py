"""The methods by name: what each one is called, says about itself, and runs.

Solvers and networks are imported when they are first used, so that listing the methods costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import is_constant
from qpi_core.estimates.caution import NO_NOISE_MODEL
from qpi_core.extraction.answers.first_estimate import first_answer, tell_first, with_effort_told
from qpi_core.extraction.answers.first_stage import begun, first_stage
from qpi_core.extraction.answers.harmonic_prior import chosen_by_evidence, harmonic_prior, position_variance
from qpi_core.extraction.answers.request import Answer, Request
from qpi_core.extraction.answers.under_noise import answer_by_evidence, answer_under_noise, explained_map
from qpi_core.extraction.networks.network_methods import network_solution, run_two_step, solve_one_step, solve_two_step

if TYPE_CHECKING:
    from qpi_core.networks.inference import NetworkKernel
    from qpi_core.solvers.measured.kinds.two_kinds import TwoKinds
    from qpi_core.solvers.positions.catalogue.selection import ListedFit

DEFAULT_METHOD = "refined"
HARMONIC_FREEDOM, NETWORK_FREEDOM = 60.0, 2.0
"""Unknowns that the methods fit to the map, for comparing them on the same pixels: radial profiles; amplitude and background."""

_NOTHING_LEFT = 1e-7  # share of the map's variance below which a correction has left nothing of a map without noise


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: in the interface, the command line and every table.
        summary: what it does, half a line.
        needs_model: whether it cannot run without a released model.
        solve: the method itself.
    """

    name: str
    summary: str
    needs_model: bool
    solve: Callable[[Request], Answer]


def solve(method: Method, request: Request) -> Answer:
    """Return a method's answer; where a noise model cannot be fitted, that of the plain model, which says so."""
    try:
        return with_effort_told(method.name, request, method.solve(request))
    except np.linalg.LinAlgError:
        if request.noise_model == "white":
            raise
        plain = method.solve(replace(request, noise_model="white"))
        return replace(plain, notes=(*plain.notes, NO_NOISE_MODEL))


def find_method(name: str | None) -> Method:
    """Return a method by its name; None is the default one.

    Raises:
        InputError: there is no such method.
    """
    method = METHODS.get(DEFAULT_METHOD if name is None else name)
    if method is None:
        raise InputError(f"method {name!r} is not known; choose one of: {', '.join(METHODS)}.")
    return method


def _defect_average(request: Request) -> Answer:
    from qpi_core.solvers.defect_average import solve_defect_average

    return Answer(solve_defect_average(request.observation, request.positions, request.kernel_size, weights=request.weights))


def _tikhonov(request: Request) -> Answer:
    from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov

    return Answer(solve_tikhonov(request.observation, request.positions, request.kernel_size, weights=request.weights))


def _harmonic(request: Request) -> Answer:
    from qpi_core.solvers.harmonic.fit import solve_harmonic

    image, pitch = request.observation, request.pixel_size_nm
    start = None
    if not is_constant(image):
        request = begun(request)
        start = first_stage(request).start
        if request.effort == "fast":
            return first_answer(request)
        tell_first(request)
    explained = explained_map(request)
    if explained is not None:
        return answer_under_noise(request, explained, harmonic_prior(request, explained.listed))
    return Answer(solve_harmonic(image, request.positions, request.kernel_size, weights=request.weights, pixel_size_nm=pitch, start=start))


def _parametric(request: Request) -> Answer:
    from qpi_core.solvers.formula.parametric import solve_parametric

    explained = explained_map(request)
    image, pitch, weights = request.observation, request.pixel_size_nm, request.weights
    if explained is not None:
        image, weights = explained.cleaned, explained.listed.weights
    solution = solve_parametric(image, request.positions, request.kernel_size, weights=weights, pixel_size_nm=pitch)
    return Answer(solution) if explained is None else answer_under_noise(request, explained, solution)


def _refined(request: Request) -> Answer:
    """Correct the harmonic posterior, the network's kernel or nothing, whichever the data prefer; repair the list where it is wrong."""
    from qpi_core.solvers.harmonic.fit import nothing_to_see
    from qpi_core.solvers.measured.kinds.kinds_of_list import two_kinds_alone, two_kinds_under_noise
    from qpi_core.solvers.measured.kinds.unlisted_map import explained_by_unlisted_kind
    from qpi_core.solvers.measured.measured_map import explained_by_white_noise, holds_only_kernels
    from qpi_core.solvers.positions.catalogue.selection import ListedFit, fit_with_list, prefer_repaired

    image, size = request.observation, request.kernel_size
    if is_constant(image):
        return Answer(nothing_to_see(image, size))
    request = begun(request)
    problem, start = first_stage(request).problem, first_stage(request).start
    if request.effort == "fast":
        return first_answer(request)
    tell_first(request)
    auto = request.noise_model == "auto"
    if auto and holds_only_kernels(problem, request.positions, request.weights, start):
        # Neither noise nor background: where one symmetry and a free correction leave nothing, there is nothing to be searched for.
        auto, simple = False, problem.simple_fit(request.positions, request.weights, start)
        first = _refined_with(request, ListedFit(request.positions, request.weights, start, simple, None))
        if first.solution.noise_sigma**2 < _NOTHING_LEFT * np.nanvar(image):
            return first
    other = explained_by_unlisted_kind(problem, request.positions, request.weights, start) if auto else None
    kinds = two_kinds_alone(problem, request.positions, request.weights, start) if auto and other is None else None
    if kinds is not None:
        # Nothing but the kinds was wrong: no other list, no correction and no noise model is looked for.
        one = problem.simple_fit(request.positions, request.weights, start)
        mixture = ListedFit(request.positions, request.weights, start, one, None)
        network = run_two_step(request, start) if request.latent_wanted and request.has_model() else None
        return _offering(Answer(chosen_by_evidence(request, mixture), network), kinds)
    plain = explained_by_white_noise(problem, request.positions, request.weights, start) if auto and other is None else None
    explained = explained_map(request, mend_list=True) if auto and plain is None else None
    if explained is not None:
        listed = explained.listed
        cleaned = replace(request, observation=explained.cleaned, positions=listed.positions, weights=listed.weights)
        # Held-out tiles and corrections know white noise only; here the evidence under the noise model has chosen.
        wanted = (request.latent_wanted or listed.repair is not None) and request.has_model()
        network = run_two_step(cleaned, listed.start) if wanted else None
        kinds = two_kinds_under_noise(problem, request.positions, request.weights, explained)
        return _offering(replace(answer_by_evidence(request, cleaned, explained), network=network), kinds)
    fits = plain or fit_with_list(image, request.positions, size, request.weights, request.pixel_size_nm, start)
    answers = [_refined_with(replace(request, positions=listed.positions, weights=listed.weights), listed) for listed in fits]
    given, last = answers[0], answers[-1]
    if len(answers) == 1 or last.repair is None:
        return last
    pixels = int(np.isfinite(image).sum())
    return last if prefer_repaired(given.solution, last.solution, last.repair.price, pixels) else given


def _offering(answer: Answer, kinds: TwoKinds | None) -> Answer:
    """Return an answer for a list as it is with the kinds that it holds: how far it is from the first kind's kernel is not known to it."""
    from qpi_core.solvers.refined.corrected_kernel import disagreement

    if kinds is None:
        return answer
    own, apart = answer.solution.uncertainty, disagreement(answer.solution.kernel, kinds.kernel)
    deviation = apart if own is None else np.hypot(own, apart).astype(np.float32)
    # A mixture of two shapes has no symmetry of its own.
    solution = replace(answer.solution, uncertainty=deviation, symmetry_order=None)
    return replace(answer, solution=solution, kinds=kinds)


def solve_refined_as_listed(request: Request) -> Answer:
    """Return the answer of `refined` for a list that the map itself has chosen: it is not doubted again.

    Args:
        request: checked; its map is not constant.
    """
    from qpi_core.solvers.measured.measured_map import holds_more_than_patterns
    from qpi_core.solvers.positions.catalogue.selection import ListedFit

    request, points, weights = begun(request), request.positions, request.weights
    problem, start = first_stage(request).problem, first_stage(request).start
    # The map has chosen the list: what the noise model costs is paid only where the map holds what no list explains.
    noisy = request.noise_model != "white" and holds_more_than_patterns(problem, points, weights, start)
    explained = explained_map(request) if noisy else None
    if explained is not None:
        cleaned = replace(request, observation=explained.cleaned, weights=explained.listed.weights)
        return answer_by_evidence(request, cleaned, explained)
    return _refined_with(request, ListedFit(points, weights, start, problem.fit(points, weights, start), None))


def _refined_with(request: Request, listed: ListedFit) -> Answer:
    """Return the answer of `refined` for one list; the request's defects are those of the list. Eq. 7 comes before the other priors."""
    from qpi_core.solvers.formula.formula_prior import formula_answer
    from qpi_core.solvers.harmonic.answer import kernel_without
    from qpi_core.solvers.refined.refined import Prior, nothing_known, solve_refined

    image, points, weights = request.observation, request.positions, request.weights
    size, model = request.kernel_size, listed.model
    harmonic = harmonic_prior(request, listed)
    nothing = nothing_known(image, size)
    priors = [
        Prior("harmonic", harmonic, HARMONIC_FREEDOM, lambda held: kernel_without(model, image, points, weights, size, held)),
        Prior("none", nothing, 1.0, lambda held: nothing.wide_kernel),
    ]
    network: NetworkKernel | None = None

    def rivals() -> list[Prior]:
        nonlocal network
        if not request.has_model():
            return []
        network = run_two_step(request, listed.start)

        def without(held: NDArray[np.bool_]) -> NDArray[np.float32]:
            return run_two_step(replace(request, observation=np.where(held, np.float32(np.nan), image))).wide_kernel

        return [Prior("two_step", network_solution(request, network), NETWORK_FREEDOM, without)]

    solution = formula_answer(listed, harmonic, image, lambda: position_variance(request, listed))
    solution = solution or solve_refined(image, points, size, priors, weights=weights, rivals=rivals)
    # What follows later reads the list as it was given; the latent of a repaired one is made here.
    wanted = request.latent_wanted or listed.repair is not None
    if network is None and wanted and request.has_model():
        network = run_two_step(request, listed.start)
    return Answer(solution, network, listed.repair)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("defect_average", "mean of the crops around the defects", False, _defect_average),
        Method("tikhonov", "boundary-correct least squares with a decay prior, by conjugate gradients", False, _tikhonov),
        Method("harmonic", "circular harmonics; symmetry, wave vector and smoothness by the marginal likelihood", False, _harmonic),
        Method("parametric", "fit of Eq. 7 from the harmonic estimate; knows the formula", False, _parametric),
        Method("one_step", "one network straight from map and defects to the kernel (the paper's baseline)", True, solve_one_step),
        Method("two_step", "Decoder_K(Encoder_Y(.)): the latent of the map, decoded into a kernel", True, solve_two_step),
        Method("refined", "Eq. 7, harmonic or network kernel, corrected where held-out pixels show more; mends lists", False, _refined),
    )
}
