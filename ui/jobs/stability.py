"""The stability of a finished extraction, computed on demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.extraction.stability.assessment import Assessment, assess, assess_classes
from qpi_core.extraction.stability.stack_stability import StackAssessment, assess_stack
from ui.jobs.extraction import Outcome
from ui.jobs.stack import StackOutcome
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor


def assess_outcome(job: Job, outcome: Outcome) -> Assessment:
    """Compare halves of the defects inside a job, with positions and amplitudes as the extraction used them; of a class with all others.

    Raises:
        InputError: too few defects; the sentence says so.
    """
    estimate = outcome.estimate
    if outcome.kinds:
        together = estimate.provenance["classes"]
        places, weights = np.array(together["positions_px"]), np.array(together["weights"])
        every = {name: one.estimate for name, one in outcome.kinds.items()}
        classes = ClassEstimates(every, tuple(together["classes"]), places, weights)
        found = assess_classes(extractor(), outcome.question.view.layer.values, classes, report=job.step)
        return found[together["class"]]
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


@dataclass(frozen=True, eq=False)
class StackStability:
    """What two halves of the defects say of a stack: class -> assessment, and the stack that it belongs to."""

    outcome: StackOutcome
    found: dict[str, StackAssessment]


def assess_stack_outcome(job: Job, outcome: StackOutcome) -> StackStability:
    """Solve a stack from two halves of its defects inside a job.

    Raises:
        InputError: too few defects; the sentence says so.
    """
    return StackStability(outcome, assess_stack(extractor(), outcome.prepared(), outcome.result, report=job.step))
