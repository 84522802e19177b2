"""Values that a page needs before it can go on and that may take longer than a second: computed in a queue, kept by the session."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from qpi_core.base.errors import InputError
from ui.jobs.workers.queues import FINISHED, Job, quick_queue
from ui.state.workspace import Workspace

PATIENCE_SECONDS = 0.6
"""What is ready within this time is used in the same run of the page."""
_KEPT = 3


class Stopped(Exception):
    """The user has stopped the computation; it starts again only when it is forgotten."""


def computed(space: Workspace, name: str, key: Hashable, title: str, work: Callable[[Job], Any]) -> Any | None:
    """Return what the work gives for a key, or None while it is being computed; the last few values of a name are kept.

    Args:
        space: of the session that waits for it.
        name: what it is; an unfinished value of the same name for another key is cancelled.
        key: what decides the value.
        title: for the progress bar.
        work: called with its job, in the queue for short computations.

    Raises:
        InputError: the work could not be done; the sentence says why, and the next call tries again.
        Stopped: the user has cancelled it.
    """
    jobs: OrderedDict[Hashable, Job] = space.jobs.values.setdefault(name, OrderedDict())
    if key not in jobs:
        for other in jobs.values():
            if other.state not in FINISHED:
                other.cancel()
        jobs[key] = quick_queue().submit(title, work)
        jobs[key].wait(PATIENCE_SECONDS)
    jobs.move_to_end(key)
    while len(jobs) > _KEPT:
        jobs.popitem(last=False)
    job = jobs[key]
    if job.state == "failed":
        del jobs[key]
        raise InputError(job.problem)
    if job.state == "cancelled":
        raise Stopped
    return job.result if job.state == "done" else None


def forget(space: Workspace, name: str) -> None:
    """Drop the values of a name, so that they are computed anew."""
    space.jobs.values.pop(name, None)
