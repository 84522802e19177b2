"""Work outside the script: one worker, so one computation at a time on this machine, with progress, cancel and a queue.

A Streamlit interaction aborts the running script, and parallel inference gains nothing on a few cores: whatever may take
longer than a second runs here and is polled by a fragment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import streamlit as st

from qpi_core.errors import InputError

_LOG = logging.getLogger(__name__)
FINISHED = ("done", "failed", "cancelled")


class Cancelled(Exception):
    """Raised inside the work when the user has asked to stop."""


class Job:
    """One piece of work of one session: its state, progress, result or sentence about what went wrong."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.state = "waiting"
        self.fraction = 0.0
        self.message = "Waiting for its turn"
        self.result: Any = None
        self.problem = ""
        self.seconds = 0.0
        self.ahead: Callable[[], int] = lambda: 0
        self._started: float | None = None
        self._cancel = threading.Event()
        self._finished = threading.Event()

    def step(self, fraction: float, message: str) -> None:
        """Report progress from inside the work; this is also where a cancel takes effect.

        Raises:
            Cancelled: the user asked to stop.
        """
        if self._cancel.is_set():
            raise Cancelled
        self.fraction, self.message = min(max(fraction, 0.0), 1.0), message

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._cancel.set()
        self.message = "Stopping after the current step"

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
            self.result = work(self)
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


def remaining(seconds: float) -> str:
    """Return a time in words: seconds below a minute and a half, then minutes."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


class JobQueue:
    """First come, first served, one at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qpi-job")
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


@st.cache_resource(max_entries=1, show_spinner=False)
def job_queue() -> JobQueue:
    """Return the queue that all sessions of this server share."""
    return JobQueue()


@st.cache_resource(max_entries=1, show_spinner=False)
def quick_queue() -> JobQueue:
    """Return a second queue, for what takes seconds: the preparation of a map must not wait for somebody's energy stack."""
    return JobQueue()


@st.fragment(run_every=0.7)
def show_running_job(job: Job, key: str) -> None:
    """Show progress and a cancel button; rerun the page once the job has ended."""
    if job.state in FINISHED:
        st.rerun()
    ahead = job.ahead()
    message = f"Waiting for {ahead} other {'computation' if ahead == 1 else 'computations'} on this computer" if ahead else job.message
    bar, button = st.columns([5, 1], vertical_alignment="bottom")
    bar.progress(job.fraction, text=f"{job.title}: {message}")
    button.button("Cancel", key=key, on_click=job.cancel, width="stretch", help="Stops after the step that is being computed.")
