"""The stability of a finished extraction, computed on demand."""

from __future__ import annotations

from qpi_core.extraction.stability import Assessment, assess
from ui.jobs.extraction import Outcome
from ui.jobs.queues import Job
from ui.state.loaders import extractor


def assess_outcome(job: Job, outcome: Outcome) -> Assessment:
    """Compare halves of the defects inside a job, with positions and amplitudes as the extraction used them.

    Raises:
        InputError: too few defects; the sentence says so.
    """
    estimate = outcome.estimate
    return assess(
        extractor(),
        outcome.question.view.layer.values,
        estimate.positions,
        method=estimate.method,
        kernel_size=estimate.kernel_size,
        pixel_size_nm=estimate.pixel_size_nm,
        weights=estimate.weights,
        estimate=estimate,
        report=job.step,
    )
