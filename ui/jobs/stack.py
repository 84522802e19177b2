"""What the Stacks page asks for, the work it starts, and what comes back."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.extraction.window_search import AUTO
from qpi_core.qspace.energy_map import EnergyMap, energy_map
from ui.jobs.queues import Cancelled, Job, remaining
from ui.state.loaders import array_hash, extractor

if TYPE_CHECKING:
    from qpi_core.estimates.class_stack import StackResult
    from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
    from qpi_core.extraction.band import Band
    from qpi_core.extraction.stack_findings import StackFindings
    from qpi_core.maps import ScanMap

_SHOW_AGAIN_SECONDS = 4.0
_PREPARING = 0.05
"""Share of the progress bar for the preparation of the layers."""


@dataclass(frozen=True, eq=False)
class StackQuestion:
    """Everything that decides the answer.

    Attributes:
        name, file_sha256: of the file.
        scan: the map, with the pixel size in use.
        channel: of the layers.
        steps: of the preparation, as JSON values.
        positions: (n, 2) px on the prepared layers.
        method, kernel_size: as chosen; "auto" leaves the kernel size to the pattern.
        labels: the class of each defect, or None.
        layers: the first and the last one wanted, or None for all; what is there already stays whatever is asked for.
        refine_positions: whether several layers together may move the defects.
    """

    name: str
    file_sha256: str
    scan: ScanMap
    channel: str
    steps: list[dict[str, Any]]
    positions: NDArray[np.float64]
    method: str
    kernel_size: int | str
    labels: tuple[str, ...] | None = None
    layers: tuple[int, int] | None = None
    refine_positions: bool = False

    @property
    def wanted(self) -> list[int]:
        """The indices of the layers that are asked for."""
        count = len(self.scan.stack(self.channel))
        first, last = self.layers or (0, count - 1)
        return list(range(first, min(last + 1, count)))

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class of each defect where there are several."""
        return self.labels if self.labels is not None and len(set(self.labels)) > 1 else None

    def source(self, unit: str | None = None) -> dict[str, Any]:
        """Return where the stack came from, by the names that class_stack.with_source keeps."""
        pitch = list(self.scan.pixel_size_nm) if self.scan.pixel_size_known else None
        told = {"name": self.name, "channel": self.channel, "unit": unit, "given_pixel_size_nm": pitch, "steps": self.steps}
        return {key: value for key, value in {**told, "sha256": self.file_sha256}.items() if value is not None}

    def record(self) -> dict[str, Any]:
        """Return what was asked, as strict JSON."""
        asked = {"method": self.method, "kernel_size": self.kernel_size}
        return {**self.source(), **asked, **({"refine_positions": True} if self.refine_positions else {})}

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what has to be equal for an answer to be up to date."""
        pitch = self.scan.pixel_size_nm if self.scan.pixel_size_known else None
        what = (self.file_sha256, self.channel, json.dumps(self.steps), pitch)
        return (*what, array_hash(self.positions), self.method, self.kernel_size, self.classes, self.refine_positions)


@dataclass(frozen=True, eq=False)
class StackView:
    """What was found of one class of defects in a solved stack.

    Attributes:
        question: what was asked.
        name: of the class; empty where there is one kind only.
        estimate: kernels of the layers, with `done` for each.
        band: rings and fits.
        spectra: E(q).
        unit: of the kernels.
    """

    question: StackQuestion
    name: str
    estimate: StackEstimate
    band: Band
    spectra: EnergyMap
    unit: str


@dataclass(frozen=True, eq=False)
class StackOutcome:
    """A solved stack, whole or stopped before its end: one view a class, all with the same layers done."""

    views: dict[str, StackView]

    @property
    def question(self) -> StackQuestion:
        """What was asked."""
        return self._first.question

    @property
    def estimate(self) -> StackEstimate:
        """The first class, which stands for all in what layers are done."""
        return self._first.estimate

    @property
    def result(self) -> StackResult:
        """The kernels of all classes in one, as extract_stack gives them."""
        from qpi_core.estimates.class_stack import ClassStackEstimates

        if self.question.classes is None:
            return self.estimate
        together = self.estimate.provenance["classes"]
        positions, weights = np.array(together["positions_px"]), np.array(together["weights"])
        return ClassStackEstimates({name: view.estimate for name, view in self.views.items()}, self.question.classes, positions, weights)

    @property
    def findings(self) -> StackFindings:
        """The bands of all classes."""
        from qpi_core.extraction.stack_findings import StackFindings

        return StackFindings({name: view.band for name, view in self.views.items()})

    @property
    def layers(self) -> dict[int, dict[str, LayerKernel]]:
        """The layers that are done: index -> class -> kernel."""
        done = (int(index) for index in np.flatnonzero(self.estimate.done))
        return {index: {name: view.estimate.layer(index) for name, view in self.views.items()} for index in done}

    def prepared(self) -> NDArray[np.floating]:
        """Return the layers as the extraction saw them, (energies, height, width)."""
        from qpi_core.maps.preparation import Preparation
        from qpi_core.workflows.prepared_stack import prepare_stack

        return prepare_stack(self.question.scan, self.question.channel, Preparation.from_json(self.question.steps)).values

    def missing(self, question: StackQuestion) -> list[int]:
        """Return the layers that a question asks for and that are not done."""
        return [index for index in question.wanted if not self.estimate.done[index]]

    @property
    def _first(self) -> StackView:
        return next(iter(self.views.values()))


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
    from qpi_core.extraction.band import find_band
    from qpi_core.extraction.stacks import extract_stack
    from qpi_core.maps.preparation import Preparation
    from qpi_core.workflows.prepared_stack import prepare_stack

    stack = prepare_stack(
        question.scan,
        question.channel,
        Preparation.from_json(question.steps),
        lambda done, total: job.step(_PREPARING * done / total, f"Preparing layer {done + 1} of {total}"),
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
        return solve(_side(known), settled[-1], cancelled=lambda: True)

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
            layers=missing,
            **more,
        )

    if size == AUTO:
        job.step(_PREPARING, "Looking how far the pattern goes")
    try:
        result = solve(
            size,
            question.positions,
            progress=_Progress(job),
            on_layer=keep,
            on_list=lambda points, _: settled.append(points),
            cancelled=lambda: job.cancel_requested,
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


def seen_stack(question: StackQuestion, found: dict[str, tuple[StackEstimate, Band]], unit: str) -> StackOutcome:
    """Return a solved stack, class -> (kernels, rings), with what the page shows of it."""
    return StackOutcome(
        {
            name: StackView(question, name, one, band, energy_map(one.kernels, one.bias_mv, one.pixel_size_nm), unit)
            for name, (one, band) in found.items()
        }
    )


class _Growing:
    """Hands the layers that are done to the page while the others are being solved, in `job.best`."""

    def __init__(self, job: Job, question: StackQuestion, unit: str) -> None:
        self._job, self._question, self._unit = job, question, unit
        self._empty: StackResult | None = None
        self._shown = -math.inf

    def show(self, known: dict[int, dict[str, LayerKernel]], frame: Callable[[], StackResult]) -> None:
        """Show the layers that are known, unless others were shown a moment ago; `frame` makes the stack without any of them."""
        from qpi_core.estimates.class_stack import stacks_of, with_layers
        from qpi_core.extraction.band import Band

        if time.perf_counter() - self._shown < _SHOW_AGAIN_SECONDS:
            return
        self._empty = self._empty or frame()
        stacks = stacks_of(with_layers(self._empty, known))
        self._job.best = seen_stack(self._question, {name: (one, Band()) for name, one in stacks.items()}, self._unit)
        self._shown = time.perf_counter()


def _side(known: dict[int, dict[str, LayerKernel]]) -> int:
    """Return the side in px of the kernels of layers that are done."""
    return len(next(iter(next(iter(known.values())).values())).kernel)


class _Progress:
    """Tells a job how many layers are done and how long the others will take."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, message: str) -> None:
        now = time.perf_counter()
        if done and self._first is None:
            # What the layers share is prepared before the first one, and says nothing about the others.
            self._first = (now, done)
        text = message
        if self._first is not None and done > self._first[1]:
            seconds = (now - self._first[0]) / (done - self._first[1]) * (total - done)
            text = f"{message}, about {remaining(seconds)} left"
        try:
            self._job.step(_PREPARING + (1 - _PREPARING) * done / total, text)
        except Cancelled:
            # The solver asks for itself and returns what is finished.
            return
