"""Crop and leave out by mouse: a rectangle that was drawn on the map becomes a step of its preparation."""

from __future__ import annotations

import math
from typing import Any

from ui.state.preparation_state import preparation_of
from ui.state.workspace import Workspace

CROP, LEAVE_OUT = "crop", "mask_rectangle"


def adopt_area(space: Workspace, value: Any, map_id: str) -> None:
    """Add the step of a rectangle that the picker tells, once; what does not fit the map is taken back with a sentence.

    Args:
        space: with the map that is shown.
        value: {map, step, serial, left, top, right, bottom} from the browser, or None.
        map_id: of the map that is shown: a rectangle of another one is dropped.
    """
    if not isinstance(value, dict) or value.get("serial") == space.area_taken:
        return
    step = None if value.get("map") != map_id else area_step(value)
    if step is not None:
        state = preparation_of(space)
        state.try_out([*state.steps, step])
    space.area_taken = value.get("serial")


def area_step(area: dict[str, Any]) -> dict[str, Any] | None:
    """Return the step of a drawn rectangle: the pixels whose centres lie in it. None where it holds none.

    Args:
        area: left, top, right, bottom in pixels of the map, 0 at the centre of the first pixel; step: "crop" or "mask_rectangle".
            The browser draws none beyond the map; one that does not fit is refused by the step itself.
    """
    sides = [area.get(name) for name in ("left", "top", "right", "bottom")]
    if area.get("step") not in (CROP, LEAVE_OUT) or not all(type(side) in (int, float) and math.isfinite(side) for side in sides):
        return None
    left, top = (max(0, math.ceil(side)) for side in sides[:2])
    right, bottom = (math.floor(side) for side in sides[2:])
    if right < left or bottom < top:
        return None
    if area["step"] == CROP:
        return {"step": CROP, "left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}
    # The edges of a mask belong to it: from centre to centre.
    return {
        "step": LEAVE_OUT,
        "left": float(left),
        "top": float(top),
        "width": float(right - left),
        "height": float(bottom - top),
        "keep": False,
    }
