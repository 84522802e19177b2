"""The harmonic posterior of a list as a solution, with what its error bars owe to positions that the map itself has given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.extraction.answers.request import Request

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.solvers.positions.catalogue.selection import ListedFit


def harmonic_prior(request: Request, listed: ListedFit) -> KernelSolution:
    """Return the harmonic posterior of a list, with what its error bars owe to positions that the map itself has given."""
    from qpi_core.solvers.harmonic.answer import harmonic_solution, with_superposition

    points, model, doubt = listed.positions, listed.model, position_variance(request, listed)
    solution = harmonic_solution(model, request.kernel_size, request.pixel_size_nm, len(points), doubt, model.remainder)
    return with_superposition(solution, model, points, request.observation, model.remainder)


def position_variance(request: Request, listed: ListedFit) -> NDArray[np.float64] | None:
    """Return the kernel's variance for positions that were found from the map itself, (size, size); None where all were given.

    On large maps, where it would cost more than the kernel, there is none either.
    """
    from qpi_core.solvers.positions.refinement import MOST_JOINT_PIXELS
    from qpi_core.solvers.positions.variable_projection import kernel_variance

    if request.observation.size > MOST_JOINT_PIXELS:
        return None
    sigma = request.position_sigma
    if listed.repair is not None:
        given = np.zeros(len(listed.positions))
        if sigma is not None:
            kept = np.delete(sigma, listed.repair.absent)
            given[: len(kept)] = kept
        sigma = np.maximum(given, listed.repair.sigma_px)
    return None if sigma is None or not sigma.any() else kernel_variance(listed.model, sigma, request.kernel_size)


def chosen_by_evidence(request: Request, listed: ListedFit) -> KernelSolution:
    """Return the harmonic posterior of a list as what `refined` takes without rivals."""
    solution = harmonic_prior(request, listed)
    return replace(solution, details={**solution.details, "prior": "harmonic", "correction": "none"})
