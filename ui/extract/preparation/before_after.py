"""Under the map: before and after a step of the preparation, and what it took out, on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.extract.preparation.preparation_panel import NOTHING_SHOWN, SHOWN_STEP
from ui.state.preparation_state import preparation_of
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.maps.preparation import StepResult
    from ui.extract.map.map_panel import MapView
    from ui.state.workspace import Workspace

_HEIGHT = 240
_NOTHING = 1e-6
"""Share of the map's span below which what a step took out is nothing."""


def show_before_after(space: Workspace, view: MapView) -> None:
    """Show the step that was chosen under Preparation, the last one that was added at first."""
    prepared, number = view.layer.prepared, st.session_state.get(SHOWN_STEP, NOTHING_SHOWN)
    if prepared is None or not preparation_of(space).steps or number not in range(len(prepared.results)):
        return
    scan = space.loaded.scan
    raw = np.asarray(scan.stack(view.channel)[view.index], dtype=np.float64)
    result = prepared.results[number]
    before = prepared.results[number - 1].values if number else raw
    pitch = view.file_pixel_size_nm
    earlier = (prepared.results[number - 1].pixel_size_nm if number else pitch) if pitch else None
    sentence, taken = describe_removed(before, result)
    from ui.charts.maps import StepPicture, step_panels  # not needed for the first page
    from ui.charts.subplots import PLOTLY_CONFIG

    unit_before = prepared.results[number - 1].unit if number else scan.unit(view.channel)
    alike = [before, result.values] if unit_before == result.unit else []
    own = "(" in result.removed_title  # a displacement or a divisor: not the map's own quantity
    if taken and alike and not own:
        alike.append(result.removed)
    span = common_span(alike)
    after = result.pixel_size_nm if pitch else None
    pictures = [
        StepPicture("Before", before, span if alike else common_span([before]), earlier, unit_before),
        StepPicture("After", result.values, span if alike else common_span([result.values]), after, result.unit),
    ]
    if taken:
        unit = "" if own else unit_before
        spread = span if len(alike) > 2 else common_span([result.removed])
        pictures.append(StepPicture(result.removed_title, result.removed, spread, earlier, unit))
    st.plotly_chart(
        step_panels(pictures, _HEIGHT),
        width="stretch",
        key="prepare_before_after",
        config=PLOTLY_CONFIG,
        alt="The map before and after the step, and what the step took out, on one scale",
    )
    same = "Over the same span of values, each about its own median." if len(alike) == len(pictures) else ""
    st.caption(plain(f"{sentence} {same}".strip()))


def describe_removed(before: NDArray[np.floating], result: StepResult) -> tuple[str, bool]:
    """Return a sentence on what a step took out, and whether there is anything to be seen of it."""
    taken = result.removed[np.isfinite(result.removed)]
    span = common_span([before])
    if result.movements or result.removed_title == "":
        return result.note, bool(taken.size)
    if not taken.size or float(np.abs(taken).max()) <= _NOTHING * span:
        return f"This step took nothing out of the map. {result.note}".strip(), False
    return f"{result.removed_title}. {result.note}".strip(), True


def common_span(pictures: list[NDArray[np.floating]]) -> float:
    """Return the largest span between the 0.5 and 99.5 percentiles of the pictures."""
    ends = [np.percentile(one[np.isfinite(one)], (0.5, 99.5)) for one in pictures if np.isfinite(one).any()]
    return max((float(high - low) for low, high in ends), default=0.0) or 1.0
