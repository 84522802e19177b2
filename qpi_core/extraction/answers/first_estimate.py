"""The kernel of the first stage: there within a fraction of a second, and all that an extraction with little effort gives.

It is the harmonic solver's simple model, {0, n} with one radial profile for both, under white noise: what everything else is compared
with. What it leaves of the map is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.extraction.answers.request import Answer, Request

if TYPE_CHECKING:
    from qpi_core.solvers.harmonic.problem import HarmonicProblem
    from qpi_core.solvers.harmonic.start import HarmonicStart

MODELLING_METHODS = ("harmonic", "parametric", "refined")
"""Methods that do less with little effort: the first and the last stop at their first stage, `parametric` takes the noise as white."""

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


def first_answer(request: Request, problem: HarmonicProblem, start: HarmonicStart) -> Answer:
    """Return the answer of the first stage.

    Args:
        request: of one class of defects.
        problem: its map, which is not constant.
        start: first stage of the solver for the list of the request.
    """
    from qpi_core.solvers.harmonic.answer import harmonic_solution, with_superposition

    points, model = request.positions, problem.simple_fit(request.positions, request.weights, start)
    solution = harmonic_solution(model, request.kernel_size, request.pixel_size_nm, len(points))
    return Answer(with_superposition(solution, model, points, request.observation))


def with_effort_told(method: str, request: Request, answer: Answer) -> Answer:
    """Return the answer of a method by name, with what little effort has left out."""
    if request.effort == "full" or method not in MODELLING_METHODS:
        return answer
    return replace(answer, notes=(*answer.notes, LITTLE_EFFORT))


def telling(request: Request, told: Callable[[Request, Answer], None]) -> Request:
    """Return the request whose first answer is told, with the sentence that it is one."""

    def tell(answer: Answer) -> None:
        told(request, replace(answer, notes=(*answer.notes, STILL_CHECKING)))

    return replace(request, on_first=tell)


def tell_first(request: Request, make: Callable[[], Answer]) -> None:
    """Hand the first estimate to whoever wants it; it is made only then."""
    if request.on_first is not None:
        request.on_first(make())
