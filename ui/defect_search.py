"""The search for defects as a job: spots, or what resembles the extracted kernel. Its result is only a proposal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ui.computed import wait_a_moment
from ui.jobs import FINISHED, Job, quick_queue
from ui.map_panel import MapView
from ui.workspace import NO_POINTS, Workspace

_NOTHING = "Nothing stands out at this sensitivity; raise it, or mark the defects by hand."


def start_search(space: Workspace, view: MapView, sensitivity: float, template: NDArray[np.float32] | None) -> None:
    """Queue a search on the layer in view and wait a moment for it.

    Args:
        space: of the session.
        view: the layer.
        sensitivity: 0 to 1.
        template: (k, k) kernel to look for; None looks for spots.
    """
    values, sha256 = view.layer.values, view.layer.sha256

    def work(job: Job) -> tuple[str, NDArray[np.float64]]:
        from qpi_core.maps import find_defects

        job.step(0.05, "Looking for spots" if template is None else "Looking for the kernel")
        return sha256, find_defects(values, sensitivity=sensitivity, template=template, report=job.step)

    space.proposal, space.proposal_note = NO_POINTS, ""
    space.search_job = quick_queue().submit("Search for defects", work)
    wait_a_moment(space.search_job)


def collect_search(space: Workspace, sha256: str) -> None:
    """Take over what a finished search found, unless it was made on another layer than the one in view."""
    job = space.search_job
    if job is None or job.state not in FINISHED:
        return
    space.search_job = None
    if job.state != "done":
        space.proposal_note = job.problem
    elif job.result[0] == sha256:
        space.proposal = job.result[1]
        space.proposal_note = "" if len(space.proposal) else _NOTHING
