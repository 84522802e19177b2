"""Preparation of the map on the Extract page: its steps in order, add, remove, undo, what each took out, and the list as a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from qpi_core.base.errors import InputError
from ui.extract.preparation.preparation_forms import FormLayer, step_form
from ui.extract.preparation.preparation_names import ABOUT, TITLES, describe_step
from ui.extract.preparation.tilt_offer import show_tilt_offer
from ui.jobs.workers.background import Stopped, computed, forget
from ui.state.loaders import PreparedLayer, prepare_layer, prepared_layer
from ui.state.preparation_state import PreparationState, place_of, preparation_of
from ui.state.workspace import Workspace, workspace
from ui.widgets.progress_steps import plain
from ui.widgets.upload import take_upload

if TYPE_CHECKING:
    from qpi_core.maps import ScanMap
    from qpi_core.maps.preparation import StepResult

SHOWN_STEP = "prepare_removed"
"""Key of the step whose before and after are shown."""
NOTHING_SHOWN = -1
_LAYER = "layer"


def show_preparation(space: Workspace, scan: ScanMap, channel: str, index: int) -> PreparedLayer | None:
    """Show the steps and their controls, and return the layer after them, None while it is computed; the defects move along.

    Args:
        space: with the map in use.
        scan: the map with the pixel size in use.
        channel, index: the layer.

    Raises:
        InputError: no such layer, or a step that does not fit it; the controls are there all the same, so that it can be removed.
    """
    state = preparation_of(space)
    problem, layer = "", None
    try:
        layer = _layer_after(space, state, scan, channel, index)
        if layer is not None:
            _move_defects(space, state, layer, channel, index)
    except InputError as error:
        problem = str(error)
    with st.expander("Preparation", icon=":material/tune:", key="preparation"):
        _show_steps(state)
        if layer is not None:
            _show_new_step(state, FormLayer(space, layer.prepared, layer.sha256, scan.channels, scan.pixel_size_known))
            _choose_shown(state, layer.prepared.results)
        _show_file(state)
    st.caption(_summary(state))
    if state.problem:  # beside the panel, which may be closed when an area is drawn on the map
        st.error(plain(state.problem))
    if problem:
        raise InputError(f"{problem} Remove the step under Preparation, or undo it.")
    if layer is None:
        return None
    show_tilt_offer(state, layer)
    return layer


def _layer_after(space: Workspace, state: PreparationState, scan: ScanMap, channel: str, index: int) -> PreparedLayer | None:
    """Return the layer after the steps, None while it is computed; a change of the steps that fails or is stopped is taken back.

    Raises:
        InputError: no such layer, or a step does not fit it.
    """
    asked = (space.loaded.token, channel, index, json.dumps(state.steps), scan.pixel_size_nm)
    if not state.steps:
        return prepared_layer(*asked, scan)
    try:
        layer: PreparedLayer | None = computed(
            space, _LAYER, asked, "Preparation", lambda job: prepare_layer(channel, index, asked[3], scan, job.step)
        )
    except (InputError, Stopped) as error:
        if not state.on_trial:
            if isinstance(error, Stopped):
                return _offer_to_go_on(space)
            raise
        state.undo()
        state.problem = str(error)
        return _layer_after(space, state, scan, channel, index)
    if layer is not None:
        state.on_trial = False
    return layer


def _offer_to_go_on(space: Workspace) -> None:
    st.caption("The preparation was stopped.")
    again = "Starts the preparation again; to use the map without a step, remove it under Preparation."
    st.button("Prepare the map", key="prepare_again", on_click=lambda: forget(space, _LAYER), width="stretch", help=again)


def _move_defects(space: Workspace, state: PreparationState, layer: PreparedLayer, channel: str, index: int) -> None:
    from qpi_core.maps.preparation import Preparation

    coordinates = layer.prepared.coordinates
    place = place_of(Preparation.from_json(state.steps), bool(coordinates.movements), channel, index)
    height, width = layer.values.shape
    state.move_defects(space.defects, coordinates, place, (height, width))


def _summary(state: PreparationState) -> str:
    steps = " → ".join(describe_step(step) for step in state.steps) or "The map is used as it was measured."
    count = len(state.outside)
    aside = f" · {count} {'defect' if count == 1 else 'defects'} outside set aside" if count else ""
    return plain(steps) + aside


def _show_steps(state: PreparationState) -> None:
    for number, step in enumerate(state.steps):
        text, button = st.columns([3, 1], vertical_alignment="center")
        text.text(f"{number + 1}. {describe_step(step)}")
        button.button(
            ":material/delete:",
            key=f"prepare_remove_{number}",
            help=f"Remove step {number + 1}",
            on_click=lambda number=number: state.change([other for place, other in enumerate(state.steps) if place != number]),
        )
    if not state.steps:
        st.caption("No steps yet: the map is used as it was measured.")
    st.button(
        "Undo",
        icon=":material/undo:",
        key="prepare_undo",
        disabled=not state.history,
        on_click=state.undo,
        help="Takes back the last change of the steps." if state.history else "Nothing to undo yet.",
    )


def _show_new_step(state: PreparationState, layer: FormLayer) -> None:
    """Show the form of a new step; it stays in the list only if it fits the map."""
    from qpi_core.maps.preparation import Preparation

    name = st.selectbox(
        "New step", list(TITLES), format_func=TITLES.__getitem__, key="prepare_step", help="Steps act in the order shown above."
    )
    st.caption(ABOUT[name])
    try:
        step, reason = step_form(name, layer), ""
        Preparation.from_json([step])
    except InputError as error:
        step, reason = {}, str(error)

    pressed = st.button(
        "Add step",
        icon=":material/add:",
        key="prepare_add",
        type="primary",
        disabled=bool(reason),
        help=plain(reason) or "Adds the step at the end of the list.",
    )
    if reason:
        st.caption(plain(reason))
    elif pressed:
        # Not in a callback: that would still hold the parameters of the run before the press.
        st.session_state[SHOWN_STEP] = len(state.steps)
        state.try_out([*state.steps, step])
        st.rerun()


def _choose_shown(state: PreparationState, results: tuple[StepResult, ...]) -> None:
    """Show which step is looked at under the map, the last one that was added at first."""
    if not results:
        return
    if st.session_state.get(SHOWN_STEP, NOTHING_SHOWN) not in range(NOTHING_SHOWN, len(results)):
        st.session_state[SHOWN_STEP] = NOTHING_SHOWN
    titles = {NOTHING_SHOWN: "None", **{number: f"{number + 1}. {describe_step(step)}" for number, step in enumerate(state.steps)}}
    st.selectbox(
        "Before and after of",
        list(titles),
        format_func=titles.__getitem__,
        key=SHOWN_STEP,
        help="Under the map, and what the step took out.",
    )


def _show_file(state: PreparationState) -> None:
    st.download_button(
        "Save steps",
        json.dumps({"steps": state.steps}, indent=1),
        "preparation.json",
        "application/json",
        on_click="ignore",
        key="prepare_save",
        icon=":material/download:",
        disabled=not state.steps,
        help="For other maps, here or with extract --prepare." if state.steps else "There are no steps to save yet.",
    )

    def take(files: list[Any]) -> None:
        from qpi_core.maps.preparation import load_preparation

        current = preparation_of(workspace())
        try:
            current.change(load_preparation(files[0].getvalue(), files[0].name).to_json())
        except InputError as error:
            current.problem = str(error)

    take_upload("Load steps", "prepare_upload", take, "preparation.json, or the estimate.json of a result.")
