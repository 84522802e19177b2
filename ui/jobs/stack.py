"""What the Stacks page asks for, the work it starts, and what comes back."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.qspace.energy_map import EnergyMap, energy_map
from ui.jobs.queues import Cancelled, Job, remaining
from ui.state.loaders import array_hash, extractor

if TYPE_CHECKING:
    from qpi_core.estimates.stack_estimate import StackEstimate
    from qpi_core.extraction.band import Band
    from qpi_core.maps import ScanMap

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
        method, kernel_size: as chosen.
    """

    name: str
    file_sha256: str
    scan: ScanMap
    channel: str
    steps: list[dict[str, Any]]
    positions: NDArray[np.float64]
    method: str
    kernel_size: int

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what has to be equal for an answer to be up to date."""
        pitch = self.scan.pixel_size_nm if self.scan.pixel_size_known else None
        what = (self.file_sha256, self.channel, json.dumps(self.steps), pitch)
        return (*what, array_hash(self.positions), self.method, self.kernel_size)


@dataclass(frozen=True, eq=False)
class StackOutcome:
    """A solved stack, whole or stopped before its end.

    Attributes:
        question: what was asked.
        estimate: kernels of the layers, with `done` for each.
        band: rings and fits.
        spectra: E(q).
        unit: of the kernels.
    """

    question: StackQuestion
    estimate: StackEstimate
    band: Band
    spectra: EnergyMap
    unit: str


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
    known = {} if before is None else {int(index): before.estimate.layer(int(index)) for index in np.flatnonzero(before.estimate.done)}
    missing = [index for index in range(len(stack.values)) if index not in known] or None

    def solve(**more: Any) -> StackEstimate:
        return extract_stack(
            extractor(),
            stack.values,
            question.positions,
            bias_mv=stack.bias_mv,
            pixel_size_nm=stack.pixel_size_nm,
            kernel_size=question.kernel_size,
            method=question.method,
            layers=missing,
            cancelled=lambda: job.cancel_requested,
            **more,
        )

    try:
        estimate = solve(progress=_Progress(job), on_layer=known.__setitem__)
    except Cancelled:
        # Broken off inside a layer: those before it are kept, in a stack that is asked for nothing more.
        job.settle()
        estimate = solve()
    job.settle()
    estimate = estimate.with_layers(known)
    if not estimate.done.any():
        raise Cancelled
    job.message = "Fitting the dispersion"
    spectra = energy_map(estimate.kernels, estimate.bias_mv, estimate.pixel_size_nm)
    return StackOutcome(question, estimate, find_band(estimate), spectra, stack.unit)


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
