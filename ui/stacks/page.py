"""The Stacks page: every layer's kernel from the map and the defects of the Extract page, and the dispersion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.extraction.methods import METHODS
from qpi_core.extraction.windows.window_search import AUTO
from ui.autosave.keeping import keep
from ui.extract.kernel.kernel_panel import available_methods, default_method, method_title
from ui.jobs.stack import StackOutcome, StackQuestion
from ui.jobs.stack_solving import solve_stack
from ui.jobs.workers.queues import Job
from ui.stacks.find_defects import show_find_defects
from ui.stacks.source import show_stack_source
from ui.state.loaders import extractor
from ui.state.preparation_state import preparation_of
from ui.state.saved_controls import controls_of
from ui.state.workspace import Workspace, page_workspace
from ui.widgets import texts
from ui.widgets.bottom_bar import bottom_places, show_jobs
from ui.widgets.controls.refinement_switch import choose_refinement
from ui.widgets.controls.window_control import choose_window
from ui.widgets.progress_steps import plain, show_steps

_NO_MARKS = (
    "No defects are marked. Mark them on the Extract page, on the layer that shows them best; they serve every layer. "
    "Or have them found in all energies together."
)


def show_stack_page() -> None:
    """Show the whole page."""
    space = page_workspace("Stacks")
    steps, jobs = bottom_places()
    question = None
    show_stack_source(space)
    keep(space, lambda: controls_of(st.session_state, space.loaded))
    missing = _what_is_missing(space)
    if missing:
        st.info(missing, icon=":material/info:")
        if space.loaded is not None and missing == _NO_MARKS:
            show_find_defects(space, _channel(space))
    else:
        question = _show_controls(space)
    with steps:
        _show_steps(space, question)
    show_jobs(space, "Stacks", jobs)
    if space.stack_problem:
        st.error(plain(space.stack_problem))
    job = space.jobs.get("stack")
    if space.stack_outcome is not None or job is not None:
        from ui.stacks.result import show_stack_result  # the charts and scipy are not needed before

        show_stack_result(lambda: space.stack_outcome if job is None or job.best is None else job.best, job is not None)


def take_stack(space: Workspace, job: Job) -> None:
    """Take over a stack that was computed, or opened out of a session."""
    space.stack_problem = job.problem if job.state == "failed" else ""
    if job.state == "done":
        space.stack_outcome = job.result


def _what_is_missing(space: Workspace) -> str:
    """Return what has to be done on the Extract page first, or ""."""
    from qpi_core.maps.preparation import Preparation
    from qpi_core.workflows.prepared_stack import require_stack

    if space.loaded is None:
        return "No map is open. Open an energy stack (a .3ds grid, say), and mark its defects on the Extract page; or try the example."
    try:
        require_stack(space.loaded.scan, _channel(space), Preparation.from_json(preparation_of(space).steps))
    except InputError as error:
        return plain(str(error))
    if not len(space.defects.points):
        return _NO_MARKS
    return ""


def _channel(space: Workspace) -> str:
    """Return the channel that the Extract page uses."""
    scan = space.loaded.scan
    chosen = st.session_state.get(f"channel_{space.loaded.sha256[:12]}")
    return chosen if chosen in scan.channels else scan.default_channel


def _show_controls(space: Workspace) -> StackQuestion:
    scan, channel = space.loaded.scan, _channel(space)
    st.caption(_describe(space, channel))
    left, middle, energies, right = st.columns([1, 1.4, 1.1, 0.9], gap="medium", vertical_alignment="bottom")
    methods = available_methods()
    st.session_state.setdefault("stack_method", default_method(methods))
    method = str(
        left.selectbox("Method", methods, format_func=method_title, key="stack_method", help=texts.STACK_METHOD, persist_state="session")
    )
    pitch = _pixel_size(space)
    size, auto = choose_window("stack_kernel_size", min(scan.shape), pitch, _found_window(space), middle)
    question = replace(
        _question(space, channel, method, AUTO if auto else size),
        layers=_choose_range(space, channel, energies),
        refine_positions=choose_refinement(space.defects.source == "picture", "stack_", text=texts.STACK_REFINE),
    )
    before = _unfinished(space, question)
    reason = _why_not(space, method)
    pressed = right.button(
        "Go on" if before is not None else "Extract every layer",
        type="primary",
        width="stretch",
        icon=":material/stacks:",
        disabled=bool(reason),
        help=reason or texts.STACK_READY,
        key="extract_stack",
    )
    if (pressed or space.stack_at_once) and not reason:
        space.stack_at_once = False
        space.stack_problem = ""
        space.jobs.start("stack", "Energy stack", lambda job: solve_stack(job, question, before), lambda job: take_stack(space, job))
        st.rerun()
    _show_standing(space, question)
    return question


def _show_steps(space: Workspace, question: StackQuestion | None) -> None:
    """Show the steps with what this page adds to them: a kernel for every layer."""
    outcome: StackOutcome | None = space.stack_outcome
    stale = outcome is not None and question is not None and outcome.question.fingerprint() != question.fingerprint()
    show_steps(
        space.loaded.name if space.loaded else None,
        len(space.defects.points),
        outcome is not None and not outcome.missing(question or outcome.question),
        stale,
        kernel="Kernels of every layer",
        press="Extract every layer",
        home="NPZ, CSV",
    )


def _describe(space: Workspace, channel: str) -> str:
    scan = space.loaded.scan
    count, energies = len(scan.stack(channel)), scan.energies(channel)
    known = bool(np.isfinite(energies).all())
    span = f" from {energies.min():.4g} to {energies.max():.4g} mV" if known else ", energies not known"
    defects = len(space.defects.points)
    kinds = len(set(space.defects.labels or ()))
    listed = f"{defects} {'defect' if defects == 1 else 'defects'}" + (f" of {kinds} classes." if kinds > 1 else ".")
    return plain(f"{space.loaded.name}, channel {channel}: {count} layers{span}; {listed}")


def _question(space: Workspace, channel: str, method: str, size: int | str) -> StackQuestion:
    loaded = space.loaded
    scan, pitch = loaded.scan, _pixel_size(space)
    if not scan.pixel_size_known and pitch is not None:
        scan = scan.with_pixel_size(pitch)
    labels = None if space.defects.labels is None else tuple(space.defects.labels)
    steps, points = preparation_of(space).steps, space.defects.points.copy()
    return StackQuestion(loaded.name, loaded.sha256, scan, channel, steps, points, method, size, labels)


def _choose_range(space: Workspace, channel: str, place: Any) -> tuple[int, int]:
    """Show which energies are to be computed and return the first and the last layer."""
    scan = space.loaded.scan
    count, energies = len(scan.stack(channel)), scan.energies(channel)
    known = bool(np.isfinite(energies).all())
    first, last = place.select_slider(
        "Energies to compute (mV)" if known else "Layers to compute",
        list(range(count)),
        value=(0, count - 1),
        format_func=lambda i: f"{energies[i]:.4g}" if known else str(i),
        key=f"stack_range_{space.loaded.sha256[:12]}_{count}",
        help=texts.STACK_RANGE,
        persist_state="session",
    )
    return int(first), int(last)


def _pixel_size(space: Workspace) -> tuple[float, float] | None:
    """Return (dy, dx) in nm from the file, or from the width that was given on the Extract page, or None."""
    scan, width = space.loaded.scan, st.session_state.get(f"width_{space.loaded.sha256[:12]}")
    if scan.pixel_size_known:
        return scan.pixel_size_nm
    return (float(width) / scan.shape[1],) * 2 if width else None


def _found_window(space: Workspace) -> int | None:
    """Return the side in px of the kernels on the page where the pattern itself asked for it."""
    outcome: StackOutcome | None = space.stack_outcome
    return None if outcome is None or outcome.question.kernel_size != AUTO else int(outcome.estimate.kernels.shape[-1])


def _unfinished(space: Workspace, question: StackQuestion) -> StackOutcome | None:
    """Return the answer to this very question that was stopped before its end, or None."""
    outcome: StackOutcome | None = space.stack_outcome
    if outcome is None or not outcome.missing(question) or outcome.question.fingerprint() != question.fingerprint():
        return None
    return outcome


def _why_not(space: Workspace, method: str) -> str:
    if space.jobs.get("stack") is not None:
        return "A stack is being computed; wait for it or cancel it."
    if METHODS[method].needs_model and not extractor().has_model:
        return "This method needs a released model, and none is installed; choose another method or train one."
    return ""


def _show_standing(space: Workspace, question: StackQuestion) -> None:
    """Say whether the result below is whole and belongs to the settings above."""
    outcome: StackOutcome | None = space.stack_outcome
    if outcome is None or space.jobs.get("stack") is not None:
        return
    if outcome.question.fingerprint() != question.fingerprint():
        st.warning("The result below is out of date: map, defects or settings have changed since.", icon=":material/history:")
    elif outcome.missing(question):
        total = len(question.wanted)
        done = total - len(outcome.missing(question))
        st.warning(f"Stopped after {done} of {total} layers, shown below. Go on computes the others.", icon=":material/pause_circle:")
