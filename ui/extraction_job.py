"""What the Extract button asks for, the work it starts, and what comes back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimate import KernelEstimate
from ui.jobs import Job
from ui.loaders import array_hash, extractor
from ui.map_panel import MapView

if TYPE_CHECKING:
    from qpi_core.latent import Placement


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
    """

    name: str
    file_sha256: str
    view: MapView
    positions: NDArray[np.float64]
    method: str
    kernel_size: int
    simulation: dict[str, Any] | None = None
    refine_positions: bool = False

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what has to be equal for an answer to be up to date."""
        settings = (self.method, self.kernel_size, self.refine_positions)
        return (self.view.layer.sha256, self.view.pixel_size_nm, array_hash(self.positions), *settings)


@dataclass(frozen=True)
class Outcome:
    """A finished extraction with its question.

    Attributes:
        question: what was asked.
        estimate: the answer, with latent and network_kernel once the networks have looked at it.
        place: where the latent lies among the training kernels, or None.
        network_note: why there is no latent or no place for it; "" also means that the networks have not looked yet.
        seconds: time of the method itself.
    """

    question: Question
    estimate: KernelEstimate
    place: Placement | None
    network_note: str
    seconds: float


def extract_kernel(job: Job, question: Question) -> Outcome:
    """Do the extraction inside a job; what the networks make of it follows (ui.network_view), unless the method is one of theirs.

    Raises:
        InputError: the question cannot be answered; the sentence says why.
    """
    tool = extractor()
    started = time.perf_counter()
    estimate = tool.extract(
        question.view.layer.values,
        question.positions,
        question.method,
        question.kernel_size,
        question.refine_positions,
        pixel_size_nm=question.view.pixel_size_nm,
        with_latent=False,
        report=job.step,
    )
    seconds = time.perf_counter() - started
    return Outcome(question, estimate.with_source(_source(question)), None, "", seconds)


def _source(question: Question) -> dict[str, Any]:
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
