"""Right side of the Extract page: the defects as a table, from a file, or proposed by the detection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from qpi_core.base.errors import InputError
from ui.extract.defects.blind_panel import show_best_so_far
from ui.extract.defects.defect_table import show_defect_table
from ui.extract.kernel.kernel_preview import show_first_estimate, show_kernel_preview
from ui.extract.map.map_panel import MapView
from ui.jobs.defect_search import start_search
from ui.jobs.extraction import Question
from ui.state.preparation_state import preparation_of
from ui.state.workspace import MOST_CLASSES, Workspace
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_slider
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.maps.positions.files import LoadedPositions

DEFECT_PANEL_HEIGHT = 270
_TABLE_HEIGHT = 152


def show_defect_panel(space: Workspace, view: MapView, question: Question) -> None:
    """Show the three ways to defects beside the picture, and the kernel that came of them, or that a search has so far."""
    search, running = space.jobs.get("blind"), space.jobs.get("extraction")
    # Another key once there is a kernel or a search: it is shown at once, and afterwards the chosen tab stays.
    last = "Search" if search is not None else "Kernel" if running is not None or space.outcome is not None else ""
    titles = ["Table", "From file", "Detect", *([last] if last else [])]
    table, from_file, detect, *kernel = st.tabs(titles, default=last or "Table", key=f"defect_tabs_{last}")
    if kernel:
        with kernel[0]:
            if search is not None:
                show_best_so_far(search, question)
            elif running is not None:
                show_first_estimate(running, space.outcome is None)
            else:
                show_kernel_preview(space.outcome, space.stale)
    with table:
        show_defect_table(space.defects, view.pixel_size_nm, view.layer.values.shape, height=_TABLE_HEIGHT)
    with from_file:
        _show_upload(space, view)
    with detect:
        _show_detection(space, view)


def _show_upload(space: Workspace, view: MapView) -> None:
    upload = st.file_uploader("List of positions", key="positions_upload", help=texts.POSITION_FILE, label_visibility="collapsed")
    answer = st.container(gap="small")
    units = st.segmented_control(
        "Units of a list without a heading",
        ["px", "nm"],
        key="positions_units",
        help="Only for lists that do not say it in their first line.",
        persist_state="session",
    )
    if upload is None:
        return
    with answer:
        try:
            loaded = _read_list(space, view, upload.name, upload.getvalue(), units)
        except InputError as error:
            st.error(plain(str(error)))
            return
        if loaded.labels is not None and len(set(loaded.labels)) > MOST_CLASSES:
            st.error(f"The list has {len(set(loaded.labels))} classes; at most {MOST_CLASSES} kernels are solved together.")
            return
        st.button(
            "Use this list",
            key="use_list",
            on_click=lambda: preparation_of(space).place_raw_defects(
                space.defects, loaded.positions_px, view.layer.values.shape, loaded.labels
            ),
            width="stretch",
            type="primary",
            help=texts.USE_LIST,
        )
        st.text(loaded.description)


def _read_list(space: Workspace, view: MapView, name: str, content: bytes, units: str | None) -> LoadedPositions:
    """Return the positions of a file; the units on the page count only where the file does not say its own.

    Raises:
        InputError: it cannot be read; the sentence says why.
    """
    from qpi_core.maps.positions.files import load_positions

    try:
        return load_positions(content, name, view.file_pixel_size_nm, space.loaded.scan.shape, frame=space.loaded.scan.scanner_frame)
    except InputError:
        if units is None:
            raise
        return load_positions(content, name, view.file_pixel_size_nm, space.loaded.scan.shape, units=units)


def _show_detection(space: Workspace, view: MapView) -> None:
    def propose() -> None:
        template = space.outcome.estimate.kernel if looked_for == "kernel" else None
        start_search(space, view, st.session_state["sensitivity"], template, "spots" if looked_for == "spots" else "auto")

    def snap() -> None:
        from qpi_core.maps import snap_to_extremum

        try:
            space.defects.replace(snap_to_extremum(view.layer.values, space.defects.points), "snapped", space.defects.labels)
        except InputError as error:
            space.proposal_note = str(error)

    looked_for = _choose_target(space, view)
    bounded_slider("Sensitivity", 0.0, 1.0, usual=0.5, step=0.05, key="sensitivity", help=texts.SENSITIVITY, persist_state="session")
    searching = space.jobs.get("search") is not None
    st.button(
        "Propose defects",
        on_click=propose,
        width="stretch",
        icon=":material/frame_inspect:",
        disabled=searching,
        help="A search is running." if searching else texts.PROPOSE,
    )
    marked = len(space.defects.points) > 0
    st.button(
        "Snap marks to extrema",
        key="snap",
        on_click=snap,
        disabled=not marked,
        width="stretch",
        help=texts.SNAP if marked else "Mark defects first; then this moves each to the extremum next to it.",
    )
    if space.proposal_note:
        st.caption(space.proposal_note)


def _choose_target(space: Workspace, view: MapView) -> str:
    """Show what the detection looks for and return it: "auto", "spots" or, where there is one, "kernel"."""
    fits = space.outcome is not None and space.outcome.estimate.pixel_size_nm == view.pixel_size_nm
    reason = "extract one first" if space.outcome is None else "the one below has another pixel size"
    choices = {"auto": "What repeats", "spots": "Spots", **({"kernel": "Like the kernel"} if fits else {})}
    chosen = st.segmented_control(
        "Look for",
        list(choices),
        format_func=choices.__getitem__,
        default="auto",
        required=True,
        key="look_for",
        help=texts.LOOK_FOR if fits else f"{texts.LOOK_FOR} The kernel cannot be looked for yet: {reason}.",
        persist_state="session",
    )
    return str(chosen) if chosen in choices else "auto"
