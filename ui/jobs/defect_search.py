"""The search for defects as a job: what repeats itself, spots, or what resembles the extracted kernel. Its result is only a proposal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import ui.jobs.workers.background
from ui.extract.map.map_panel import MapView
from ui.jobs.workers.queues import Job
from ui.state.workspace import NO_POINTS, Workspace

_NOTHING = "Nothing stands out at this sensitivity; raise it, or mark the defects by hand."
_NOTHING_LIKE_IT = "Nothing else in the map looks like the kernel at this sensitivity; raise it in Detect, or mark more defects by hand."


def start_search(space: Workspace, view: MapView, sensitivity: float, template: NDArray[np.float32] | None, pattern: str) -> None:
    """Queue a search on the layer in view and wait a moment for it.

    Args:
        space: of the session.
        view: the layer.
        sensitivity: 0 to 1.
        template: (k, k) kernel to look for, or None.
        pattern: of `find_defects`: what to look for where there is no template.
    """
    values, sha256 = view.layer.values, view.layer.sha256

    def work(job: Job) -> tuple[str, NDArray[np.float64], float]:
        from qpi_core.extraction.defects.defect_detection import find_defects
        from qpi_core.extraction.defects.known_defects import same_place_radius

        job.step(0.02, "Looking for defects" if template is None else "Looking for the kernel")
        found = find_defects(values, sensitivity=sensitivity, pattern=pattern, template=template, report=job.step)
        return sha256, found, 0.0 if template is None else same_place_radius(template)

    space.proposal, space.proposal_note = NO_POINTS, ""
    space.jobs.start(
        "search",
        "Search for defects",
        work,
        lambda job: _take(space, job, _NOTHING if template is None else _NOTHING_LIKE_IT),
        ui.jobs.workers.background.PATIENCE_SECONDS,
    )


def _take(space: Workspace, job: Job, nothing: str) -> None:
    if job.state == "done":
        from qpi_core.extraction.defects.known_defects import at_their_marks

        space.searched, found, radius = job.result
        space.proposal = at_their_marks(found, space.defects.points, radius)
        space.proposal_note = "" if len(space.proposal) else nothing
    else:
        space.proposal_note = job.problem


def keep_proposal_of(space: Workspace, sha256: str) -> None:
    """Drop a proposal that was made on another layer than the one in view."""
    if len(space.proposal) and space.searched != sha256:
        space.proposal = NO_POINTS
