"""Find the defects of a stack in all its energies at once: the button, the job, and what becomes of the answer."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.diagnostics.search_limits import why_not_searched
from ui.jobs.workers.queues import Job
from ui.state.preparation_state import preparation_of
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_PREPARING = 0.05
_NOTHING = "No pattern repeats itself in these energies clearly enough; mark the defects on the Extract page."


def show_find_defects(space: Workspace, channel: str) -> None:
    """Show the button that looks for the defects in all energies, and what the last search did not find."""
    reason = _why_not(space)
    pressed = st.button(
        "Find defects and kernels",
        key="find_stack_defects",
        icon=":material/travel_explore:",
        disabled=bool(reason),
        help=reason or texts.FIND_STACK_DEFECTS,
    )
    if space.stack_search_note:
        st.caption(f":orange[{plain(space.stack_search_note)}]")
    if pressed and not reason:
        _start(space, channel)
        st.rerun()


def _why_not(space: Workspace) -> str:
    if space.jobs.get("stack_search") is not None:
        return "The search is running; wait for it or cancel it."
    if len(space.defects.points):
        return "There are marks already, and they serve every energy. Remove them on the Extract page to have the defects found."
    return why_not_searched(*space.loaded.scan.shape)


def _start(space: Workspace, channel: str) -> None:
    """Queue the search; what it finds become the marks, and the kernels of all energies are solved at once."""
    scan, steps = space.loaded.scan, preparation_of(space).steps

    def work(job: Job) -> NDArray[np.float64]:
        from qpi_core.extraction.defects.defect_detection import find_defects
        from qpi_core.maps.preparation import Preparation
        from qpi_core.runtime.progress import part_of
        from qpi_core.workflows.prepared_stack import prepare_stack

        stack = prepare_stack(
            scan,
            channel,
            Preparation.from_json(steps),
            part_of(job.step, 0.0, _PREPARING),
        )
        measured = np.isfinite(stack.values).any(axis=(1, 2))
        return find_defects(stack.values[measured], report=job.step)

    space.stack_search_note = ""
    space.jobs.start("stack_search", "Search in all energies", work, lambda job: _take(space, job), 0.0)


def _take(space: Workspace, job: Job) -> None:
    if job.state == "failed":
        space.stack_search_note = job.problem
    if job.state != "done":
        return
    if not len(job.result):
        space.stack_search_note = _NOTHING
    elif not len(space.defects.points):
        space.defects.replace(job.result, "blind")
        space.stack_at_once = True
