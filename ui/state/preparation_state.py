"""The preparation of one map in one session: the steps, what can be undone, and where the defects go."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ui.state.workspace import FIRST_CLASS, NO_POINTS

if TYPE_CHECKING:
    from qpi_core.maps.preparation import CoordinateMap, Preparation
    from ui.state.workspace import DefectList, Workspace

_MOST_UNDONE = 50


@dataclass
class PreparationState:
    """Steps of one map with what the page needs to go back.

    Attributes:
        steps: JSON of the steps in use (Preparation.to_json), so that nothing heavy is loaded for a map without any.
        history: earlier steps, the oldest first.
        coordinates: from the raw map to the pixels that the defects are in now; None is the raw map itself.
        place: names that movement; "" where pixels stay.
        outside: (n, 2) raw pixels of defects that lie outside of the prepared map at present; they come back with an undo.
        problem: sentence about the last step that could not be added.
        on_trial: the last change is taken back if the map cannot be prepared with it, or if the user stops it.
        outside_labels: their classes, or None where all are of one class.
        restored_place: the place of a session that was loaded: its defects are in the prepared pixels already.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    history: list[list[dict[str, Any]]] = field(default_factory=list)
    coordinates: CoordinateMap | None = None
    place: str = ""
    outside: NDArray[np.float64] = field(default_factory=lambda: NO_POINTS)
    problem: str = ""
    outside_labels: tuple[str, ...] | None = None
    restored_place: str = ""
    on_trial: bool = False

    def change(self, steps: list[dict[str, Any]]) -> None:
        """Put in other steps; the present ones can be brought back."""
        self.history = [*self.history, self.steps][-_MOST_UNDONE:]
        self.steps, self.problem, self.on_trial = steps, "", False

    def try_out(self, steps: list[dict[str, Any]]) -> None:
        """Put in other steps for as long as nothing speaks against them."""
        self.change(steps)
        self.on_trial = True

    def undo(self) -> None:
        """Bring back the steps before the last change."""
        self.on_trial = False
        if self.history:
            self.steps, self.problem = self.history.pop(), ""

    def move_defects(self, defects: DefectList, coordinates: CoordinateMap, place: str, shape: tuple[int, int]) -> None:
        """Carry the defects from the pixels that they are in to those of (height, width) that `coordinates` lead to.

        Args:
            defects: the list, changed only where a defect moves or leaves.
            coordinates: of the map as it is prepared now.
            place: names this movement.
            shape: (height, width) of the prepared map.
        """
        if self.restored_place and self.restored_place == place:
            self.coordinates, self.place = coordinates, place
        self.restored_place = ""
        if place == self.place:
            return
        from qpi_core.maps.preparation import inside

        now = defects.points if self.coordinates is None else self.coordinates.backward(defects.points)
        raw = np.concatenate([now, self.outside])
        moved = coordinates.forward(raw)
        within = inside(moved, shape)
        labels = _joined(defects.labels, len(now), self.outside_labels, len(self.outside))
        self.outside, self.coordinates, self.place = raw[~within], coordinates, place
        self.outside_labels = _of(labels, ~within)
        if len(raw):
            defects.replace(moved[within], "preparation", _of(labels, within))

    def place_raw_defects(
        self, defects: DefectList, raw: NDArray[np.float64], shape: tuple[int, int], labels: tuple[str, ...] | None = None
    ) -> None:
        """Put in defects (n, 2) in pixels of the raw map, such as a file lists them; those outside of (height, width) are set aside."""
        if self.coordinates is None:
            defects.replace(raw, "file", labels)
            return
        from qpi_core.maps.preparation import inside

        moved = self.coordinates.forward(raw)
        within = inside(moved, shape)
        self.outside, self.outside_labels = raw[~within], _of(labels, ~within)
        defects.replace(moved[within], "file", _of(labels, within))


def _of(labels: tuple[str, ...] | None, chosen: NDArray[np.bool_]) -> tuple[str, ...] | None:
    """Return the classes of the chosen defects."""
    return None if labels is None else tuple(label for label, taken in zip(labels, chosen, strict=True) if taken)


def _joined(first: tuple[str, ...] | None, count: int, second: tuple[str, ...] | None, others: int) -> tuple[str, ...] | None:
    """Return the classes of two lists of so many defects, one after the other."""
    if first is None and second is None:
        return None
    return (first or (FIRST_CLASS,) * count) + (second or (FIRST_CLASS,) * others)


def preparation_of(space: Workspace) -> PreparationState:
    """Return the state for the map in use, made on first use."""
    return space.preparations.setdefault(space.loaded.sha256, PreparationState())


def begin_preparation(space: Workspace, sha256: str, points_stay: bool) -> None:
    """Give a new map the steps of the map before it where it shows the same field, and none otherwise.

    Args:
        space: with the map before still in `loaded`.
        sha256: of the new map.
        points_stay: the new map has the same pixels and keeps the marked defects, and the steps with them.
    """
    if space.loaded is None or (points_stay and sha256 == space.loaded.sha256):
        return
    if points_stay:
        before = preparation_of(space)
        steps = list(before.steps)
        space.preparations[sha256] = PreparationState(
            steps, [], before.coordinates, before.place, before.outside, outside_labels=before.outside_labels
        )
    else:
        space.preparations[sha256] = PreparationState()


def place_of(preparation: Preparation, moves: bool, channel: str, index: int) -> str:
    """Return a short name of how a preparation moves pixels; layers share it unless a step measures them one by one."""
    if not moves:
        return ""
    layer = [channel, index] if preparation.follows_the_layer else []
    moving = [step for step in preparation.to_json() if step["step"] in ("crop", "resample", "correct_shear", "correct_drift")]
    # What a step sees depends on all that came before it where it measures the layer.
    return hashlib.sha256(json.dumps([preparation.to_json() if layer else moving, layer]).encode()).hexdigest()[:12]


def saved_preparation(state: PreparationState) -> dict[str, Any]:
    """Return what a session file keeps: the steps, and the defects that lie outside at present."""
    labels = {} if state.outside_labels is None else {"outside_labels": list(state.outside_labels)}
    return {"steps": state.steps, "outside": state.outside.tolist(), "place": state.place, **labels}


def restored_preparation(saved: Any) -> PreparationState:
    """Return the state that saved_preparation described; the coordinates are found again with the layer.

    Raises:
        InputError: steps that are unknown or damaged.
    """
    from qpi_core.base.errors import InputError
    from qpi_core.maps.preparation import Preparation

    if not isinstance(saved, dict):
        return PreparationState()
    try:
        outside = np.asarray(saved.get("outside", []), dtype=np.float64).reshape(-1, 2)
    except (OverflowError, TypeError, ValueError):
        raise InputError("the session holds damaged defects outside of the prepared map; save the session again.") from None
    steps = Preparation.from_json(saved.get("steps", [])).to_json()
    listed = saved.get("outside_labels")
    finite = np.isfinite(outside).all(axis=1)
    labels = _of(tuple(map(str, listed)), finite) if isinstance(listed, list) and len(listed) == len(outside) else None
    return PreparationState(steps, outside=outside[finite], outside_labels=labels, restored_place=str(saved.get("place", "")))
