"""The map on which defects are marked: an inline Streamlit component (HTML canvas, no build step).

The component owns {rev, points}; what is drawn on the map for the preparation is told once, under a serial of its own.
A change in the picture arrives in Python as the component's value; a change in Python
(table, file, detection) goes out as a list with a higher rev, and JavaScript takes a list only when its rev is newer.
The map travels as 16-bit levels, so colours, limits and the read-out need no second copy.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.charts.colours import colour_table
from ui.state.loaders import MOST_LAYERS

_FOLDER = Path(__file__).parent / "component"
_SCRIPTS = ("levels.js", "view.js", "defects.js", "drawing.js", "area.js", "events.js", "beside.js", "keyboard.js", "main.js")
_UNMEASURED = 65535

_COMPONENT = st.components.v2.component(
    "qpi_defect_picker",
    html=(_FOLDER / "index.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "style.css").read_text(encoding="utf-8"),
    js="\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS),
)


@dataclass(frozen=True)
class EncodedLayer:
    """One map as the browser gets it.

    Attributes:
        levels: base64 of the deflated little-endian uint16 levels, row by row; 65535 is a pixel that was not measured.
        low, step: value = low + level * step.
        shape: (height, width).
    """

    levels: str
    low: float
    step: float
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SecondPicture:
    """Another channel at the pixels of the map, shown beside it with the same zoom.

    Attributes:
        title: name of the channel.
        values: (height, width) of the map, NaN where not measured.
        sha256: hash of the values.
        unit: of the values.
        limits: values at the ends of the colour map.
    """

    title: str
    values: NDArray[np.float32]
    sha256: str
    unit: str
    limits: tuple[float, float]


@st.cache_data(max_entries=2 * MOST_LAYERS, scope="session", show_spinner=False)
def encode_layer(sha256: str, _layer: NDArray[np.float32]) -> EncodedLayer:
    """Encode a map; the cache goes by the content's hash, because Streamlit's own hash of a large array looks at a sample only."""
    measured = np.isfinite(_layer)
    values = _layer[measured].astype(np.float64)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    step = (high - low) / (_UNMEASURED - 1) or 1.0
    levels = np.full(_layer.shape, _UNMEASURED, dtype="<u2")
    levels[measured] = np.clip(np.rint((values - low) / step), 0, _UNMEASURED - 1).astype("<u2")
    return EncodedLayer(base64.b64encode(zlib.compress(levels.tobytes(), 1)).decode("ascii"), low, step, (_layer.shape[0], _layer.shape[1]))


@dataclass(frozen=True, eq=False)
class PickerMap:
    """The map that defects are marked on.

    Attributes:
        values: (height, width), NaN where not measured.
        sha256: hash of the values.
        map_id: names the field of view: the zoom is kept as long as it stays the same.
        colour_map: one of ui.charts.colours.COLOUR_MAPS.
        limits: values at the ends of the colour map.
        pixel_size_nm: (dy, dx), or None where the scale is not known.
        unit: unit of the values, "" where not known.
        beside: another channel of the same place, or None.
    """

    values: NDArray[np.float32]
    sha256: str
    map_id: str
    colour_map: str
    limits: tuple[float, float]
    pixel_size_nm: tuple[float, float] | None
    unit: str
    beside: SecondPicture | None = None


@dataclass(frozen=True, eq=False)
class PickerMarks:
    """What is marked on the map.

    Attributes:
        rev, points: Python's list of (x, y) in pixels and its version.
        labels: the class of each, or None where all are of the first class.
        proposal: (n, 2) positions shown as squares, not part of the list.
        moved: (n, 2) marks and (n, 2) where the map would have them, shown as crosses for as long as the list is these marks.
        sure: (n, 3) columns (x, y, probability) of marks that were found in the map: each has a dot whose colour says how sure it is.
        frame: side in px of the kernel window, drawn around one mark, or None.
    """

    rev: int
    points: NDArray[np.float64]
    labels: tuple[str, ...] | None
    proposal: NDArray[np.float64]
    moved: tuple[NDArray[np.float64], NDArray[np.float64]]
    sure: NDArray[np.float64]
    frame: int | None


def defect_picker(shown: PickerMap, marks: PickerMarks, *, session: str, height: int, key: str, on_change: Callable[[], None]) -> Any:
    """Show the map with its defects and return the component's result.

    Its `.value` is {map, rev, points, labels} or None; its `.area`, of what was drawn for a step of the preparation, is None or
    {map, step, serial} with the {left, top, right, bottom} of a rectangle or the {corners} of a polygon, in pixels of the map.

    Args:
        shown: the map.
        marks: on it.
        session: random name of the browser session.
        height: least height of the picture on the page in CSS pixels; a large window gives it more.
        key: Streamlit key.
        on_change: called before the rerun that a change in the picture causes.
    """
    dy, dx = shown.pixel_size_nm or (1.0, 1.0)
    picture = {
        "id": shown.map_id,
        **_encoded_picture(shown.values, shown.sha256, shown.unit, shown.limits, shown.colour_map),
        "aspect": dy / dx,
        "pixelNm": dx if shown.pixel_size_nm else None,
    }
    second, beside = None, shown.beside
    if beside is not None:
        second = {"title": beside.title, **_encoded_picture(beside.values, beside.sha256, beside.unit, beside.limits, shown.colour_map)}
    data = {
        "session": session,
        "name": key,
        "map": picture,
        "rev": marks.rev,
        "points": marks.points.round(4).tolist(),
        "labels": None if marks.labels is None else list(marks.labels),
        "proposal": marks.proposal.round(2).tolist(),
        "moved": [places.round(4).tolist() for places in marks.moved],
        "sure": marks.sure.round(4).tolist(),
        "height": height,
        "frame": marks.frame,
        "beside": second,
    }
    return _COMPONENT(
        key=key,
        data=data,
        on_value_change=on_change,
        on_area_change=lambda: None,  # taken over by the page itself, where an interrupted run is made again
        default={"value": None, "area": None},
        height="content",
    )


def _encoded_picture(layer: NDArray[np.float32], sha256: str, unit: str, limits: tuple[float, float], colour_map: str) -> dict[str, object]:
    """Return a layer and its colours as the component reads them."""
    encoded = encode_layer(sha256, layer)
    return {
        "layer": sha256,
        "levels": encoded.levels,
        "low": encoded.low,
        "step": encoded.step,
        "width": encoded.shape[1],
        "height": encoded.shape[0],
        "unit": unit,
        "table": base64.b64encode(colour_table(colour_map).tobytes()).decode("ascii"),
        "limits": [(value - encoded.low) / encoded.step for value in limits],
    }
