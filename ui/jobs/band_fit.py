"""A band fitted to the maps of a stack, as a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui.jobs.stack import StackOutcome
from ui.jobs.workers.queues import Job
from ui.state.workspace import Workspace

if TYPE_CHECKING:
    from qpi_core.estimates.band_model import BandModel

MODELS = ("free-electron", "dirac", "two-bands", "elliptic", "hexagonal", "topological")
"""Those that need no lattice."""


@dataclass(frozen=True, eq=False)
class BandFit:
    """A fitted band and the stack that it belongs to."""

    outcome: StackOutcome
    model: BandModel


def start_band_fit(space: Workspace, outcome: StackOutcome, model: str = MODELS[0]) -> None:
    """Queue the fit to the layers of a solved stack, at the positions that it used."""
    space.stack_band_problem = ""
    space.jobs.start("band", "Band fit", lambda job: fit_band(job, outcome, model), lambda job: _take(space, job))


def fit_band(job: Job, outcome: StackOutcome, name: str = MODELS[0]) -> BandFit:
    """Prepare the layers and fit, as the command line does.

    Raises:
        InputError: several classes, or pixel size or energies are not known.
    """
    from qpi_core.extraction.bands.band_model import fit_band_model
    from qpi_core.maps.preparation import Preparation
    from qpi_core.workflows.prepared_stack import prepare_stack
    from qpi_core.workflows.stack_physics import require_band_input

    question = outcome.question
    stack = prepare_stack(question.scan, question.channel, Preparation.from_json(question.steps))
    job.step(0.1, "Fitting a band to the maps")
    (model,) = require_band_input((name,), stack, question.classes)
    assert stack.pixel_size_nm is not None  # what require_band_input has seen to
    layers, estimate = question.wanted, outcome.estimate
    found = fit_band_model(
        stack.values[layers], estimate.positions, stack.bias_mv[layers], stack.pixel_size_nm, weights=estimate.weights, model=model
    )
    return BandFit(outcome, found)


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.stack_band = job.result
    space.stack_band_problem = job.problem if job.state == "failed" else ""
