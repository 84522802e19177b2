"""Tools on the map: its |FFT| beside it, and a ruler with the profile between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.base.units import in_handy_unit
from ui.widgets import texts
from ui.widgets.bounded_controls import bounded_slider
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from ui.charts.subplots import Figure
    from ui.extract.map_panel import MapView
    from ui.state.workspace import Workspace

_HEIGHT = 300
_MOST_WIDTH = 41


@st.fragment
def show_measure(space: Workspace, view: MapView) -> None:
    """Show the tools, folded: nothing is computed before they are opened."""
    if not st.toggle("FFT and profile of the map", key="measure", help=texts.MEASURE, persist_state="session"):
        return
    from ui.charts.measure import map_fft_chart
    from ui.charts.subplots import PLOTLY_CONFIG

    left, right = st.columns(2, gap="medium")
    with left:
        logarithmic = st.toggle("Logarithmic", value=True, key="measure_log", help=texts.LOG_FFT, persist_state="session")
        figure = map_fft_chart(view.layer.values, view.pixel_size_nm, logarithmic, _HEIGHT)
        st.plotly_chart(figure, width="stretch", key="measure_fft", config=PLOTLY_CONFIG, alt="Magnitude of the map's Fourier transform")
    with right:
        chart = _measured(space, view)
        if chart is not None:
            st.plotly_chart(chart, width="stretch", key="measure_profile", config=PLOTLY_CONFIG, alt="The map along the line")


def _measured(space: Workspace, view: MapView) -> Figure | None:
    """Show which two marks, the length between them, and return the profile."""
    from qpi_core.maps.line_profile import line_profile
    from ui.charts.measure import profile_chart

    points = space.defects.points
    if len(points) < 2:
        st.caption("Mark two places on the map: their distance and the profile between them are shown here.")
        return None
    numbers = list(range(len(points)))
    first, second = st.columns(2)
    start = first.selectbox("From mark", numbers, format_func=lambda i: f"{i + 1}", key=f"ruler_from_{len(points)}", help=texts.RULER)
    end = second.selectbox("To mark", numbers, index=1, format_func=lambda i: f"{i + 1}", key=f"ruler_to_{len(points)}", help=texts.RULER)
    width = bounded_slider(
        "Averaged over (px)", 1, _MOST_WIDTH, usual=1, key="ruler_width", help=texts.RULER_WIDTH, persist_state="session"
    )
    try:
        profile = line_profile(view.layer.values, tuple(points[start]), tuple(points[end]), float(width), view.pixel_size_nm)
    except InputError as error:
        st.caption(plain(str(error)))
        return None
    unit = "nm" if view.pixel_size_nm else "px"
    drop, prefixed = in_handy_unit(float(profile.values[-1] - profile.values[0]), view.unit)
    st.caption(plain(f"{profile.length:.4g} {unit} at {np.degrees(profile.angle):.1f}° from x towards y, difference {drop} {prefixed}"))
    return profile_chart(profile, unit, view.unit, _HEIGHT - 90)
