"""Sliders and number fields whose value always lies within their bounds, whatever maps and steps come in.

Streamlit ends the page when the session holds a value that a slider's new bounds exclude: a crop makes the largest kernel smaller, and the
undo makes the smallest one larger. Every slider and number field of the app therefore goes through here (held by test_bounds.py).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import numpy as np
import streamlit as st

Number = int | float
Value = Number | tuple[Number, Number]
_WISHES = "bounded_wishes"


def bounded_slider(label: str, low: Number, high: Number, *, key: str, usual: Value, place: Any = st, help: str, **more: Any) -> Any:
    """Show a slider, or one with two ends where `usual` is a pair, and return its value.

    Args:
        label, help: as Streamlit's.
        low, high: bounds, low <= high. Equal ones leave nothing to choose: the slider is then shown off, at its only value.
        key: of the value in the session.
        usual: value at first; it is moved into the bounds where it lies outside.
        place: where to show it.
        more: as Streamlit's.
    """
    if not low < high:
        # Streamlit refuses such a slider; this one stands at its upper end and cannot be moved.
        step = more.pop("step", None) or type(high)(1)
        shown = {name: value for name, value in more.items() if name in ("format", "width", "label_visibility")}
        place.slider(label, high - step, high, high, key=f"{key} only", disabled=True, help=help, **shown)
        return (high, high) if isinstance(usual, tuple) else high
    _keep_within(st.session_state, key, low, high, usual)
    return place.slider(label, low, high, key=key, help=help, **more)


def bounded_number(
    label: str, low: Number, high: Number, *, key: str, usual: Number | None, place: Any = st, help: str, **more: Any
) -> Any:  # fmt: skip
    """Show a field for a number and return it, None where it is empty; arguments as of `bounded_slider`, usual None begins empty."""
    high = max(low, high)
    _keep_within(st.session_state, key, low, high, usual)
    if usual is None:
        more["value"] = None
    return place.number_input(label, low, high, key=key, help=help, **more)


def moved_within(value: Value, low: Number, high: Number) -> Value:
    """Return a number, or both of a pair, moved into the bounds, of the type of the bounds; what is not a number goes to the lower one."""
    if isinstance(value, (tuple, list)):
        first, second = sorted(_one_within(end, low, high) for end in value)
        return first, second
    return _one_within(value, low, high)


def _one_within(value: Number, low: Number, high: Number) -> Number:
    if not np.isfinite(value):
        return low
    return type(low)(min(max(value, low), high))


def _keep_within(state: MutableMapping[Any, Any], key: str, low: Number, high: Number, usual: Value | None) -> None:
    """Move the value of a key into its bounds; it comes back as soon as the bounds allow it, unless another one is chosen meanwhile.

    The session is written to only where something changes: a written value is sent to the browser and disturbs a drag.
    """
    wishes: dict[str, tuple[Value, Value]] = state.setdefault(_WISHES, {})
    value = state.get(key)
    if value is None:
        value = usual
        if value is None:
            return
    given, wished = wishes.pop(key, (None, None))
    wish = wished if wished is not None and value == given else value
    kept = moved_within(wish, low, high)
    if kept != wish:
        wishes[key] = (kept, wish)
    if key not in state or state[key] != kept or _types(state[key]) != _types(kept):
        state[key] = kept


def _types(value: Any) -> tuple[type, ...]:
    return tuple(type(end) for end in value) if isinstance(value, (tuple, list)) else (type(value),)
