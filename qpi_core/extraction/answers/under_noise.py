"""A map with its background and noise for the methods that model them: the explanation, and the answer that comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qpi_core.base.validation import is_constant
from qpi_core.extraction.answers.first_stage import first_stage
from qpi_core.extraction.answers.harmonic_prior import chosen_by_evidence, position_variance
from qpi_core.extraction.answers.request import Answer, Request

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.noise.model import MapNoise
    from qpi_core.solvers.measured.explained_map import ExplainedMap


def explained_map(request: Request, mend_list: bool = False) -> ExplainedMap | None:
    """Return the map with its noise model where it asks for one."""
    from qpi_core.solvers.measured.kinds.unlisted_map import explained_by_unlisted_kind
    from qpi_core.solvers.measured.measured_map import explain_map, holds_only_kernels

    if request.noise_model == "white" or is_constant(request.observation):
        return None
    begun = first_stage(request)
    problem, start = begun.problem, begun.start
    if holds_only_kernels(problem, request.positions, request.weights, start):
        return None
    alone = explained_by_unlisted_kind(problem, request.positions, request.weights, start)
    movable = request.position_sigma is None
    return alone or explain_map(problem, request.positions, request.weights, start, mend_list, request.report, movable=movable)


def answer_under_noise(request: Request, explained: ExplainedMap, solution: KernelSolution) -> Answer:
    """Return the answer for a map with a noise model."""
    noise, listed = explained.noise, explained.listed
    weights = listed.weights if listed.repair is None and noise.strength_spread > 0 else None
    return Answer(beside_noise(solution, noise), None, listed.repair, noise, weights)


def beside_noise(solution: KernelSolution, noise: MapNoise) -> KernelSolution:
    """Return a solution under a noise model: its background is in the model's parts, its noise the white and the coloured."""
    return replace(solution, background=noise.constant, noise_sigma=float(np.hypot(solution.noise_sigma, noise.coloured_sigma)))


def answer_by_evidence(request: Request, cleaned: Request, explained: ExplainedMap) -> Answer:
    """Return the answer of `refined` under a noise model: Eq. 7 or the harmonic posterior, whichever has the larger evidence.

    Background and noise are those beside the kernel that is taken: a smooth part that the kernel gains the background loses.
    """
    from qpi_core.solvers.formula.formula_prior import formula_prior
    from qpi_core.solvers.measured.map_parts import FoundKernels, described_noise

    listed, shape = explained.listed, (request.observation.shape[0], request.observation.shape[1])
    solution = chosen_by_evidence(cleaned, listed)
    formula = None if explained.stage is None else formula_prior(listed.model, solution, shape)
    if formula is None or formula.superposition is None or explained.stage is None:
        return answer_under_noise(request, explained, solution)
    doubt = position_variance(cleaned, listed)
    if doubt is not None and formula.uncertainty is not None:
        formula = replace(formula, uncertainty=np.sqrt(formula.uncertainty**2 + doubt).astype(np.float32))
    kernels = replace(FoundKernels.of_models([listed.model], shape), part=np.asarray(formula.superposition, dtype=np.float64))
    noise = described_noise(first_stage(request).problem, explained.stage, replace(kernels, variance=formula.noise_sigma**2))
    formula = replace(formula, details={**formula.details, "prior": "formula"})
    return answer_under_noise(request, replace(explained, noise=noise), formula)
