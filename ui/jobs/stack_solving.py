"""Solving a stack inside a job: layers come in one by one, and a cancel keeps those that are finished."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.runtime.progress import part_of
from ui.jobs.workers.queues import Cancelled, Job, remaining
from ui.state.loaders import extractor

if TYPE_CHECKING:
    from qpi_core.estimates.class_stack import StackResult
    from qpi_core.estimates.stack_estimate import LayerKernel

from ui.jobs.stack import StackOutcome, StackQuestion, seen_stack

_SHOW_AGAIN_SECONDS = 4.0
_PREPARING = 0.05
"""Share of the progress bar for the preparation of the layers."""


def solve_stack(job: Job, question: StackQuestion, before: StackOutcome | None) -> StackOutcome:
    """Solve the layers inside a job; a cancel keeps those that are finished.

    Args:
        job: told of every layer.
        question: what is asked.
        before: an unfinished answer to the same question, whose layers are not solved again; or None.

    Raises:
        InputError: the question cannot be answered; the sentence says why.
        Cancelled: stopped before the first layer.
    """
    from qpi_core.estimates.class_stack import layers_of, stacks_of, with_layers, with_source
    from qpi_core.extraction.bands.band import find_band
    from qpi_core.extraction.stacks.stack_extraction import extract_stack
    from qpi_core.maps.preparation import Preparation
    from qpi_core.workflows.prepared_stack import prepare_stack

    stack = prepare_stack(
        question.scan,
        question.channel,
        Preparation.from_json(question.steps),
        part_of(job.step, 0.0, _PREPARING),
    )
    known = {} if before is None else before.layers
    # Layers that are kept have their window; the others get the same.
    size = question.kernel_size if before is None else _side(known)
    missing = [index for index in question.wanted if index not in known] or question.wanted
    grown = _Growing(job, question, stack.unit)
    settled = [question.positions]

    def keep(index: int, layer: LayerKernel | dict[str, LayerKernel]) -> None:
        known[index] = layers_of(layer)
        grown.show(known, without_more)

    def without_more() -> StackResult:
        """Return the stack without another layer, with the list as it was moved by then."""
        return solve(_side(known), settled[-1], layers=[])

    def solve(size: int | str, points: NDArray[np.float64], **more: Any) -> StackResult:
        return extract_stack(
            extractor(),
            stack.values,
            points,
            classes=question.classes,
            bias_mv=stack.bias_mv,
            pixel_size_nm=stack.pixel_size_nm,
            kernel_size=size,
            method=question.method,
            **{"layers": missing, **more},
        )

    try:
        result = solve(
            size,
            question.positions,
            report=_Remaining(job),
            on_layer=keep,
            on_list=lambda points, _: settled.append(points),
            refine_positions=question.refine_positions,
        )
    except Cancelled:
        # Broken off inside a layer: those before it are kept, in a stack that is asked for nothing more.
        if not known:
            raise
        job.settle()
        result = without_more()
    job.settle()
    stacks = stacks_of(with_source(with_layers(result, known), question.source(stack.unit)))
    if not any(one.done.any() for one in stacks.values()):
        raise Cancelled
    job.message = "Fitting the dispersion"
    return seen_stack(question, {name: (one, find_band(one)) for name, one in stacks.items()}, stack.unit)


class _Growing:
    """Hands the layers that are done to the page while the others are being solved, in `job.best`."""

    def __init__(self, job: Job, question: StackQuestion, unit: str) -> None:
        self._job, self._question, self._unit = job, question, unit
        self._empty: StackResult | None = None
        self._shown = -math.inf

    def show(self, known: dict[int, dict[str, LayerKernel]], frame: Callable[[], StackResult]) -> None:
        """Show the layers that are known, unless others were shown a moment ago; `frame` makes the stack without any of them."""
        from qpi_core.estimates.class_stack import stacks_of, with_layers
        from qpi_core.extraction.bands.band import Band

        if time.perf_counter() - self._shown < _SHOW_AGAIN_SECONDS:
            return
        self._empty = self._empty or frame()
        stacks = stacks_of(with_layers(self._empty, known))
        self._job.best = seen_stack(self._question, {name: (one, Band()) for name, one in stacks.items()}, self._unit)
        self._shown = time.perf_counter()


def _side(known: dict[int, dict[str, LayerKernel]]) -> int:
    """Return the side in px of the kernels of layers that are done."""
    return len(next(iter(next(iter(known.values())).values())).kernel)


class _Remaining:
    """Tells a job how far its layers are and how long the others will take."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._first: tuple[float, float] | None = None

    def __call__(self, share: float, words: str, /) -> None:
        now = time.perf_counter()
        if share and self._first is None:
            # What the layers share is prepared before the first one, and says nothing about the others.
            self._first = (now, share)
        text = words
        if self._first is not None and share > self._first[1]:
            seconds = (now - self._first[0]) / (share - self._first[1]) * (1 - share)
            text = f"{words}, about {remaining(seconds)} left"
        self._job.step(_PREPARING + (1 - _PREPARING) * share, text)
