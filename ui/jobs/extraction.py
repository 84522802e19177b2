"""What the Extract button asks for, the work it starts, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.answers.first_estimate import FIRST_METHODS
from qpi_core.extraction.windows.window_search import AUTO
from ui.extract.map.map_panel import MapView
from ui.jobs.workers.queues import Cancelled, Job
from ui.state.loaders import array_hash, atlas, extractor

if TYPE_CHECKING:
    from qpi_core.networks.atlas import Placement


@dataclass(frozen=True)
class Question:
    """Everything that decides the answer.

    Attributes:
        name, file_sha256: of the file.
        view: the layer in use.
        positions: (n, 2) px.
        method, kernel_size: as chosen.
        simulation: what a simulated map is made of, for the side-car, or None.
        refine_positions: whether the map may move the defects.
        labels: the class of each defect, or None where all are of one class.
        noise_model: "auto" or "white", as for Extractor.extract.
        blind: whether the positions were found in the map itself, so that nobody has chosen them or a method.
        auto_window: whether the pattern itself says how large the kernel is, instead of kernel_size.
    """

    name: str
    file_sha256: str
    view: MapView
    positions: NDArray[np.float64]
    method: str
    kernel_size: int
    simulation: dict[str, Any] | None = None
    refine_positions: bool = False
    labels: tuple[str, ...] | None = None
    noise_model: str = "auto"
    blind: bool = False
    auto_window: bool = False

    @property
    def window(self) -> int | str:
        """The kernel size as Extractor.extract takes it."""
        return AUTO if self.auto_window else self.kernel_size

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what has to be equal for an answer to be up to date."""
        settings = (self.method, self.window, self.refine_positions, self.labels, self.noise_model)
        return (self.view.layer.sha256, self.view.pixel_size_nm, array_hash(self.positions), *settings)

    def is_answered_by(self, other: Question) -> bool:
        """Say whether the answer to another question is up to date for this one; a search has its own method and switches."""
        if not other.blind:
            return self.fingerprint() == other.fingerprint()
        size = other.kernel_size if self.auto_window else self.kernel_size
        own = replace(other, view=self.view, positions=self.positions, kernel_size=size, labels=self.labels)
        return own.fingerprint() == other.fingerprint()


@dataclass(frozen=True)
class Outcome:
    """A finished extraction with its question.

    Attributes:
        question: what was asked.
        estimate: the answer, with latent and network_kernel once the networks have looked at it.
        place: where the latent lies among the training kernels, or None.
        network_note: why there is no latent or no place for it; "" also means that the networks have not looked yet.
        seconds: time of the method itself.
        kinds: class of defects -> its own outcome, this one among them; empty where there is one class.
        together: plain sentences on all classes.
    """

    question: Question
    estimate: KernelEstimate
    place: Placement | None
    network_note: str
    seconds: float
    kinds: Mapping[str, Outcome] = field(default_factory=dict)
    together: tuple[str, ...] = ()


def with_kinds(kinds: Mapping[str, Outcome], shown: Outcome | None = None) -> Outcome:
    """Return the outcome of one class, the first one unless it is said, with all of them beside it."""
    from qpi_core.diagnostics.classes import warn_about_classes

    together = warn_about_classes({name: one.estimate for name, one in kinds.items()})
    first = next(iter(kinds.values()))
    search = first.estimate.provenance.get("blind") or {}
    if search.get("trusted") is False:
        from qpi_core.extraction.blind.blind_answer import not_trusted

        together = [not_trusted(str(search.get("reason", ""))), *together]
    return replace(shown or first, kinds=kinds, together=tuple(together))


def extract_kernel(job: Job, question: Question) -> Outcome:
    """Do the extraction inside a job; what the networks make of it follows (ui.jobs.network_view), unless the method is one of theirs.

    The first estimate stands in `job.best` as soon as there is one; a cancel keeps it, with the sentence that it was not checked.

    Raises:
        InputError: the question cannot be answered; the sentence says why.
        Cancelled: stopped before there was a kernel.
    """
    tool = extractor()
    if question.labels is not None and len(set(question.labels)) > 1:
        return _extract_classes(job, tool, question)
    started = time.perf_counter()

    def outcome_of(estimate: KernelEstimate) -> Outcome:
        return Outcome(question, estimate.with_source(source_of(question)), None, "", time.perf_counter() - started)

    def keep(first: KernelEstimate) -> None:
        job.best = outcome_of(first)

    try:
        estimate = tool.extract(
            question.view.layer.values,
            question.positions,
            question.method,
            question.window,
            question.refine_positions,
            pixel_size_nm=question.view.pixel_size_nm,
            with_latent=False,
            report=job.step,
            noise_model=question.noise_model,
            on_first=keep,
        )
    except Cancelled:
        if job.best is None:
            raise
        return job.best
    return outcome_of(estimate)


def _extract_classes(job: Job, tool: Any, question: Question) -> Outcome:
    """Return the outcome of the first class, with those of the others beside it; the networks look at all of them at once.

    Where the window or the places are still to be found, what little effort gives stands in `job.best` first.
    """
    started, asked = time.perf_counter(), (question.view.layer.values, question.positions, question.labels, question.method)
    pitch = question.view.pixel_size_nm
    try:
        if question.method in FIRST_METHODS and (question.auto_window or question.refine_positions):
            tell = partial(_tell_first, job)
            first = tool.extract_classes(*asked, question.kernel_size, pixel_size_nm=pitch, report=tell, effort="fast")
            seconds = time.perf_counter() - started
            job.best = with_kinds({name: placed(question, estimate, seconds) for name, estimate in first.estimates.items()})
        found = tool.extract_classes(
            *asked,
            question.window,
            question.refine_positions,
            pixel_size_nm=pitch,
            with_latent=True,
            report=job.step,
            noise_model=question.noise_model,
        )
        seconds = time.perf_counter() - started
        job.step(0.95, "Finding their places in the latent space")
    except Cancelled:
        if job.best is None:
            raise
        return job.best
    return with_kinds({name: placed(question, estimate, seconds) for name, estimate in found.estimates.items()})


def _tell_first(job: Job, share: float, words: str) -> None:
    """Let a cancel stop the first estimate; its own share and words are not shown."""
    job.step(0.0, "First estimate")


def placed(question: Question, estimate: KernelEstimate, seconds: float) -> Outcome:
    """Return the outcome of one class with its place in the latent space, or a note why there is none."""
    note, place = "", None
    if estimate.latent is None:
        note = "The networks have not looked at this class, so it has no place in the latent space."
    else:
        try:
            place = atlas().place(estimate.latent)
        except InputError as error:
            note = str(error)
    return Outcome(question, estimate.with_source(source_of(question)), place, note, seconds)


def source_of(question: Question) -> dict[str, Any]:
    """Return where the layer of a question came from, for the side-car."""
    view = question.view
    return {
        "name": question.name,
        "sha256": question.file_sha256,
        "channel": view.channel,
        "layer_index": view.index,
        "bias_mv": view.bias_mv,
        "unit": view.unit,
        "pixel_size_nm": view.file_pixel_size_nm,
        "steps": view.preparation.to_json(),
        **({"simulation": question.simulation} if question.simulation else {}),
    }
