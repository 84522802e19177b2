"""The kernel in q-space: pictures, lattice, symmetrising, and profiles beside those of the whole map."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.base.units import unit_scale
from qpi_core.qspace.profiles import qspace_profile
from qpi_core.qspace.spectra import Profile
from qpi_core.qspace.view import (
    LEAST_MAGNITUDE_FOR_PHASE,
    Q_UNITS,
    KernelSpectrum,
    QSpacePicture,
    QSpaceView,
    kernel_spectrum,
    qspace_pictures,
)
from ui.charts.qspace import ProfileAxes, profile_chart, qspace_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.qspace import texts
from ui.qspace.controls import choose_view
from ui.qspace.subject import QSpaceSubject
from ui.widgets.controls.bounded_controls import bounded_number
from ui.widgets.progress_steps import plain

Cut = tuple[float, float]
"""Direction in rad and width in rad/nm."""
_HEIGHT = 390


def show_qspace(subject: QSpaceSubject) -> tuple[QSpaceView, Cut | None] | None:
    """Show the view with its controls; return its settings and the cut, or None where there is nothing to show."""
    st.subheader("q-space", anchor=False)
    controls = st.container()
    pictures_column, profile_column = st.columns([2, 1], gap="medium")
    with controls:
        view = choose_view(subject, pictures_column)
    try:
        spectrum = kernel_spectrum(subject.kernel, view, subject.pixel_size_nm)
        observation = subject.observation() if view.beside == "map" else None
        pictures = qspace_pictures(spectrum, view, observation, subject.weights, subject.pixel_size_nm)
    except InputError as error:
        st.error(plain(str(error)))
        return None
    q_unit, factor = (view.q_unit, Q_UNITS[view.q_unit]) if subject.pixel_size_nm else ("rad/px", 1.0)
    with profile_column:
        cut = _choose_profile(subject, q_unit, factor)
        _show_profile(subject, view, spectrum, pictures, cut, (q_unit, factor))
    with pictures_column:
        figure = qspace_chart(pictures, subject.unit, q_unit, factor, view.lattice, cut, _HEIGHT, view.zoom)
        alt = "Magnitude of the kernel's Fourier transform, and beside it: " + pictures[-1].title
        st.plotly_chart(figure, width="stretch", key="qspace_pictures", config=PLOTLY_CONFIG, alt=alt)
    for sentence in _notes(view, spectrum, subject):
        st.caption(plain(sentence))
    return view, cut


def _choose_profile(subject: QSpaceSubject, q_unit: str, factor: float) -> Cut | None:
    """Show which profile; return (angle in rad, width in rad/nm) of a cut, or None for ring averages."""
    st.session_state.setdefault("q_profile", "ring")
    kind, first, second = st.columns([1.05, 1, 1], gap="small", vertical_alignment="bottom")
    chosen = kind.segmented_control(
        "Profile", list(texts.PROFILE_TITLES), format_func=texts.PROFILE_TITLES.__getitem__, required=True, key="q_profile",
        help=texts.PROFILE, persist_state="session",
    )  # fmt: skip
    if chosen != "cut":
        return None
    angle = bounded_number(
        "Angle (°)", -180.0, 180.0, usual=0.0, place=first, step=1.0, format="%.1f", key="q_cut_angle", help=texts.CUT_ANGLE,
        persist_state="session",
    )  # fmt: skip
    steps = second.selectbox(
        f"Width ({q_unit})", texts.CUT_WIDTHS, format_func=lambda n: f"{(n - 1) * subject.q_step * factor:.3g}" if n > 1 else "line",
        key="q_cut_width", help=texts.CUT_WIDTH, persist_state="session",
    )  # fmt: skip
    return math.radians(angle), (int(steps) - 1) * subject.q_step


def _show_profile(
    subject: QSpaceSubject,
    view: QSpaceView,
    spectrum: KernelSpectrum,
    pictures: tuple[QSpacePicture, ...],
    cut: Cut | None,
    axes: tuple[str, float],
) -> None:
    angle, width = cut or (None, 0.0)
    kind, (low, high) = pictures[-1].kind, pictures[0].ends
    least = LEAST_MAGNITUDE_FOR_PHASE * high
    lines = {"kernel": qspace_profile(spectrum.values, spectrum.q_step, kind, angle, width, least)}
    if kind == "magnitude" and len(pictures) > 1:
        name = "whole map" if view.beside == "map" else "removed"
        lines[name] = qspace_profile(pictures[1].values, pictures[1].q_step, kind, angle, width)
        if view.beside == "map":  # its mean is taken out, so q = 0 says nothing
            lines[name].values[np.abs(lines[name].q) < 0.5 * min(pictures[1].q_step)] = np.nan
    if kind == "phase":  # 0 and pi, those of an even kernel, both inside the axis
        lines = {
            name: Profile(line.q, np.where(line.values < -np.pi / 2, line.values + 2 * np.pi, line.values)) for name, line in lines.items()
        }
    # The heights away from q = 0, which would outshine the rings.
    ring, edge = 2 * subject.q_step, subject.nyquist / view.zoom
    shown = [np.abs(line.values[(np.abs(line.q) > ring) & (np.abs(line.q) <= edge)]) for line in lines.values()]
    inner = max(float(np.nanmax(values, initial=0.0)) for values in shown)
    top = 1.08 * inner or high
    limits = {"phase": (-1.7, 4.9), "real": (-top, top)}.get(kind, (low, max(high, inner)) if view.logarithmic else (0.0, top))
    unit = subject.unit
    if kind != "phase":
        factor, unit = unit_scale(top, subject.unit)
        lines = {name: Profile(line.q, line.values * factor) for name, line in lines.items()}
        limits = (limits[0] * factor, limits[1] * factor)
    names = {"magnitude": "|F|", "real": "Re F", "phase": "phase (rad)"}
    title = "Ring average" if cut is None else f"Cut at {math.degrees(cut[0]):.4g}°"
    label = f"{names[kind]} ({unit})" if unit and kind != "phase" else names[kind]
    manner = "markers" if kind == "phase" else "lines"
    logarithmic = view.logarithmic and kind == "magnitude"
    figure = profile_chart(lines, ProfileAxes(title, label, *axes, logarithmic, limits, view.zoom), manner=manner, height=_HEIGHT)
    st.plotly_chart(
        figure, width="stretch", key="qspace_profile", config=PLOTLY_CONFIG, alt=f"{title} of the kernel's spectrum over the wave vector q"
    )


def _notes(view: QSpaceView, spectrum: KernelSpectrum, subject: QSpaceSubject) -> list[str]:
    """Return what has to be said about the pictures."""
    notes = []
    if view.symmetrises:
        share = f"{100 * spectrum.removed_share:.2g}"
        notes.append(
            f"Symmetrised: {share} % of the kernel's power was removed. What is shown has this symmetry by construction; "
            "only what was removed says whether the kernel has it."
        )
    if view.lattice is not None and subject.pixel_size_nm is not None:
        dy, dx = subject.pixel_size_nm
        if not len(view.lattice.bragg_peaks((np.pi / dx, np.pi / dy), 1000)[0]):
            notes.append(
                "All Bragg peaks of this lattice lie beyond the wave vectors that these pixels resolve "
                f"(up to {subject.nyquist * Q_UNITS[view.q_unit]:.3g} {view.q_unit})."
            )
        elif not len(view.lattice.bragg_peaks((np.pi / dx / view.zoom, np.pi / dy / view.zoom), 1000)[0]):
            notes.append("The Bragg peaks of this lattice lie outside of what the zoom shows.")
    return notes
