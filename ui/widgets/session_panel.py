"""Saving a whole piece of work as one file, and going on with it, also in another browser."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from qpi_core.results.session.session_file import SavedResult, Session, session_bytes
from ui.extract.kernel.kernel_panel import take_outcome
from ui.jobs.extraction import Outcome
from ui.jobs.workers.queues import Job
from ui.state.loaders import LoadedMap
from ui.state.map_change import standing, use_map
from ui.state.preparation_state import preparation_of, restored_preparation, saved_preparation
from ui.state.saved_controls import controls_of, usable_controls
from ui.state.saved_outcome import outcome_of_all, question_settings
from ui.state.workspace import Workspace
from ui.widgets import texts


def show_save_session(space: Workspace, key: str) -> None:
    """Show the button that saves the session."""
    controls = controls_of(st.session_state, space.loaded)
    st.download_button(
        "Save session",
        lambda: session_bytes(session_of(space, controls)),
        session_name(space),
        "application/zip",
        on_click="ignore",
        key=key,
        icon=":material/save:",
        help=texts.SAVE_SESSION,
    )


def session_name(space: Workspace) -> str:
    """Return a safe file name after the map's."""
    stem = space.loaded.name.rsplit(".", 1)[0] if space.loaded is not None else "empty"
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[:60] or "map") + "_session.zip"


def session_of(space: Workspace, controls: dict[str, Any]) -> Session:
    """Return what a workspace holds: the map, the defects, the controls, and the results, of the stack too, with what was asked."""
    from ui.state.saved_stack import saved_stack  # brings in what the first page does without

    marks = marks_of(space, controls)
    scan = None if space.loaded is None else space.loaded.scan
    results = () if space.outcome is None else saved_results(space.outcome)
    stack = None if space.stack_outcome is None or scan is None else saved_stack(space.stack_outcome)
    return dataclasses.replace(marks, scan=scan, results=results, stack=stack)


def saved_results(outcome: Outcome) -> tuple[SavedResult, ...]:
    """Return an outcome with those of the other classes as a session file keeps them; the one that is shown comes last."""
    values = outcome.question.view.layer.values
    settings = {**question_settings(outcome.question), "seconds": outcome.seconds}
    kinds = [one for one in outcome.kinds.values() if one.estimate is not outcome.estimate]
    return tuple(SavedResult(one.estimate, values, settings) for one in (*kinds, outcome))


def marks_of(space: Workspace, controls: dict[str, Any]) -> Session:
    """Return a session of the defects, the preparation and the controls alone, without the map and the result."""
    settings = {
        "controls": controls,
        "simulation": None if space.loaded is None else space.loaded.simulation,
        "preparation": None if space.loaded is None else saved_preparation(preparation_of(space)),
    }
    return Session(None, space.defects.points, settings, (), space.defects.labels)


def open_session(space: Workspace, session: Session) -> None:
    """Put a session into a workspace; what was there before can be returned to. Call it from a callback, before the controls are shown.

    Raises:
        InputError: a result whose settings do not fit together; the workspace is then left as it was.
    """
    outcome = outcome_of_all(session.results)
    open_stack = _stack_opener(session)
    preparation = restored_preparation(session.settings.get("preparation"))
    before = standing(space)
    if session.scan is not None:
        simulation = session.settings.get("simulation")
        use_map(space, LoadedMap(session.scan.name, session.scan.sha256, session.scan, simulation=simulation))
        space.preparations[session.scan.sha256] = preparation
        st.session_state.update(usable_controls(session.settings.get("controls"), space.loaded))
    space.defects.replace(session.positions, "session", session.labels)
    space.previous = space.previous if before is None else before
    space.carried = ""
    space.outcome, space.extract_problem = outcome, ""
    space.stack_outcome = None
    if open_stack is not None and session.stack is not None:
        st.session_state["stack_refine_listed"] = session.stack.settings.get("refine_positions") is True
        space.jobs.start("stack", "Opening the stack", open_stack, lambda job: _take_stack(space, job))
    if outcome is not None:
        # The list comes from a file now, but its result was asked for with or without moving the defects.
        st.session_state["refine_listed"] = outcome.question.refine_positions
        st.session_state["model_noise"] = outcome.question.noise_model == "auto"
        space.jobs.start(
            "extraction",
            "Opening the session",
            lambda job: outcome_of_all(session.results, with_place=True),
            lambda job: take_outcome(space, job),
        )


def _stack_opener(session: Session) -> Callable[[Job], Any] | None:
    """Return the work that makes the stack of a session ready for its page, or None where the session holds none.

    Raises:
        InputError: settings of the stack that do not fit the map.
    """
    stack, scan = session.stack, session.scan
    if stack is None or scan is None:
        return None
    from ui.state.saved_stack import stack_outcome_of, stack_question

    stack_question(stack, scan)
    return lambda job: stack_outcome_of(stack, scan)


def _take_stack(space: Workspace, job: Job) -> None:
    from ui.stacks.page import take_stack  # the page imports what saves the session

    take_stack(space, job)
