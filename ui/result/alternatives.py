"""The other explanations of a map that the search for defects and kernel came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.jobs.extraction import Outcome, Question
from ui.state.workspace import Workspace
from ui.widgets import texts

if TYPE_CHECKING:
    from qpi_core.estimates.blind_estimate import BlindAlternative

_SMALL_HEIGHT = 150


def show_alternatives(space: Workspace, outcome: Outcome) -> None:
    """Offer the other explanations that a search came to, folded; the first one is the kernel that is shown."""
    others = getattr(outcome.estimate, "alternatives", ())[1:]
    if not others:
        return
    with st.expander(f"Other explanations that were tried ({len(others)})"):
        st.caption(texts.ALTERNATIVES)
        for number, (column, other) in enumerate(zip(st.columns(4), others, strict=False)):
            with column:
                show_small_kernel(other, outcome.question, f"alternative_{number}", _SMALL_HEIGHT)
                st.caption(f"{described(other)}; evidence {other.evidence:.0f}, leaves {100 * max(other.unexplained, 0.0):.1f} %")
                st.button(
                    "Show its defects",
                    key=f"alternative_take_{number}",
                    on_click=_propose,
                    args=(space, outcome, other),
                    width="stretch",
                    help="Draws them as squares in the map; your marks stay until you say what is to become of them.",
                )


def _propose(space: Workspace, outcome: Outcome, other: BlindAlternative) -> None:
    space.proposal, space.searched = other.positions, outcome.question.view.layer.sha256


def described(one: BlindAlternative) -> str:
    """Return `4-fold, 12 defects`."""
    order, count = one.symmetry_order, len(one.positions)
    return f"{'round' if order == 0 else f'{order}-fold'}, {count} {'defect' if count == 1 else 'defects'}"


def show_small_kernel(one: BlindAlternative, question: Question, key: str, height: int) -> None:
    """Show the kernel of an explanation, small."""
    from ui.charts.kernels import single_kernel

    figure = single_kernel(one.kernel, question.view.pixel_size_nm, question.view.unit, height)
    st.plotly_chart(figure, width="stretch", key=key, config={"displayModeBar": False}, alt=f"Kernel: {described(one)}")
