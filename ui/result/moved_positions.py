"""Positions that the map moved: drawn beside the marks, said in numbers, and taken over only on request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.units import movements
from ui.state.workspace import NO_POINTS, Workspace
from ui.widgets import texts

STALE = "The marks have changed since; extract again first."
Move = tuple[NDArray[np.float64], NDArray[np.float64], Sequence[str] | None]
"""(marks, moved), (n, 2) px each, and the class of each defect or None."""


def moved_positions(space: Workspace, sha256: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (marks, moved), (n, 2) px each, of the result of the layer in view; both are empty where nothing was moved.

    Args:
        space: of the session.
        sha256: of the layer in view.
    """
    outcome = space.outcome
    if outcome is None or not outcome.question.refine_positions or outcome.question.view.layer.sha256 != sha256:
        return NO_POINTS, NO_POINTS
    classes = outcome.estimate.provenance.get("classes")
    marks = outcome.question.positions
    moved = np.array(classes["positions_px"]) if classes else outcome.estimate.positions
    return (NO_POINTS, NO_POINTS) if np.array_equal(marks, moved) else (marks, moved)


def show_moved_positions(space: Workspace, sha256: str) -> None:
    """Say how far the map moved the defects, and offer to take the positions that it found in place of the marks."""
    marks, moved = moved_positions(space, sha256)
    if len(marks):
        offer_moved_positions(space, (marks, moved, space.outcome.question.labels), "Crosses: where the map has the defects")


def offer_moved_positions(space: Workspace, move: Move, where: str) -> None:
    """Say how far defects were moved, `where` being the beginning of the sentence, and offer to take the new places over."""
    marks, moved, labels = move
    if np.array_equal(marks, moved) or np.array_equal(space.defects.points, moved):
        return
    stale = not np.array_equal(space.defects.points, marks)
    distance = np.hypot(*(moved - marks).T)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            "The map would have the defects elsewhere, but the marks have changed since."
            if stale
            else f"{where}, away by {movements(distance)}.",
            width="stretch",
        )
        st.button(
            "Take over moved positions",
            key="take_over_positions",
            on_click=lambda: space.defects.replace(moved, "refined", labels),
            disabled=stale,
            help=STALE if stale else texts.TAKE_OVER,
        )
