"""Stability of a solved stack: a button, and what two halves of the defects say of its layers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from qpi_core.extraction.methods import METHODS
from qpi_core.extraction.stability.halves import MIN_DEFECTS
from ui.jobs.stability import StackStability, assess_stack_outcome
from ui.jobs.stack import StackOutcome, StackView
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain


def show_stack_stability(space: Workspace, outcome: StackOutcome, view: StackView, index: int) -> None:
    """Show the button and, once it was pressed for this very stack, the numbers of the layer in view and the verdict."""
    reason = _why_not(space, outcome)
    pressed = st.button(
        "Check stability", icon=":material/rule:", key="check_stack_stability", disabled=bool(reason), help=reason or texts.STACK_STABILITY
    )
    if pressed:
        space.stack_stability, space.stack_stability_problem = None, ""
        space.jobs.start("stack_stability", "Stability", lambda job: assess_stack_outcome(job, outcome), lambda job: _take(space, job))
        st.rerun()
    if space.stack_stability_problem:
        st.error(plain(space.stack_stability_problem))
    stability: StackStability | None = space.stack_stability
    if stability is None or stability.outcome is not outcome:
        return
    found = stability.found[view.name]
    here = found.correlations[:, index]
    if np.isfinite(here).all():
        halves, full = st.columns(2)
        halves.metric("Correlation of the halves r", f"{here.mean():.3f}", help=texts.HALVES)
        full.metric("Full list, 2r/(1 + r)", f"{found.full_list_correlation[index]:.3f}", help=texts.FULL_LIST)
    st.caption(plain(found.verdict))


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.stack_stability = job.result
    space.stack_stability_problem = job.problem if job.state == "failed" else ""


def _why_not(space: Workspace, outcome: StackOutcome) -> str:
    if space.jobs.get("stack_stability") is not None:
        return "Stability is being computed."
    if any(len(view.estimate.positions) < MIN_DEFECTS for view in outcome.views.values()):
        each = " of each class" if len(outcome.views) > 1 else ""
        return f"Stability compares two halves of the defects; mark at least {MIN_DEFECTS}{each}."
    if METHODS[outcome.question.method].needs_model and not extractor().has_model:
        return "This method needs a released model, and none is installed."
    return ""
