"""Crop and leave out by mouse: what was drawn on the map, a rectangle or a polygon, becomes steps of its preparation."""

from __future__ import annotations

import math
from typing import Any

from ui.state.preparation_state import preparation_of
from ui.state.workspace import Workspace

CROP, LEAVE_OUT, POLYGON = "crop", "mask_rectangle", "mask_polygon"
_LEAST_CORNERS, _MOST_CORNERS = 3, 200


def adopt_area(space: Workspace, value: Any, map_id: str) -> None:
    """Add the steps of an area that the picker tells, once; what does not fit the map is taken back with a sentence.

    Args:
        space: with the map that is shown.
        value: {map, step, serial} with {left, top, right, bottom} or {corners} from the browser, or None.
        map_id: of the map that is shown: an area of another one is dropped.
    """
    if not isinstance(value, dict) or value.get("serial") == space.area_taken:
        return
    steps = area_steps(value) if value.get("map") == map_id else []
    if steps:
        state = preparation_of(space)
        state.try_out([*state.steps, *steps])
    space.area_taken = value.get("serial")


def area_steps(area: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a drawn area: those keep, or leave out, the pixels whose centres lie in it. Empty where it holds none.

    A polygon is kept as the rectangle around it, with what lies outside of the polygon left out.

    Args:
        area: left, top, right, bottom or corners [(x, y), ...] in pixels of the map, 0 at the centre of the first pixel; step: "crop" or
            "mask_rectangle". The browser draws nothing beyond the map; what does not fit is refused by the step itself.
    """
    if area.get("step") not in (CROP, LEAVE_OUT):
        return []
    if "corners" in area:
        return _polygon_steps(area["step"], area["corners"])
    sides = [area.get(name) for name in ("left", "top", "right", "bottom")]
    return _rectangle_steps(area["step"], *sides) if _finite(sides) else []


def _finite(values: list[Any]) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) for value in values)


def _rectangle_steps(step: str, left: float, top: float, right: float, bottom: float) -> list[dict[str, Any]]:
    left, top = (max(0, math.ceil(side)) for side in (left, top))
    right, bottom = (math.floor(side) for side in (right, bottom))
    if right < left or bottom < top:
        return []
    if step == CROP:
        return [{"step": CROP, "left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}]
    # The edges of a mask belong to it: from centre to centre.
    sides = {"left": float(left), "top": float(top), "width": float(right - left), "height": float(bottom - top)}
    return [{"step": LEAVE_OUT, **sides, "keep": False}]


def _polygon_steps(step: str, corners: Any) -> list[dict[str, Any]]:
    if not isinstance(corners, list) or not _LEAST_CORNERS <= len(corners) <= _MOST_CORNERS:
        return []
    if not all(isinstance(corner, list) and len(corner) == 2 and _finite(corner) for corner in corners):
        return []
    if step == LEAVE_OUT:
        return [{"step": POLYGON, "corners": _rounded(corners, 0, 0), "keep": False}]
    across, down = zip(*corners, strict=True)
    crop = _rectangle_steps(CROP, min(across), min(down), max(across), max(down))
    return [*crop, {"step": POLYGON, "corners": _rounded(corners, crop[0]["left"], crop[0]["top"]), "keep": True}] if crop else []


def _rounded(corners: list[list[float]], left: int, top: int) -> list[list[float]]:
    """Return corners in the pixels of a crop, to what a mouse can aim at."""
    return [[round(x - left, 2), round(y - top, 2)] for x, y in corners]
