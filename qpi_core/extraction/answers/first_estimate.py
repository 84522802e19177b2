"""The kernel of the first stage: there within a fraction of a second, and all that an extraction with little effort gives.

It is the harmonic solver's simple model, {0, n} with one radial profile for both, under white noise: what everything else is compared
with. What it leaves of the map is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.base.validation import is_constant
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.extraction.answers.first_stage import first_stage
from qpi_core.extraction.answers.request import Answer, Request

if TYPE_CHECKING:
    from qpi_core.estimates.estimate import KernelEstimate
    from qpi_core.extraction.extractor import Extractor
    from qpi_core.extraction.methods import Method

MODELLING_METHODS = ("harmonic", "parametric", "refined")
"""Methods that do less with little effort: the first and the last stop at their first stage, `parametric` takes the noise as white."""

FIRST_METHODS = ("harmonic", "refined")
"""Methods that have a first stage."""
FIRST_WINDOW_PX = 64
"""Side of the first estimate's kernel where the pattern itself has still to say how large it is."""

NOT_TRIED = (
    "a background and coloured noise",
    "kernels of other shapes",
    "other positions",
    "missing or absent defects",
    "several kinds of defects",
    "a free correction",
)
"""What the first estimate leaves out, as the side-car lists it."""

STILL_CHECKING = Caution(
    "First estimate: a symmetric kernel with one radial profile under white noise. Nothing else was compared with it yet.",
    CautionKind.NOT_CHECKED,
)
LITTLE_EFFORT = Caution(
    "Little effort (effort is fast): one simple model was fitted. Not tried: " + ", ".join(NOT_TRIED) + "; full effort tries them.",
    CautionKind.NOT_CHECKED,
)


def first_answer(request: Request) -> Answer:
    """Return the answer of the first stage for a request of one class of defects, whose map is not constant."""
    from qpi_core.solvers.harmonic.answer import harmonic_solution, with_superposition

    stage, points = first_stage(request), request.positions
    model = stage.problem.simple_fit(points, request.weights, stage.start)
    solution = harmonic_solution(model, request.kernel_size, request.pixel_size_nm, len(points))
    return Answer(with_superposition(solution, model, points, request.observation))


def with_effort_told(method: str, request: Request, answer: Answer) -> Answer:
    """Return the answer of a method by name, with what little effort has left out."""
    if request.effort == "full" or method not in MODELLING_METHODS:
        return answer
    return replace(answer, notes=(*answer.notes, LITTLE_EFFORT))


class FirstLook:
    """Hands the first stage's estimate to whoever asked for it, with the sentence that it is one."""

    def __init__(
        self, extractor: Extractor, method: Method, observation: ArrayLike, on_first: Callable[[KernelEstimate], None] | None
    ) -> None:
        """Remember whom to tell; with None nothing is made and nothing told."""
        self._extractor, self._method, self._original, self._on_first = extractor, method, np.asarray(observation), on_first

    def told(self, request: Request) -> Request:
        """Return a request whose first answer is handed over."""
        on_first = self._on_first
        if on_first is None:
            return request

        def tell(answer: Answer) -> None:
            marked = replace(answer, notes=(*answer.notes, STILL_CHECKING))
            on_first(self._extractor.assemble(self._method, request, marked, self._original))

        return replace(request, on_first=tell)

    def look(
        self,
        positions: ArrayLike,
        kernel_size: int | str,
        pixel_size_nm: float | tuple[float, float] | None,
        weights: ArrayLike | None,
    ) -> None:
        """Hand over the estimate for the defects as they are given, before the window is chosen or anything is moved."""
        if self._on_first is None or self._method.name not in FIRST_METHODS:
            return
        size = min((FIRST_WINDOW_PX, *self._original.shape)) if isinstance(kernel_size, str) else kernel_size
        request = self.told(self._extractor.request(self._original, positions, size, pixel_size_nm, weights))
        if not is_constant(request.observation):
            tell_first(request)


def tell_first(request: Request) -> None:
    """Hand the first estimate to whoever wants it, and make it only then; the request is as for first_answer."""
    if request.on_first is not None:
        request.on_first(first_answer(request))
