"""Find defects and kernel: the button, and what is known while the search goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from qpi_core.diagnostics.search_limits import why_not_searched
from ui.jobs.blind import MOST_KINDS, TIME_LIMIT_S, start_blind_search
from ui.jobs.extraction import Question
from ui.jobs.workers.queues import Job
from ui.result.alternatives import described, show_small_kernel
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.estimates.blind_estimate import BlindAlternative

_POLL_SECONDS = 0.7
_PREVIEW_HEIGHT = 178


def show_blind_button(space: Workspace, question: Question) -> None:
    """Show the button that starts the search, and what the last one did not find."""
    reason = _why_not(space, question)
    pressed = st.button(
        "Find defects and kernel",
        key="find_blind",
        icon=":material/travel_explore:",
        width="stretch",
        disabled=bool(reason),
        help=reason or texts.FIND_BLIND,
    )
    kinds = _choose_kinds()
    if space.blind_note:
        st.caption(f":orange[{plain(space.blind_note)}]")
    seconds, space.search_at_once = space.search_at_once, 0.0
    if (pressed or seconds) and not reason:
        start_blind_search(space, question, seconds or TIME_LIMIT_S, kinds)
        st.rerun()


def _choose_kinds() -> int:
    """Show how many kinds of defects the search looks for, and return that number."""
    st.session_state.setdefault("blind_kinds", 1)
    chosen = st.segmented_control(
        "Kinds of defects to find", list(range(1, MOST_KINDS + 1)), required=True, key="blind_kinds", help=texts.BLIND_KINDS
    )
    return int(chosen or 1)


def _why_not(space: Workspace, question: Question) -> str:
    if space.jobs.get("blind") is not None:
        return "The search is running; wait for it, or cancel it and keep the best so far."
    return why_not_searched(*question.view.layer.values.shape)


@st.fragment(run_every=_POLL_SECONDS)
def show_best_so_far(job: Job, question: Question) -> None:
    """Show the best explanation of a search that is going on, looked at again and again."""
    if job.best is None:
        st.caption("The best kernel so far comes here as soon as there is one.")
        st.skeleton(height=_PREVIEW_HEIGHT)
        return
    best: BlindAlternative = job.best.best
    show_small_kernel(best, question, "blind_best", _PREVIEW_HEIGHT)
    st.caption(f"Best so far: {described(best)}. Cancel keeps it.")
