"""The controls of the q-space view: picture, window, padding, units, lattice, symmetrising."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import kernel_window
from qpi_core.qspace.surface_lattice import LATTICE_CONSTANT_RANGE_NM, SurfaceLattice, surface_lattice
from qpi_core.qspace.symmetrising import find_mirror_axis
from qpi_core.qspace.view import QSpaceView, telling_zoom
from ui.qspace import texts
from ui.qspace.subject import QSpaceSubject
from ui.state.usual_controls import USUAL
from ui.widgets.controls.bounded_controls import bounded_number
from ui.widgets.progress_steps import plain

_SETTINGS = {"persist_state": "session"}
_USUAL = {**{key: USUAL[key] for key in ("q_window", "q_padding", "q_mirror")}, "q_unit": "rad/nm"}
"""Set like this and not as defaults: a session file may have brought other values."""
_TURN = {"step": 1.0, "format": "%.2f", **_SETTINGS}


def choose_view(subject: QSpaceSubject, beside: DeltaGenerator) -> QSpaceView:
    """Show the controls and return the view that they make; which picture to show is asked at the place `beside`."""
    known = subject.pixel_size_nm is not None
    for key, usual in _USUAL.items():
        st.session_state.setdefault(key, usual)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        window = st.segmented_control(
            "Window", list(texts.WINDOW_TITLES), format_func=texts.WINDOW_TITLES.__getitem__, required=True, key="q_window",
            help=texts.WINDOW, **_SETTINGS,
        )  # fmt: skip
        padding = st.segmented_control(
            "Zero padding", list(texts.PADDING_TITLES), format_func=texts.PADDING_TITLES.__getitem__, required=True,
            key="q_padding", help=texts.PADDING, **_SETTINGS,
        )  # fmt: skip
        unit = st.segmented_control(
            "Units of q", list(texts.UNIT_TITLES), required=True, key="q_unit", disabled=not known,
            help=texts.UNIT if known else texts.NEEDS_LENGTH, **_SETTINGS,
        )  # fmt: skip
        zoom = st.selectbox(
            "Zoom", list(texts.ZOOM_TITLES), format_func=texts.ZOOM_TITLES.__getitem__, key="q_zoom", help=texts.ZOOM, width=90, **_SETTINGS
        )
        logarithmic = st.toggle("Logarithmic", key="q_log", help=texts.LOG, **_SETTINGS)
        lattice = _choose_lattice(known)
        order, mirror = _choose_symmetry(subject, str(window or "none"))
    symmetrises = order > 1 or mirror is not None
    return QSpaceView(
        _choose_beside(beside, symmetrises),
        str(window or "none"),
        int(padding or 1),
        bool(logarithmic),
        str(unit or "rad/nm"),
        lattice,
        order,
        mirror,
        int(zoom or telling_zoom(subject.kernel)),
    )


def _choose_beside(place: DeltaGenerator, symmetrises: bool) -> str:
    offered = [name for name in texts.BESIDE_TITLES if symmetrises or name != "removed"]
    if st.session_state.get("q_beside") not in offered:
        st.session_state["q_beside"] = "map"
    chosen = place.segmented_control(
        "Beside it", offered, format_func=texts.BESIDE_TITLES.__getitem__, required=True, key="q_beside", help=texts.BESIDE, **_SETTINGS
    )
    return str(chosen or "map")


def _choose_lattice(known: bool) -> SurfaceLattice | None:
    """Show the lattice's numbers in a popover; a lattice that cannot be is a sentence."""
    with st.popover("Lattice", icon=":material/hexagon:", disabled=not known, help=texts.LATTICE if known else texts.NEEDS_LENGTH):
        kind = str(
            st.selectbox(
                "Kind", list(texts.LATTICE_TITLES), format_func=texts.LATTICE_TITLES.__getitem__, key="q_lattice_kind",
                help=texts.LATTICE_KIND, **_SETTINGS,
            )
        )  # fmt: skip
        if kind == "none" or not known:
            return None
        length = {"step": 0.001, "format": "%.4f", **_SETTINGS}
        left, right = st.columns(2)
        ends = LATTICE_CONSTANT_RANGE_NM
        a = bounded_number("a (nm)", *ends, usual=USUAL["q_lattice_a"], place=left, key="q_lattice_a", help=texts.LATTICE_A, **length)
        b = angle = None
        if kind in ("rectangular", "oblique"):
            b = bounded_number("b (nm)", *ends, usual=USUAL["q_lattice_b"], place=right, key="q_lattice_b", help=texts.LATTICE_B, **length)
        if kind == "oblique":
            usual = USUAL["q_lattice_angle"]
            degrees = bounded_number(
                "Angle γ (°)", 5.0, 175.0, usual=usual, place=left, key="q_lattice_angle", help=texts.LATTICE_ANGLE, **_TURN
            )
            angle = math.radians(degrees)
        place = right if kind == "oblique" else st
        orientation = bounded_number(
            "Orientation (°)", -180.0, 180.0, usual=0.0, place=place, key="q_lattice_orientation", help=texts.LATTICE_ORIENTATION, **_TURN
        )
        try:
            return surface_lattice(kind, a, b, angle, math.radians(orientation))
        except InputError as error:
            st.error(plain(str(error)))
            return None


def _choose_symmetry(subject: QSpaceSubject, window: str) -> tuple[int, float | None]:
    """Show what to average over; return (n, mirror angle in rad or None)."""
    with st.popover("Symmetrise", icon=":material/flip:", help=texts.SYMMETRISE):
        order = int(
            st.selectbox(
                "Rotations", list(texts.ROTATION_TITLES), format_func=texts.ROTATION_TITLES.__getitem__, key="q_symmetry",
                help=texts.SYMMETRY_ORDER, on_change=_show_removed, **_SETTINGS,
            )
        )  # fmt: skip
        mirror = st.segmented_control(
            "Mirror axis", list(texts.MIRROR_TITLES), format_func=texts.MIRROR_TITLES.__getitem__, required=True,
            key="q_mirror", help=texts.MIRROR, on_change=_show_removed, **_SETTINGS,
        )  # fmt: skip
        if mirror == "given":
            degrees = bounded_number("Axis (°)", -180.0, 180.0, usual=0.0, key="q_mirror_angle", help=texts.MIRROR_ANGLE, **_TURN)
            return order, math.radians(degrees)
        if mirror == "found":
            windowed = subject.kernel * kernel_window((subject.kernel.shape[0], subject.kernel.shape[1]), window)
            found = find_mirror_axis(windowed, order, subject.pixel_size_nm or 1.0)
            st.caption(
                f"Axis at {np.degrees(found.angle):.1f}°; {100 * found.even_share:.0f} % of what depends on the angle is even about it "
                "(50 % without any mirror)."
                if found.angular_share > 1e-6
                else "The kernel is the same in all directions: every axis is a mirror."
            )
            return order, found.angle
        return order, None


def _show_removed() -> None:
    """Put what symmetrising removes beside the kernel as soon as it is switched on."""
    switched_on = st.session_state.get("q_symmetry", 1) > 1 or st.session_state.get("q_mirror", "none") != "none"
    if switched_on:
        st.session_state["q_beside"] = "removed"
