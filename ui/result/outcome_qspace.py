"""The q-space view of an extraction: pictures and profiles, the ring's signal to noise, and the picture to take home."""

from __future__ import annotations

import streamlit as st

from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.figures.qspace import qspace_picture
from ui.jobs.extraction import Outcome
from ui.jobs.ring import ring_kernel
from ui.qspace.panel import show_qspace
from ui.qspace.ring import show_ring
from ui.qspace.subject import subject_of
from ui.state.workspace import workspace
from ui.widgets.downloads import FORMATS, file_stem


@st.fragment
def show_outcome_in_qspace(outcome: Outcome) -> None:
    """Show the whole section; a change of its controls reruns it alone."""
    space, estimate = workspace(), outcome.estimate
    subject = subject_of(estimate, outcome.question.view.unit)
    shown = show_qspace(subject)
    space.qspace_view = None if shown is None else shown[0]
    if shown is None:
        return
    view, _ = shown
    show_ring(space, ring_kernel(outcome), subject, view)
    file_format = str(st.session_state.get("picture_format") or "png")  # chosen at "Take home"
    st.download_button(
        f"q-space {FORMATS[file_format]}",
        lambda: qspace_picture(estimate, view, PictureStyle(file_format=file_format)),
        f"{file_stem(outcome)}_qspace.{file_format}",
        MEDIA_TYPES[file_format],
        on_click="ignore",
        key=f"download_qspace_{file_format}",
        icon=":material/download:",
        help="The pictures of this section as they are set, with lattice and colour bars; the report and the ZIP hold them too.",
    )
