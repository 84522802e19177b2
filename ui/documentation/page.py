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
_PART = re.compile(
    r"^!\[(?P<caption>[^\]]*)\]\((?P<picture>[\w/]+\.png)\)$|^```(?P<language>\w+)\n(?P<code>.*?)\n```$", re.MULTILINE | re.DOTALL
)
"""A picture, or a block of code in a named language."""
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
    """Show a document; its pictures lie beside it on disk, where Markdown in a browser does not find them, nor links to other documents.

    Code wraps: what has to be scrolled sideways cannot be read by keyboard alone.
    """
    rest = _OTHER_DOCUMENT.sub(r"*\1*", text)
    while part := _PART.search(rest):
        if part.start():
            st.markdown(rest[: part.start()], width=_WIDTH)
        if part["picture"]:
            with st.container(width=_WIDTH):
                # At its own size, or as wide as the text.
                st.image(FOLDER / part["picture"], caption=part["caption"], alt=part["caption"])
        else:
            st.code(part["code"], language=part["language"], wrap_lines=True, width=_WIDTH)
        rest = rest[part.end() :]
    st.markdown(rest, width=_WIDTH)
