"""Tools on the map: its |FFT| beside it, and a ruler with the profile between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.units import in_handy_unit
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_slider
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from ui.charts.subplots import Figure
    from ui.extract.map.map_panel import MapView
    from ui.state.workspace import Workspace

_HEIGHT = 300
_MOST_WIDTH = 41
_LEAST_ENERGIES = 3


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


def _show_spectra(space: Workspace, view: MapView, marks: tuple[int, int]) -> None:
    """Show the spectra of a grid at two marks."""
    scan = space.loaded.scan
    stack, energies = scan.stack(view.channel), scan.energies(view.channel)
    if len(stack) < _LEAST_ENERGIES or not np.isfinite(energies).all():
        return
    if not st.toggle("Spectra at the marks", key="ruler_spectra", help=texts.SPECTRA, persist_state="session"):
        return
    from ui.charts.measure import spectra_chart
    from ui.charts.subplots import PLOTLY_CONFIG

    lines = []
    for mark in marks:
        place = raw_pixel(view, space.defects.points[mark], scan.shape)
        if place is not None:
            lines.append((f"mark {mark + 1}", np.asarray(stack[:, place[0], place[1]], dtype=np.float64)))
    chart = spectra_chart(energies, lines, scan.unit(view.channel), _HEIGHT - 90)
    st.plotly_chart(chart, width="stretch", key="ruler_spectra_chart", config=PLOTLY_CONFIG, alt="The channel over energy at the two marks")


def raw_pixel(view: MapView, point: NDArray[np.float64], raw_shape: tuple[int, int]) -> tuple[int, int] | None:
    """Return (row, column) of the raw map at a place (x, y) px of the prepared one, None outside of it."""
    prepared = view.layer.prepared
    if prepared is None:
        return None
    x, y = np.rint(prepared.coordinates.backward(point[None])[0]).astype(int)
    height, width = raw_shape
    return (int(y), int(x)) if 0 <= y < height and 0 <= x < width else None


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
    _show_spectra(space, view, (int(start), int(end)))
    drop, prefixed = in_handy_unit(float(profile.values[-1] - profile.values[0]), view.unit)
    st.caption(plain(f"{profile.length:.4g} {unit} at {np.degrees(profile.angle):.1f}° from x towards y, difference {drop} {prefixed}"))
    return profile_chart(profile, unit, view.unit, _HEIGHT - 90)
