"""Percentiles between which the colours of a picture run, with a way back."""

from __future__ import annotations

import streamlit as st

from ui.widgets.controls.bounded_controls import bounded_slider

Percentiles = tuple[float, float]


def show_limits(key: str, default: Percentiles, help_text: str, width: int | str = "stretch") -> Percentiles:
    """Show a range of percentiles with a reset beside it, and return the range.

    Args:
        key: of the slider; its value stays when the page changes.
        default: where the reset goes back to.
        help_text: what the limits act on.
        width: of both together, in CSS pixels.
    """

    def reset() -> None:
        st.session_state[key] = default

    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", width=width):
        low, high = bounded_slider(
            "Limits (percentiles)", 0.0, 100.0, usual=default, step=0.5, key=key, help=help_text, format="%.1f", persist_state="session",
            width="stretch",
        )  # fmt: skip
        as_before = (low, high) == default
        st.button(
            "",
            key=f"{key}_reset",
            icon=":material/restart_alt:",
            type="tertiary",
            on_click=reset,
            disabled=as_before,
            help="Already at the usual limits." if as_before else f"Back to {default[0]:g} and {default[1]:g} percent.",
        )
    return float(low), float(high)
