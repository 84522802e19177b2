"""What the detection proposes, under the map: add it to the marks, put it in their place, or leave it."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.state.workspace import FIRST_CLASS, NO_POINTS, DefectList, Workspace
from ui.widgets import texts

SAME_DEFECT_PX = 3.0
"""A proposal that lies nearer to a mark than this is the same defect; snapping moves a mark as far."""


def show_proposal(space: Workspace) -> None:
    """Ask what is to become of the proposal; without marks there is nothing to replace, and one button takes it over."""
    if not len(space.proposal):
        return
    marks, new = space.defects.points, new_defects(space.proposal, space.defects.points)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="proposal"):
        st.caption(proposal_sentence(space), width="stretch")
        if not len(marks):
            st.button("Accept", key="proposal_replace", on_click=_replace, args=(space,), type="primary", help=texts.ACCEPT)
        else:
            st.button(
                f"Add {len(new)}" if len(new) else "Add",
                key="proposal_add",
                on_click=_add,
                args=(space,),
                type="primary",
                disabled=not len(new),
                help=texts.ADD_PROPOSAL if len(new) else "Every square lies on a mark: there is nothing to add.",
            )
            st.button(f"Replace {len(marks)}", key="proposal_replace", on_click=_replace, args=(space,), help=texts.REPLACE_MARKS)
        st.button("Cancel", key="proposal_cancel", on_click=_drop, args=(space,), help=texts.DISCARD)


def new_defects(proposal: NDArray[np.float64], marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the proposed positions (n, 2) px that are at no mark yet."""
    if not len(marks):
        return proposal
    distance = np.hypot(*(proposal[:, None] - marks[None]).transpose(2, 0, 1))
    return proposal[distance.min(axis=1) > SAME_DEFECT_PX]


def add_to(defects: DefectList, points: NDArray[np.float64]) -> None:
    """Put positions behind those that are marked, in the first class."""
    labels = None if defects.labels is None else (*defects.labels, *(FIRST_CLASS,) * len(points))
    defects.replace(np.concatenate([defects.points, points]), "detection", labels)


def proposal_sentence(space: Workspace) -> str:
    """Return how many defects are proposed, and how many of them are marked already."""
    proposed, new = len(space.proposal), len(new_defects(space.proposal, space.defects.points))
    if not len(space.defects.points):
        return f"{proposed} proposed: the blue squares."
    known = proposed - new
    return f"{proposed} proposed, the blue squares: {new} new, {known} at {'a mark' if known == 1 else 'marks'} already."


def _add(space: Workspace) -> None:
    add_to(space.defects, new_defects(space.proposal, space.defects.points))
    _drop(space)


def _replace(space: Workspace) -> None:
    space.defects.replace(space.proposal, "detection")
    _drop(space)


def _drop(space: Workspace) -> None:
    space.proposal = NO_POINTS
