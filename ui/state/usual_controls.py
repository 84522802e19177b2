"""The settings that belong to a map, and what they are at first: another map begins with these."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

USUAL_KERNEL_SIZE = 64
USUAL: dict[str, Any] = {
    "kernel_size": USUAL_KERNEL_SIZE,
    "kernel_auto": True,
    "stack_kernel_size": USUAL_KERNEL_SIZE,
    "stack_kernel_auto": True,
    "refine_clicked": True,
    "refine_listed": False,
    "stack_refine_clicked": True,
    "stack_refine_listed": False,
    "model_noise": True,
    "blind_kinds": 1,
    "look_for": "spots",
    "sensitivity": 0.5,
    "kernel_limits": (0.0, 100.0),
    "q_window": "none",
    "q_padding": 1,
    "q_zoom": 0,
    "q_log": False,
    "q_beside": "map",
    "q_lattice_kind": "none",
    "q_lattice_a": 0.4,
    "q_lattice_b": 0.6,
    "q_lattice_angle": 75.0,
    "q_lattice_orientation": 0.0,
    "q_symmetry": 1,
    "q_mirror": "none",
    "q_mirror_angle": 0.0,
    "q_profile": "ring",
    "q_cut_angle": 0.0,
    "q_cut_width": 1,
}
"""Key of the widget -> value at first."""
TIMES_PUT = "times_controls_put"
"""Key that counts how often settings were put in place of others, so that these are not taken for choices of somebody."""
_METHODS = ("method", "stack_method")
_FOUND = ("q_ring", "q_ring_proposed")
"""Values without a widget of their own, which follow the result until somebody moves them."""


def put_usual_controls(state: MutableMapping[Any, Any]) -> None:
    """Set the settings of a map to what they are at first; those that nobody has seen yet come up so by themselves."""
    from ui.extract.kernel.kernel_panel import available_methods, default_method

    count_put(state)
    for key, value in USUAL.items():
        if key in state:
            state[key] = value
    for key in _METHODS:
        if key in state:
            state[key] = default_method(available_methods())
    for key in _FOUND:
        if key in state:
            del state[key]


def count_put(state: MutableMapping[Any, Any]) -> None:
    """Note that settings are put in place of those before."""
    state[TIMES_PUT] = state.get(TIMES_PUT, 0) + 1


def saved_controls_of_a_map(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Return key -> value of the settings of the map in use, to be put back with it."""
    return {key: state[key] for key in (*USUAL, *_METHODS, *_FOUND) if key in state and state[key] is not None}
