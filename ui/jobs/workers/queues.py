"""Work outside the script, with progress and cancel: three queues of one worker each, for what takes a moment, seconds, or minutes.

A Streamlit interaction aborts the running script, and parallel inference gains nothing on a few cores: whatever may take longer than a
second runs here and is polled by a fragment. Short work never waits for long work, which gives way to it on the processor too.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.runtime.progress import Stopped
from ui.jobs.workers.interruption import Interruptible

_LOG = logging.getLogger(__name__)
FINISHED = ("done", "failed", "cancelled")


_GRACE_SECONDS = 0.6
"""Time for the work to stop at its next step, before it is interrupted."""
_AGAIN_SECONDS = 0.2
_LOW_PRIORITY = 10


class Cancelled(Stopped):
    """Raised inside the work when the user has asked to stop."""


class Job:
    """One piece of work of one session: its state, progress, result or sentence about what went wrong."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.state = "waiting"
        self.fraction = 0.0
        self.message = "Waiting for its turn"
        self.result: Any = None
        self.best: Any = None  # of a search that keeps what it has when it is cancelled
        self.problem = ""
        self.seconds = 0.0
        self.ahead: Callable[[], int] = lambda: 0
        self._started: float | None = None
        self._cancel = threading.Event()
        self._finished = threading.Event()
        self._part = Interruptible(Cancelled)
        self._guard = threading.Lock()

    def step(self, fraction: float, message: str) -> None:
        """Report progress from inside the work; this is also where a cancel takes effect.

        Raises:
            Cancelled: the user asked to stop.
        """
        if self._cancel.is_set():
            raise Cancelled
        self.fraction, self.message = min(max(fraction, 0.0), 1.0), message

    def cancel(self) -> None:
        """Ask the work to stop at its next step; where none comes soon it is interrupted."""
        with self._guard:
            first = not self._cancel.is_set()
            self._cancel.set()
        self.message = "Stopping"
        if first and self.state not in FINISHED:
            threading.Thread(target=self._interrupt, name="qpi-cancel", daemon=True).start()

    def _interrupt(self) -> None:
        """Wait for the end, and interrupt the work again and again when it does not come; a waiting job ends when its turn comes."""
        pause = _GRACE_SECONDS
        while not self._finished.wait(pause):
            pause = _AGAIN_SECONDS
            if self.state == "running" and self._part.interrupt():
                pause = _GRACE_SECONDS  # it may be tidying up

    def settle(self) -> None:
        """Call from inside the work: what follows is short and brings home what there is, so a cancel no longer breaks it off."""
        self._part.end()

    @property
    def cancel_requested(self) -> bool:
        """Say whether the user has asked to stop, for work that keeps what it has instead of being cut off by `step`."""
        return self._cancel.is_set()

    def running_seconds(self) -> float:
        """Return for how long the work has been going on, 0 while it waits."""
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; say whether the job has ended."""
        return self._finished.wait(seconds)

    def run(self, work: Callable[[Job], Any]) -> None:
        """Do the work and keep what came of it; every failure becomes a sentence."""
        started = self._started = time.perf_counter()
        try:
            self.step(0.0, "Starting")
            self.state = "running"
            self.result = self._attempt(work)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except InputError as error:
            self.state, self.problem = "failed", str(error)
        except MemoryError:
            self.state, self.problem = "failed", "The computer ran out of memory. A smaller kernel or a cropped map needs less."
        except Exception as error:  # A broken computation must not take the page down; the log has the details.
            _LOG.exception("job %r failed", self.title)
            self.state = "failed"
            self.problem = (
                f"This did not work because of an internal error ({type(error).__name__}); the terminal of the app shows the details."
            )
        finally:
            self.seconds = time.perf_counter() - started
            self._finished.set()

    def _attempt(self, work: Callable[[Job], Any]) -> Any:
        self._part.begin()
        try:
            return work(self)
        finally:
            self._part.end()


def remaining(seconds: float) -> str:
    """Return a time in words: seconds below a minute and a half, then minutes."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


class JobQueue:
    """First come, first served, one at a time."""

    def __init__(self, priority: int = 0) -> None:
        """Start a worker; a positive priority gives way to others on the processor, where the system can do that for a thread."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qpi-job", initializer=_give_way, initargs=(priority,))
        self._waiting: list[Job] = []
        self._lock = threading.Lock()

    def submit(self, title: str, work: Callable[[Job], Any]) -> Job:
        """Queue work and return its job."""
        job = Job(title)
        job.ahead = lambda: self.ahead_of(job)
        with self._lock:
            self._waiting.append(job)
        self._pool.submit(self._run, job, work)
        return job

    def ahead_of(self, job: Job) -> int:
        """Return how many jobs come first."""
        with self._lock:
            return self._waiting.index(job) if job in self._waiting else 0

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.run(work)
        finally:
            with self._lock:
                self._waiting.remove(job)


def _give_way(priority: int) -> None:
    if priority and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), priority)


@st.cache_resource(max_entries=1, show_spinner=False)
def job_queue() -> JobQueue:
    """Return the queue that all sessions of this server share: one kernel, or what takes about as long."""
    return JobQueue()


@st.cache_resource(max_entries=1, show_spinner=False)
def quick_queue() -> JobQueue:
    """Return the queue for what a page needs before it can be drawn: the preparation of a map must not wait for somebody's kernel."""
    return JobQueue()


@st.cache_resource(max_entries=1, show_spinner=False)
def long_queue() -> JobQueue:
    """Return the queue for many kernels: energy stacks, comparisons, stability."""
    return JobQueue(_LOW_PRIORITY)
