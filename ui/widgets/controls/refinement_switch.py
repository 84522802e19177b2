"""The switch that lets the data move the defects before the kernel is computed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.widgets import texts


def choose_refinement(clicked: bool, prefix: str = "", place: Any = st, text: str = texts.REFINE_POSITIONS) -> bool:
    """Show the switch: on at first for positions set in the picture, off for those of lists, each remembered on its own.

    Args:
        clicked: whether the defects were set in the picture.
        prefix: of the keys, a page's own.
        place: where it is shown.
        text: what it says about itself.
    """
    return bool(
        place.toggle(
            "Let the map move the defects",
            value=clicked,
            key=f"{prefix}refine_clicked" if clicked else f"{prefix}refine_listed",
            help=text,
            persist_state="session",
        )
    )
