"""Method, kernel size and the Extract button."""

from __future__ import annotations

import streamlit as st

from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS
from qpi_core.extraction.windows.window_proposal import NOTHING, propose_from_estimate
from ui.extract.map.map_panel import MapView
from ui.jobs.extraction import Question, extract_kernel
from ui.jobs.network_view import start_network_view
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.controls.refinement_switch import choose_refinement
from ui.widgets.controls.window_control import choose_window, set_window

_SAME_WINDOW = 0.1


def available_methods() -> list[str]:
    """Return the names of the methods, the strongest first."""
    known = [name for name in texts.METHOD_TITLES if name in METHODS]
    return known + [name for name in METHODS if name not in known]


def method_title(name: str) -> str:
    """Return the title of a method."""
    return texts.METHOD_TITLES.get(name, name)


def default_method(methods: list[str]) -> str:
    """Return the method that is chosen at first: the default one, or the best one that needs no model where there is none."""
    if not METHODS[DEFAULT_METHOD].needs_model or extractor().has_model:
        return DEFAULT_METHOD
    return next(name for name in methods if not METHODS[name].needs_model)


def choose_question(space: Workspace, view: MapView) -> Question:
    """Show method and kernel size and return the question that they make."""
    methods = available_methods()
    st.session_state.setdefault("method", default_method(methods))
    method = st.selectbox(
        "Method", methods, format_func=method_title, key="method", help="\n\n".join(_help_lines(methods)), persist_state="session"
    )
    size, auto = choose_window("kernel_size", min(view.layer.values.shape), view.pixel_size_nm, found_window(space))
    loaded = space.loaded
    refine = choose_refinement(space.defects.source == "picture")
    noise = (
        "auto"
        if st.toggle("Model background and noise", value=True, key="model_noise", help=texts.NOISE_MODEL, persist_state="session")
        else "white"
    )
    points, labels = space.defects.points, space.defects.labels
    return Question(loaded.name, loaded.sha256, view, points, str(method), int(size), loaded.simulation, refine, labels, noise, False, auto)


def found_window(space: Workspace) -> int | None:
    """Return the side in px of the kernel on the page where the pattern itself asked for it."""
    outcome = space.outcome
    return None if outcome is None or not outcome.question.auto_window else int(outcome.estimate.kernel_size)


def framed_window(space: Workspace, question: Question) -> int | None:
    """Return the side in px of the frame in the map: none as long as the pattern decides and has not been asked yet."""
    return question.kernel_size if not question.auto_window or found_window(space) is not None else None


def show_extract_button(space: Workspace, question: Question) -> None:
    """Show the button, and start the extraction when it is pressed or the example asks for it."""
    reason = _why_not(space, question)
    pressed = st.button(
        "Extract",
        type="primary",
        width="stretch",
        icon=":material/center_focus_strong:",
        disabled=bool(reason),
        help=reason or texts.EXTRACT_READY,
        key="extract",
    )
    if (pressed or space.start_at_once) and not reason:
        space.start_at_once = False
        start_extraction(space, question)


def _propose_window(space: Workspace, question: Question) -> None:
    """Show the window that the kernel on the page asks for, with its reason and a button that takes it."""
    outcome = space.outcome
    if outcome is None or question.auto_window or outcome.question.fingerprint() != question.fingerprint():
        return
    found = propose_from_estimate(outcome.estimate)
    if found is None or found.ends == NOTHING or abs(found.kernel_size - question.kernel_size) <= _SAME_WINDOW * question.kernel_size:
        return
    st.caption(found.reason)

    st.button(
        f"Use {found.kernel_size} px",
        key="use_window",
        icon=":material/crop_free:",
        on_click=set_window,
        args=(st.session_state, "kernel_size", found.kernel_size),
        help=texts.USE_WINDOW,
    )


def show_size_sentence(space: Workspace, question: Question) -> None:
    """Say why nothing can be extracted, or what the button would extract."""
    st.caption(_why_not(space, question) or _size_sentence(question, found_window(space)))
    _propose_window(space, question)


def start_extraction(space: Workspace, question: Question) -> None:
    """Queue the extraction; what is ready within a moment is shown without a progress bar."""
    space.problem = ""
    title = method_title(question.method)
    space.jobs.start("extraction", title, lambda job: extract_kernel(job, question), lambda job: take_outcome(space, job))
    st.rerun()


def take_outcome(space: Workspace, job: Job) -> None:
    """Take over what a finished extraction left: the outcome, which the networks then look at, or why there is none.

    The first estimate that a cancel keeps does not take the place of a kernel that was there before.
    """
    if job.state == "done" and job.cancel_requested and space.outcome is not None:
        return
    if job.state == "done":
        space.outcome, space.extract_problem = job.result, ""
        start_network_view(space)
    elif job.state == "failed":
        space.extract_problem = job.problem


def _why_not(space: Workspace, question: Question) -> str:
    if space.jobs.get("extraction") is not None:
        return "An extraction is running; wait for it or cancel it."
    if not len(question.positions):
        return texts.EXTRACT_NEEDS_DEFECTS
    if METHODS[question.method].needs_model and not extractor().has_model:
        return "This method needs a released model, and none is installed; choose another method or train one."
    return ""


def _size_sentence(question: Question, found: int | None) -> str:
    size, pitch = question.kernel_size, question.view.pixel_size_nm
    extent = f" = {size * pitch[1]:.3g} × {size * pitch[0]:.3g} nm" if pitch else ""
    count = len(question.positions)
    kinds = len(set(question.labels or ()))
    of_classes = f" of {kinds} classes" if kinds > 1 else ""
    kernel = f"kernel {size} × {size} px{extent}"
    if question.auto_window:
        kernel = f"{kernel}, as far as the pattern is seen" if found else "kernel as far as the pattern is seen"
    return f"{count} {'defect' if count == 1 else 'defects'}{of_classes}, {kernel}"


def _help_lines(methods: list[str]) -> list[str]:
    return [f"**{method_title(name)}**: {texts.METHOD_HELP.get(name, METHODS[name].summary)}" for name in methods]
