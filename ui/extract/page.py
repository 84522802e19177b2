"""The Extract page: map, defects, kernel, take home."""

from __future__ import annotations

from typing import Any

import streamlit as st

from qpi_core.base.errors import InputError
from ui.autosave.keeping import has_news, keep
from ui.autosave.panel import show_autosave, show_offer
from ui.extract.defects.blind_panel import show_blind_button
from ui.extract.defects.defect_panel import DEFECT_PANEL_HEIGHT, show_defect_panel
from ui.extract.defects.proposal_bar import show_proposal
from ui.extract.kernel.kernel_panel import choose_question, framed_window, show_extract_button, show_size_sentence
from ui.extract.landing import show_first_page
from ui.extract.map.beside import second_picture
from ui.extract.map.map_captions import show_map_captions
from ui.extract.map.map_panel import MapView, choose_view, show_source
from ui.extract.map.measure_panel import show_measure
from ui.extract.preparation.before_after import show_before_after
from ui.extract.preparation.drawn_area import adopt_area
from ui.extract.tour import show_tour
from ui.jobs.defect_search import keep_proposal_of
from ui.jobs.extraction import Question
from ui.result.moved_positions import moved_positions, show_moved_positions
from ui.result.sure_marks import show_sure_caption, sure_marks
from ui.state.preparation_state import preparation_of
from ui.state.saved_controls import controls_of
from ui.state.warm_up import warm_up_once
from ui.state.workspace import Workspace, page_workspace, workspace
from ui.widgets.bottom_bar import bottom_places, show_jobs, show_steps_of
from ui.widgets.picker import PickerMap, PickerMarks, defect_picker
from ui.widgets.progress_steps import plain
from ui.widgets.session_panel import show_save_session

_PICKER_HEIGHT = 500
_PICKER_KEY = "picker"


def show_extract_page() -> None:
    """Show the whole page."""
    space = page_workspace("Extract")
    steps, jobs = bottom_places()
    space.whole_page = True
    _bench(steps)
    space.whole_page = False
    show_jobs(space, "Extract", jobs)
    if space.extract_problem:
        st.error(plain(space.extract_problem))
    if space.outcome is not None:
        from ui.result.panel import show_result  # the charts and scipy are not needed for the first page

        show_result(space.outcome, space.stale)
    warm_up_once()


@st.fragment
def _bench(steps: Any) -> None:
    """Show everything above the result: a click on the map reruns this alone, and the rest of the page only when its standing changes."""
    space = workspace()
    space.jobs.collect()  # before the map is drawn, so that it shows what was found
    _adopt_picture(space)
    _adopt_area(space)
    show_tour(space)
    left, middle_and_right = st.columns([1, 3.4], gap="medium")
    view, question = None, None
    with left:
        show_source(space)
        if space.loaded is not None:
            try:
                view = choose_view(space.loaded)
            except InputError as error:
                st.error(plain(str(error)))
            show_save_session(space, "save_session")
            show_autosave(space)
            keep(space, lambda: controls_of(st.session_state, space.loaded))
        else:
            show_offer(space)
    with middle_and_right:
        if view is not None:
            question = _workbench(space, view)
        elif space.loaded is None:
            show_first_page(_PICKER_HEIGHT + 60)
        else:
            _wait_for_map(space)
    stale = space.outcome is not None and question is not None and not question.is_answered_by(space.outcome.question)
    changed = stale != space.stale or space.outcome is not space.shown_outcome
    space.stale, space.shown_outcome = stale, space.outcome
    with steps:
        show_steps_of(space)
    # A computation that has just begun is looked after by the whole page.
    changed = changed or any(job not in space.jobs.polled for _, job, _ in space.jobs.running())
    if (changed or has_news(space)) and not space.whole_page:
        st.rerun()


def _wait_for_map(space: Workspace) -> None:
    """Keep the map's place while it is prepared, or while it cannot be."""
    if space.jobs.running():
        st.skeleton(height=_PICKER_HEIGHT + 60)
        return
    with st.container(border=True, height=_PICKER_HEIGHT + 60, vertical_alignment="center", horizontal_alignment="center"):
        st.caption("The map stands here once its preparation is in order.")


def _workbench(space: Workspace, view: MapView) -> Question:
    keep_proposal_of(space, view.layer.sha256)
    middle, right = st.columns([2.15, 1], gap="medium")
    with right:
        panel = st.container(height=DEFECT_PANEL_HEIGHT, border=False, gap="small")
        question = choose_question(space, view)
    with middle:
        _show_picker(space, view, framed_window(space, question))
    with right:
        with panel:
            show_defect_panel(space, view, question)
        with st.container(gap="small"):
            show_extract_button(space, question)
            show_blind_button(space, question)
        show_size_sentence(space, question)
    return question


def _show_picker(space: Workspace, view: MapView, frame: int | None) -> None:
    defects = space.defects
    if defects.source != "picture":
        space.shown = (defects.rev, defects.points, defects.labels)
    rev, points, labels = space.shown
    layer, beside = view.layer, second_picture(space.loaded, view)
    moved, sure = moved_positions(space, layer.sha256), sure_marks(space.outcome, layer.sha256)
    defect_picker(
        PickerMap(layer.values, layer.sha256, _map_id(space), view.colours, view.limits, view.pixel_size_nm, view.unit, beside),
        PickerMarks(rev, points, labels, space.proposal, moved, sure, frame),
        session=space.session,
        height=_PICKER_HEIGHT,
        key=_PICKER_KEY,
        on_change=lambda: _adopt_picture(workspace()),
    )
    show_proposal(space)
    show_sure_caption(sure)
    show_moved_positions(space, view.layer.sha256)
    show_map_captions(space.loaded, view)
    show_before_after(space, view)
    show_measure(space, view)


def _adopt_picture(space: Workspace) -> None:
    state = st.session_state.get(_PICKER_KEY)
    if state and space.loaded is not None:
        space.defects.adopt(state.get("value"), _map_id(space))


def _adopt_area(space: Workspace) -> None:
    state = st.session_state.get(_PICKER_KEY)
    if state and space.loaded is not None:
        adopt_area(space, state.get("area"), _map_id(space))


def _map_id(space: Workspace) -> str:
    height, width = space.loaded.scan.shape
    place = preparation_of(space).place
    return f"{space.loaded.sha256[:16]} {width}x{height}{f' {place}' if place else ''}"
