"""Find defects and kernel: the button, what is known while the search goes on, and the other explanations it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from qpi_core.blind_limits import why_not_searched
from ui.blind_job import start_blind_search
from ui.jobs.extraction import Outcome, Question
from ui.jobs.queues import Job
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.estimates.blind_estimate import BlindAlternative

_POLL_SECONDS = 0.7
_PREVIEW_HEIGHT = 178
_SMALL_HEIGHT = 150


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
    if space.blind_note:
        st.caption(f":orange[{plain(space.blind_note)}]")
    if pressed and not reason:
        start_blind_search(space, question)
        st.rerun()


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
    _show_small(best, question, "blind_best", _PREVIEW_HEIGHT)
    st.caption(f"Best so far: {_described(best)}. Cancel keeps it.")


def show_alternatives(space: Workspace, outcome: Outcome) -> None:
    """Offer the other explanations that a search came to, folded; the first one is the kernel that is shown."""
    others = getattr(outcome.estimate, "alternatives", ())[1:]
    if not others:
        return
    with st.expander(f"Other explanations that were tried ({len(others)})"):
        st.caption(texts.ALTERNATIVES)
        for number, (column, other) in enumerate(zip(st.columns(4), others, strict=False)):
            with column:
                _show_small(other, outcome.question, f"alternative_{number}", _SMALL_HEIGHT)
                st.caption(f"{_described(other)}; evidence {other.evidence:.0f}, {100 * max(other.unexplained, 0.0):.1f} % unexplained")
                st.button(
                    "Show its defects",
                    key=f"alternative_take_{number}",
                    on_click=_propose,
                    args=(space, outcome, other),
                    width="stretch",
                    help="Draws them as squares in the map; your marks stay until you say what is to become of them.",
                )


def _propose(space: Workspace, outcome: Outcome, other: BlindAlternative) -> None:
    space.proposal, space.searched = other.positions, outcome.question.view.layer.sha256


def _described(one: BlindAlternative) -> str:
    order, count = one.symmetry_order, len(one.positions)
    return f"{'round' if order == 0 else f'{order}-fold'}, {count} {'defect' if count == 1 else 'defects'}"


def _show_small(one: BlindAlternative, question: Question, key: str, height: int) -> None:
    from ui.charts.kernels import single_kernel

    figure = single_kernel(one.kernel, question.view.pixel_size_nm, question.view.unit, height)
    st.plotly_chart(figure, width="stretch", key=key, config={"displayModeBar": False}, alt=f"Kernel: {_described(one)}")
