"""What the networks make of a finished extraction: their kernel, its latent and its place, which follow once the kernel is shown."""

from __future__ import annotations

import dataclasses

from qpi_core.base.errors import InputError
from ui.jobs.extraction import Outcome
from ui.jobs.workers.queues import Job
from ui.state.loaders import atlas, extractor
from ui.state.workspace import Workspace

_NO_MODEL = "No released model is installed, so the kernel has no place in the latent space yet."
_STOPPED = "Stopped. Press Extract to have the networks' kernel and its place computed."


def add_network_view(job: Job, outcome: Outcome) -> Outcome:
    """Return an outcome with latent and place inside a job: Encoder_Y into Decoder_K, whatever the method was.

    What the networks cannot do is a note, never a failure of the method.
    """
    job.step(0.2, "Running Encoder_Y and Decoder_K")
    try:
        estimate = extractor().add_latent(outcome.estimate, outcome.question.view.layer.values)
        job.step(0.8, "Finding its place in the latent space")
        return dataclasses.replace(outcome, estimate=estimate, place=atlas().place(estimate.latent))
    except InputError as error:
        return dataclasses.replace(outcome, network_note=str(error))


def start_network_view(space: Workspace) -> None:
    """Queue the networks for the outcome of a space where they have not looked at it yet."""
    space.jobs.drop("networks")
    outcome: Outcome | None = space.outcome
    if outcome is None or outcome.place is not None or outcome.network_note:
        return
    if not extractor().has_model:
        space.outcome = dataclasses.replace(outcome, network_note=_NO_MODEL)
        return
    space.jobs.start("networks", "Networks", lambda job: add_network_view(job, outcome), lambda job: _take(space, job, outcome), 0.0)


def _take(space: Workspace, job: Job, before: Outcome) -> None:
    """Put the outcome as the networks saw it in place of the one that they were started for."""
    if space.outcome is not before:
        return
    after = job.result if job.state == "done" else dataclasses.replace(before, network_note=job.problem or _STOPPED)
    space.outcome = after
    space.assessed = after if space.assessed is before else space.assessed
    space.ring_asked = after if space.ring_asked is before else space.ring_asked
