"""The side of the kernel window: as far as the pattern is seen, or chosen by hand."""

from __future__ import annotations

from typing import Any

import streamlit as st

from qpi_core.diagnostics.window import LARGEST_WINDOW, LEAST_WINDOW
from ui.state.usual_controls import TIMES_PUT, USUAL, USUAL_KERNEL_SIZE
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_slider

SIZE_KEYS = {"kernel_size": "kernel_auto", "stack_kernel_size": "stack_kernel_auto"}
"""Key of the side in px -> key of the switch that lets the pattern decide."""


def choose_window(
    key: str, shorter: int, pixel_size_nm: tuple[float, float] | None, found: int | None, place: Any = st
) -> tuple[int, bool]:
    """Show switch and slider; return the side in px that stands there, and whether the pattern decides instead.

    Args:
        key: one of SIZE_KEYS.
        shorter: side of the map in px.
        pixel_size_nm: (dy, dx), for the side in nm, or None.
        found: the side that the pattern asked for last, in px, or None; the slider shows it as long as the pattern decides.
        place: where to show them.
    """
    state, switch = st.session_state, SIZE_KEYS[key]
    largest = min(shorter, LARGEST_WINDOW)
    fixed = largest <= LEAST_WINDOW
    state.setdefault(switch, USUAL[switch])
    left, right = place.columns([1.3, 1.7], gap="small", vertical_alignment="bottom")
    automatic = left.toggle("Auto", key=switch, help=texts.KERNEL_AUTO, persist_state="session")
    if automatic and found is not None and state.get(key) != found and not fixed:
        state[key] = found
    side = min(int(state.get(key) or USUAL_KERNEL_SIZE), largest)
    size = bounded_slider(
        f"Kernel: {side * max(pixel_size_nm):.3g} nm, in px" if pixel_size_nm else "Kernel size (px)",
        largest if fixed else LEAST_WINDOW,
        largest,
        key=key,
        usual=USUAL_KERNEL_SIZE,
        place=right,
        on_change=_take_over,
        args=(state, key, side, state.get(TIMES_PUT)),
        persist_state="session",
        help=f"The map is only {shorter} pixels wide, so the kernel takes all of it." if fixed else texts.KERNEL_SIZE,
    )
    return int(size), bool(automatic)


def _take_over(state: Any, key: str, shown: int, times_put: int | None) -> None:
    """Let a side that somebody has moved count; Streamlit also calls this for one that came with another map."""
    if state[key] != shown and state.get(TIMES_PUT) == times_put:
        set_window(state, key)


def set_window(state: Any, key: str, size: int | None = None) -> None:
    """Let a side chosen by hand count from now on: this one, or the one that stands there."""
    state[SIZE_KEYS[key]] = False
    if size is not None:
        state[key] = size
