"""The Documentation page: the files of docs/, as they are in the repository."""

from __future__ import annotations

import re

import streamlit as st

from qpi_core.base.places import shipped
from ui.state.workspace import page_workspace
from ui.widgets.bottom_bar import show_bottom_bar

FOLDER = shipped("docs")
TITLES = {
    "tutorial": "Tutorial",
    "method": "Method and limits",
    "python": "In Python",
    "command_line": "Command line",
    "training": "Training",
    "paper": "The paper's experiment",
    "benchmarks": "Benchmarks",
    "measured_maps": "Measured maps",
}
_WIDTH = 860
_PICTURE = re.compile(r"^!\[([^\]]*)\]\(([\w/]+\.png)\)$", re.MULTILINE)
_OTHER_DOCUMENT = re.compile(r"\[([^\]]+)\]\(\w+\.md\)")


def show_documentation_page() -> None:
    """Show one document at a time."""
    show_bottom_bar(page_workspace("Documentation"), "Documentation")
    name = st.segmented_control(
        "Document",
        list(TITLES),
        format_func=TITLES.__getitem__,
        default=next(iter(TITLES)),
        required=True,
        key="document",
        persist_state="session",
        label_visibility="collapsed",
        help="The same files lie in the folder docs.",
    )
    show_document((FOLDER / f"{name}.md").read_text(encoding="utf-8"))


def show_document(text: str) -> None:
    """Show a document; its pictures lie beside it on disk, where Markdown in a browser does not find them, nor links to other documents."""
    rest = _OTHER_DOCUMENT.sub(r"*\1*", text)
    while picture := _PICTURE.search(rest):
        st.markdown(rest[: picture.start()], width=_WIDTH)
        with st.container(width=_WIDTH):
            st.image(FOLDER / picture[2], caption=picture[1])  # at its own size, or as wide as the text
        rest = rest[picture.end() :]
    st.markdown(rest, width=_WIDTH)
