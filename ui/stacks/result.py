"""The result of an energy stack, whole or as far as it has come: one energy in all its pictures, E(q), and the files to take home."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import streamlit as st

from ui.jobs.stack import StackOutcome, StackView
from ui.stacks.bands.band_guide import show_band_guide
from ui.stacks.bands.physics import show_physics
from ui.stacks.defect_list import show_list_offers
from ui.stacks.downloads import file_part, show_downloads
from ui.stacks.energies import show_energies
from ui.stacks.layer_view import show_classes_beside, show_kernel_of_layer, show_layer_and_residual
from ui.stacks.qspace import show_layer_in_qspace
from ui.stacks.stability import show_stack_stability
from ui.state.workspace import workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_PLAY_SECONDS = 0.7
_GROW_SECONDS = 5.0
"""Drawing takes the time of the work that is waited for, so a stack that grows is drawn seldom and without what takes longest."""
_PLAYED_AT = "stack_played_at"
_HEIGHT = 420


def show_stack_result(find: Callable[[], StackOutcome | None], growing: bool) -> None:
    """Show a stack, and again and again where it plays or grows.

    Args:
        find: returns the stack as it is now, None before the first layer is done.
        growing: whether layers are still being computed.
    """
    playing = bool(st.session_state.get("stack_play"))
    pause = _PLAY_SECONDS if playing else _GROW_SECONDS if growing else None
    st.fragment(_show, run_every=pause)(find, growing, playing)


def _show(find: Callable[[], StackOutcome | None], growing: bool, playing: bool) -> None:
    outcome = find()
    if outcome is None:
        st.skeleton(height=_HEIGHT)
        return
    if growing:
        done, wanted = int(outcome.estimate.done.sum()), len(outcome.question.wanted)
        st.caption(f"{done} of {wanted} layers so far; the others come in by themselves.")
    view = _choose_class(outcome)
    index, key = _choose_layer(view)
    if bool(st.session_state.get("stack_play")) != playing:
        st.rerun()
    if len(outcome.views) > 1:
        show_classes_beside(outcome, index)
    layers, energies = st.columns([1.5, 1], gap="medium")
    with layers:
        show_kernel_of_layer(view, index)
    with energies:
        show_energies(view, index, key)
    if growing:
        return
    show_layer_and_residual(outcome, index)
    for note in view.estimate.notes:
        st.caption(plain(note))
    show_list_offers(workspace(), outcome)
    show_downloads(outcome, view, file_stem(view))
    if view.estimate.usable[index] and not playing:
        show_layer_in_qspace(workspace(), outcome, view, index)
        show_stack_stability(workspace(), outcome, view, index)
        show_physics(workspace(), outcome, view, file_stem(view))
        fit = workspace().stack_band
        show_band_guide(view, index, fit.model if fit is not None and fit.outcome is outcome else None)


def file_stem(view: StackView) -> str:
    """Return the beginning of the names of a class's files."""
    return f"{Path(view.question.name).stem}_stack" + (f"_{file_part(view.name)}" if view.name else "")


def _choose_class(outcome: StackOutcome) -> StackView:
    names = list(outcome.views)
    if len(names) == 1:
        return outcome.views[names[0]]
    if st.session_state.get("stack_class") not in names:
        st.session_state["stack_class"] = names[0]
    counts = {name: len(view.estimate.positions) for name, view in outcome.views.items()}
    chosen = st.segmented_control(
        "Class of defects",
        names,
        format_func=lambda name: plain(f"{name} ({counts[name]})"),
        required=True,
        key="stack_class",
        help=texts.STACK_CLASS,
        persist_state="session",
    )
    return outcome.views[str(chosen)]


def _choose_layer(outcome: StackView) -> tuple[int, str]:
    """Show the slider of energies and the switch that plays them; return the layer in view, and the key that holds it."""
    done = [int(index) for index in np.flatnonzero(outcome.estimate.done)]
    key = f"stack_layer_{outcome.question.file_sha256[:12]}"
    # The same places whatever is shown in them, so that nothing jumps when the second layer comes in.
    left, right = st.columns([6, 1], gap="medium", vertical_alignment="bottom")
    if len(done) == 1:
        return done[0], key
    bias = outcome.estimate.bias_mv
    known = bool(np.isfinite(bias).all())
    _advance(key, done)
    index = left.select_slider(
        "Energy (mV)" if known else "Layer",
        done,
        format_func=lambda i: f"{bias[i]:.4g}" if known else str(i),
        key=key,
        help=texts.STACK_LAYER,
        persist_state="session",
    )
    right.toggle("Play", key="stack_play", help=texts.STACK_PLAY)
    return int(index), key


def _advance(key: str, done: list[int]) -> None:
    """Keep the layer in view among those that are done, and go on to the next one while they are played."""
    state, now = st.session_state, time.monotonic()
    if key in state and state[key] not in done:
        state[key] = done[0]
    if state.get("stack_play") and now - state.get(_PLAYED_AT, 0.0) > 0.8 * _PLAY_SECONDS:
        state[_PLAYED_AT] = now
        here = state.get(key, done[0])
        state[key] = done[(done.index(here) + 1) % len(done)]
