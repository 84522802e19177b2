"""What happens when another map comes in: what belonged to the map before goes with it, and what is carried over is said."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.state.preparation_state import PreparationState, begin_preparation, preparation_of
from ui.state.usual_controls import count_put, put_usual_controls, saved_controls_of_a_map
from ui.state.workspace import NO_POINTS, Workspace
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from ui.state.loaders import LoadedMap


@dataclass(frozen=True, eq=False)
class EarlierMap:
    """A map with all that belongs to it, to be returned to.

    Attributes:
        loaded: the map.
        points, labels: its marks (n, 2) px with their classes.
        outcome, stack_outcome: what was computed from it, or None.
        controls: key -> value of its settings.
    """

    loaded: LoadedMap
    points: NDArray[np.float64]
    labels: tuple[str, ...] | None
    outcome: Any
    stack_outcome: Any
    controls: dict[str, Any]


def use_map(space: Workspace, loaded: LoadedMap, start: bool = False) -> None:
    """Make a map the current one. Call it before the controls are shown.

    Marks, preparation and settings stay where the new map shows the same field (pixels and their size) and brings no marks of its own.
    Results never stay: they belong to the map before, which can be returned to.

    Args:
        space: of the session.
        loaded: the new map.
        start: extract its kernel at once.
    """
    another = space.loaded is not None and space.loaded.sha256 != loaded.sha256
    stays = space.loaded is not None and loaded.positions is None and _same_field(space.loaded, loaded)
    if another:
        space.previous = standing(space)
    begin_preparation(space, loaded.sha256, stays)
    name = "" if space.loaded is None else space.loaded.name
    _forget_results(space)
    space.loaded, space.problem = loaded, ""
    if loaded.positions is not None:
        space.defects.replace(loaded.positions, "example")
    elif not stays and len(space.defects.points):
        space.defects.replace(NO_POINTS, "new map")
    if stays:
        space.carried = _carried(space, name) if another else space.carried
    else:
        space.carried = ""
        put_usual_controls(st.session_state)
    space.start_at_once = start


def standing(space: Workspace) -> EarlierMap | None:
    """Return the map in use with all that belongs to it."""
    if space.loaded is None:
        return None
    controls = saved_controls_of_a_map(st.session_state)
    return EarlierMap(space.loaded, space.defects.points, space.defects.labels, space.outcome, space.stack_outcome, controls)


def go_back(space: Workspace) -> None:
    """Return to the map before with its marks, settings and results; a second time returns again."""
    earlier: EarlierMap | None = space.previous
    if earlier is None:
        return
    space.previous = standing(space)
    _forget_results(space)
    space.loaded, space.problem, space.carried = earlier.loaded, "", ""
    space.outcome, space.stack_outcome = earlier.outcome, earlier.stack_outcome
    space.defects.replace(earlier.points, "earlier map", earlier.labels)
    count_put(st.session_state)
    st.session_state.update(earlier.controls)


def show_carried(space: Workspace) -> None:
    """Say what was kept of the map before, and offer to begin without it."""
    if not space.carried:
        return
    st.caption(plain(space.carried))
    st.button(
        "Start afresh",
        key="start_afresh",
        type="tertiary",
        icon=":material/restart_alt:",
        on_click=_start_afresh,
        args=(space, st.session_state),
        help="Takes these marks, steps and settings away, for this map alone; the map before keeps its own.",
    )


def _start_afresh(space: Workspace, state: MutableMapping[Any, Any]) -> None:
    space.preparations[space.loaded.sha256] = PreparationState()
    space.defects.replace(NO_POINTS, "new map")
    _forget_results(space)
    space.carried = ""
    put_usual_controls(state)


def _forget_results(space: Workspace) -> None:
    """Drop what was computed from the map in use, and what still runs for it."""
    space.jobs.drop_those_of_the_map()
    space.outcome = space.stack_outcome = space.assessed = space.assessment = space.methods = None
    space.stack_band = space.stack_gap = None
    space.stack_band_problem = space.stack_gap_problem = ""
    space.ring_asked = space.ring_halves = space.qspace_view = None
    space.extract_problem = space.stack_problem = space.assessment_problem = space.methods_problem = space.ring_problem = ""
    space.proposal, space.proposal_note, space.blind_note, space.stale = NO_POINTS, "", "", False


def _same_field(before: LoadedMap, after: LoadedMap) -> bool:
    """Say whether two maps have the same pixels, of the same size as far as their files say it."""
    first, second = before.scan, after.scan
    if first.shape != second.shape or first.pixel_size_known != second.pixel_size_known:
        return False
    return not first.pixel_size_known or bool(np.allclose(first.pixel_size_nm, second.pixel_size_nm, rtol=1e-3))


def _carried(space: Workspace, name: str) -> str:
    marks, steps = len(space.defects.points), len(preparation_of(space).steps)
    parts = [f"{marks} {'mark' if marks == 1 else 'marks'}"] if marks else []
    parts += [f"{steps} {'step' if steps == 1 else 'steps'} of preparation"] if steps else []
    return f"Kept from {name}, which has the same pixels: {', '.join([*parts, 'method and settings'])}."
