"""The Documentation page: the files of docs/, as they are in the repository."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.bottom_bar import show_bottom_bar
from ui.workspace import workspace

FOLDER = Path(__file__).resolve().parent.parent / "docs"
TITLES = {
    "tutorial": "Tutorial",
    "method": "Method and limits",
    "python": "In Python",
    "command_line": "Command line",
    "training": "Training",
}


def show_documentation_page() -> None:
    """Show one document at a time."""
    show_bottom_bar(workspace(), "Documentation")
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
    st.markdown((FOLDER / f"{name}.md").read_text(encoding="utf-8"), width=860)
