"""A map with its background and noise for the methods that model them: the explanation, and the answer that comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qpi_core.base.validation import is_constant
from qpi_core.extraction.answers.first_stage import first_stage
from qpi_core.extraction.answers.request import Answer, Request

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.solvers.measured.measured_map import ExplainedMap


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
    return alone or explain_map(problem, request.positions, request.weights, start, mend_list, request.report)


def answer_under_noise(request: Request, explained: ExplainedMap, solution: KernelSolution) -> Answer:
    """Return the answer for a map with a noise model: its background is in the model's parts, its noise the white and the coloured."""
    noise, listed = explained.noise, explained.listed
    sigma = float(np.hypot(solution.noise_sigma, noise.coloured_sigma))
    weights = listed.weights if listed.repair is None and noise.strength_spread > 0 else None
    return Answer(replace(solution, background=noise.constant, noise_sigma=sigma), None, listed.repair, noise, weights)
