"""Stability of the result: a button, the running job, and what was found."""

from __future__ import annotations

from typing import Any

import streamlit as st

from qpi_core.extraction.methods import METHODS
from qpi_core.extraction.stability.assessment import Assessment
from qpi_core.extraction.stability.halves import MIN_DEFECTS
from ui.jobs.extraction import Outcome
from ui.jobs.stability import assess_outcome
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain


def show_stability(space: Workspace, outcome: Outcome, buttons: Any) -> None:
    """Show the button in the container for buttons and, once it was pressed for this very result, the verdict below."""
    reason = _why_not(space, outcome)
    pressed = buttons.button(
        "Check stability",
        icon=":material/rule:",
        key="check_stability",
        disabled=bool(reason),
        help=reason or texts.STABILITY,
    )
    if pressed:
        _start(space, outcome)
    if space.assessed is not outcome:
        return
    if space.assessment_problem:
        st.error(plain(space.assessment_problem))
    if space.assessment is not None:
        _show_assessment(space.assessment)


def _show_assessment(assessment: Assessment) -> None:
    halves, full, residual = st.columns(3)
    halves.metric("Correlation of the halves r", f"{assessment.correlation:.3f}", help=texts.HALVES)
    full.metric("Full list, 2r/(1 + r)", f"{assessment.full_list_correlation:.3f}", help=texts.FULL_LIST)
    residual.metric("Residual, neighbours", f"{assessment.residual_correlation:.3f}", help=texts.RESIDUAL_WHITENESS)
    st.caption(plain(assessment.verdict))


def _start(space: Workspace, outcome: Outcome) -> None:
    space.assessed, space.assessment, space.assessment_problem = outcome, None, ""
    space.jobs.start("stability", "Stability", lambda job: assess_outcome(job, outcome), lambda job: _take(space, job))
    st.rerun()


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.assessment = job.result
    space.assessment_problem = job.problem


def _why_not(space: Workspace, outcome: Outcome) -> str:
    estimate = outcome.estimate
    if space.jobs.get("stability") is not None:
        return "Stability is being computed."
    if any(len(one.positions) < MIN_DEFECTS for one in (estimate, *(kind.estimate for kind in outcome.kinds.values()))):
        each = " of each class" if outcome.kinds else ""
        return f"Stability compares two halves of the defects; mark at least {MIN_DEFECTS}{each} and press Extract."
    if METHODS[estimate.method].needs_model and not extractor().has_model:
        return "This method needs a released model, and none is installed."
    return ""
