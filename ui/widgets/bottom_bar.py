"""The bar at the lower edge of every page: the four steps with what is missing, and the computations of this session."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.jobs.workers.queues import FINISHED, Job, remaining
from ui.jobs.workers.register import KINDS
from ui.state.workspace import Workspace
from ui.widgets.progress_steps import show_steps

_POLL_SECONDS = 0.7
_PATIENT_SECONDS = 3
_TELLING_SHARE = 0.1


def show_bottom_bar(space: Workspace, page: str) -> None:
    """Show steps and jobs on a page other than Extract, whose steps follow its own fragment."""
    steps, jobs = bottom_places()
    with steps:
        show_steps_of(space)
    show_jobs(space, page, jobs)


def bottom_places() -> tuple[Any, Any]:
    """Return the containers for the steps and for the jobs, in sight wherever the page is scrolled to."""
    bar = st.bottom.container(horizontal=True, gap="medium", vertical_alignment="center", key="bottom_bar")
    return bar.container(width="content"), bar.container(width="stretch")


def show_steps_of(space: Workspace) -> None:
    """Show the steps as a workspace stands."""
    show_steps(space.loaded.name if space.loaded else None, len(space.defects.points), space.outcome is not None, space.stale)


def show_jobs(space: Workspace, page: str, place: Any) -> None:
    """Show the session's jobs in a container, with progress and cancel; a page that can take over a finished one is rerun."""
    running = [job for _, job, _ in space.jobs.running()]
    space.jobs.polled = running
    st.fragment(_show_jobs, run_every=_POLL_SECONDS if running else None)(space, page, place, running)


def _show_jobs(space: Workspace, page: str, place: Any, running: list[Job]) -> None:
    if any(job.state in FINISHED for job in running):
        st.rerun()
    space.jobs.seen_on(page)  # a job that was started and has ended while this page was drawn
    with place:
        st.empty()
        for name, job, steady in space.jobs.running():
            _show_running(job, f"cancel_{name}", steady)
        for kind, title in space.jobs.unseen.items():
            st.caption(f":material/check: {title} has ended: its result is on the page {KINDS[kind].page}.")


def _show_running(job: Job, cancel_key: str, steady: bool = False) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.fraction, text=f"{job.title}: {progress_text(job, steady)}")
        st.button("Cancel", key=cancel_key, on_click=job.cancel, help="Stops within a second or two; what was there before stays.")


def progress_text(job: Job, steady: bool = False) -> str:
    """Return what a job is doing, and how long it will take or, where its progress is not steady, has run; or whom it waits for."""
    ahead = job.ahead()
    if ahead:
        return f"waiting for {ahead} other {'computation' if ahead == 1 else 'computations'} on this computer"
    seconds = job.running_seconds()
    if seconds < _PATIENT_SECONDS:
        return job.message
    if steady and job.fraction > _TELLING_SHARE:
        return f"{job.message}, about {remaining(seconds * (1 - job.fraction) / job.fraction)} left"
    return f"{job.message} · {round(seconds)} s"
