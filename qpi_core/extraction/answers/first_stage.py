"""The first stage of the harmonic solver for a map and its list: made once, by whoever needs it first, and handed on with the request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qpi_core.extraction.answers.request import Request
    from qpi_core.solvers.harmonic.problem import HarmonicProblem
    from qpi_core.solvers.harmonic.start import HarmonicStart


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What the harmonic solver begins with.

    Attributes:
        problem: the map.
        positions, weights: of the list, (n, 2) in px and (n,).
        start: the first stage under white noise; it remembers what was made from it (noise model, tests, models).
    """

    problem: HarmonicProblem
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    start: HarmonicStart

    def belongs_to(self, request: Request) -> bool:
        """Say whether a request asks for this very map and list: the same arrays, not equal ones, so that no request is mistaken."""
        same = self.problem.values is request.observation and self.positions is request.positions and self.weights is request.weights
        return same and (self.problem.kernel_size, self.problem.pixel_size_nm) == (request.kernel_size, request.pixel_size_nm)


def first_stage(request: Request) -> FirstStage:
    """Return the first stage for a request, whose map is not constant: the one that it brings, where that is its own, or a new one."""
    from qpi_core.solvers.harmonic.problem import HarmonicProblem

    if request.begun is not None and request.begun.belongs_to(request):
        return request.begun
    problem = HarmonicProblem(request.observation, request.kernel_size, request.pixel_size_nm)
    start = problem.start(request.positions, request.weights)
    return FirstStage(problem, request.positions, request.weights, start)


def begun(request: Request) -> Request:
    """Return the request with its first stage, so that nobody makes it again."""
    return replace(request, begun=first_stage(request))
