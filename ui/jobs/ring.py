"""The noise of a kernel for the ring's signal to noise: kernels of two halves of the defects, of one map or of every layer of a stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.extraction.stability.halves import half_kernels
from qpi_core.extraction.stability.stack_stability import half_stacks
from qpi_core.qspace.ring_snr import RingSource
from ui.jobs.extraction import Outcome
from ui.jobs.stack import StackOutcome, StackView
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor

Halves = Sequence[tuple[Mapping[str, NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]]
"""One pair a division of the defects: class -> kernel (k, k), or kernels (energies, k, k)."""


@dataclass(frozen=True, eq=False)
class RingKernel:
    """A kernel whose rings are looked at.

    Attributes:
        owner: the result that its measured noise belongs to.
        source: the kernel with its map and defects.
        method: that made it.
        fewest: defects of the smallest class that is solved with it.
        measure: the work inside a job.
        name: of its class; empty where there is one kind only.
        layer: its place in the kernels of a stack; None for a map.
    """

    owner: object
    source: RingSource
    method: str
    fewest: int
    measure: Callable[[Job], Halves]
    name: str = ""
    layer: int | None = None

    def differences(self, halves: Halves) -> list[NDArray[np.float32]]:
        """Return the differences of the two halves' kernels, (k, k) each, that were measured."""
        found = [np.asarray(first[self.name] - second[self.name]) for first, second in halves]
        return found if self.layer is None else [one[self.layer] for one in found]


def ring_kernel(outcome: Outcome) -> RingKernel:
    """Return the kernel of a map."""
    estimate = outcome.estimate
    together = estimate.provenance.get("classes")
    name = "" if together is None else str(together["class"])
    fewest = len(estimate.positions) if together is None else min(Counter(together["classes"]).values())
    return RingKernel(outcome, RingSource.of_estimate(estimate), estimate.method, fewest, lambda job: _halves(job, outcome), name)


def ring_kernel_of_layer(outcome: StackOutcome, view: StackView, index: int, values: NDArray[np.float32]) -> RingKernel:
    """Return the kernel of a layer, which has one, with its values, (height, width)."""
    source = RingSource.of_layer(view.estimate, index, values)
    fewest = min(len(one.estimate.positions) for one in outcome.views.values())
    return RingKernel(outcome, source, view.estimate.method, fewest, lambda job: _stack_halves(job, outcome), view.name, index)


def _halves(job: Job, outcome: Outcome) -> Halves:
    """Extract the kernels of two halves of the defects inside a job, those of several classes together.

    Raises:
        InputError: the halves cannot be extracted; the sentence says why.
    """
    estimate, values, tool = outcome.estimate, outcome.question.view.layer.values, extractor()
    together = estimate.provenance.get("classes")
    settings = {"method": estimate.method, "kernel_size": estimate.kernel_size, "pixel_size_nm": estimate.pixel_size_nm}
    if together is None:
        points, labels = estimate.positions, None

        def kernels_of(image: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
            return {"": tool.extract(image, points, weights=estimate.weights, **settings).kernel}
    else:
        points, labels = np.array(together["positions_px"]), tuple(together["classes"])

        def kernels_of(image: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
            found = tool.extract_classes(image, points, labels, weights=np.array(together["weights"]), **settings)
            return {name: one.kernel for name, one in found.estimates.items()}

    return list(half_kernels(kernels_of, values, points, labels=labels, report=job.step))


def _stack_halves(job: Job, outcome: StackOutcome) -> Halves:
    """Solve a stack from two halves of its defects inside a job.

    Raises:
        InputError: as for a map.
    """
    return half_stacks(extractor(), outcome.prepared(), outcome.result, report=job.step)
