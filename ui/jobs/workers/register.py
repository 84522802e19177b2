"""The one register of what is computed for a session: start, collect, cancel, leave.

Every kind of job is listed here once, with its queue and its page; who starts one says what is to be done with it when it has ended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from ui.jobs.workers.queues import FINISHED, Job, JobQueue, job_queue, long_queue, quick_queue

PATIENCE_SECONDS = 0.8
"""What is ready within this time is shown without a progress bar."""
Take = Callable[[Job], None]


@dataclass(frozen=True)
class JobKind:
    """A kind of computation.

    Attributes:
        queue: gives the queue that it waits in.
        page: whose result it is.
        of_map: whether it ends with the map that it was started for.
        steady: whether its progress is even enough to say how long it will take.
    """

    queue: Callable[[], JobQueue]
    page: str
    of_map: bool = True
    steady: bool = False


KINDS = {
    "extraction": JobKind(job_queue, "Extract"),
    "search": JobKind(quick_queue, "Extract"),
    "blind": JobKind(long_queue, "Extract"),
    "networks": JobKind(job_queue, "Extract"),
    "stability": JobKind(long_queue, "Extract", steady=True),
    "methods": JobKind(long_queue, "Extract", steady=True),
    "ring": JobKind(long_queue, "Extract", steady=True),
    "stack": JobKind(long_queue, "Stacks"),
    "stack_search": JobKind(long_queue, "Stacks"),
    "band": JobKind(long_queue, "Stacks"),
    "stack_stability": JobKind(long_queue, "Stacks", steady=True),
    "comparison": JobKind(long_queue, "Synthesize", of_map=False, steady=True),
    "latent": JobKind(job_queue, "Latent space", of_map=False),
}


class SessionJobs:
    """The jobs of one session, at most one of a kind.

    Attributes:
        values: name -> key -> job of what a page waits for before it can be drawn (ui.jobs.workers.background).
        unseen: kind -> title of jobs that have ended since their page was last open.
        polled: the running jobs that the page shows and looks at again and again.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._jobs: dict[str, tuple[Job, Take]] = {}
        self.values: dict[str, OrderedDict[Hashable, Job]] = {}
        self.unseen: dict[str, str] = {}
        self.polled: list[Job] = []

    def start(self, kind: str, title: str, work: Callable[[Job], Any], take: Take, patience: float | None = None) -> Job:
        """Queue work of a kind in place of what ran of it, and wait a moment for it.

        Args:
            kind: one of KINDS.
            title: for the progress bar.
            work: called with its job, in a thread of its queue.
            take: called with the job by `collect` when it has ended, in whatever way.
            patience: seconds to wait; None is PATIENCE_SECONDS.
        """
        self.drop(kind)
        self.unseen.pop(kind, None)
        job = KINDS[kind].queue().submit(title, work)
        self._jobs[kind] = (job, take)
        job.wait(PATIENCE_SECONDS if patience is None else patience)
        return job

    def get(self, kind: str) -> Job | None:
        """Return the job of a kind that has not been collected yet."""
        held = self._jobs.get(kind)
        return None if held is None else held[0]

    def collect(self) -> None:
        """Have what has ended taken over; what that starts anew is collected the next time."""
        for kind, (job, take) in list(self._jobs.items()):
            if job.state not in FINISHED:
                continue
            del self._jobs[kind]
            if job.state != "cancelled":
                self.unseen[kind] = job.title
            take(job)

    def seen_on(self, page: str) -> None:
        """Forget what has ended for a page that is open."""
        self.unseen = {kind: title for kind, title in self.unseen.items() if KINDS[kind].page != page}

    def running(self) -> list[tuple[str, Job, bool]]:
        """Return (name, job, whether its progress is steady) of everything that goes on."""
        own = [(kind, job, KINDS[kind].steady) for kind, (job, _) in self._jobs.items()]
        values = [(name, job, False) for name, jobs in self.values.items() for job in jobs.values()]
        return [(name, job, steady) for name, job, steady in own + values if job.state not in FINISHED]

    def drop(self, kind: str) -> None:
        """Stop what runs of a kind; its result is not taken over."""
        held = self._jobs.pop(kind, None)
        if held is not None:
            held[0].cancel()

    def drop_those_of_the_map(self) -> None:
        """Stop what was started for a map that is no longer in use."""
        for kind, what in KINDS.items():
            if what.of_map:
                self.drop(kind)
                self.unseen.pop(kind, None)

    def leave(self) -> None:
        """Stop everything: the browser has left."""
        for kind in list(self._jobs):
            self._jobs[kind][0].cancel()
        for jobs in self.values.values():
            for job in jobs.values():
                job.cancel()
