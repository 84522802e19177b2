"""The parameters of each preparation step as controls, and the step that they describe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from ui.extract.preparation.preparation_names import LEVELLINGS
from ui.jobs.workers.background import Stopped, computed
from ui.widgets.controls.bounded_controls import bounded_number

if TYPE_CHECKING:
    from qpi_core.maps.preparation import Prepared
    from ui.jobs.workers.queues import Job
    from ui.state.workspace import Workspace

_LATTICES = {"square": "Square", "hexagonal": "Hexagonal"}
_DIVISORS = {"current_over_bias": "I / V of each pixel", "mean_current": "mean I of the layer"}
_PEAK_HELP = "Wave vector of a Bragg peak in rad/nm, 2π included: q_x, q_y, y downwards. It is moved to the nearby maximum of |FFT|."


@dataclass(frozen=True)
class FormLayer:
    """What a form needs to know of the map as it is prepared so far.

    Attributes:
        space: of the session.
        prepared: values and pixel size.
        sha256: of the values.
        channels: the map's channels, for steps that read another one.
        known: whether the pixel size is known; lengths count pixels otherwise.
    """

    space: Workspace
    prepared: Prepared
    sha256: str
    channels: tuple[str, ...]
    known: bool

    @property
    def unit(self) -> str:
        """Return the unit of lengths."""
        return "nm" if self.known else "px"


def step_form(name: str, layer: FormLayer) -> dict[str, Any]:
    """Show the controls of a step and return its description as JSON.

    Raises:
        InputError: a peak or a corner that cannot be read.
    """
    form = {
        "level": _level_form,
        "remove_streaks": _streak_form,
        "repair_outliers": _outlier_form,
        "crop": _crop_form,
        "resample": _resample_form,
        "correct_shear": _shear_form,
        "correct_drift": _drift_form,
        "mask_rectangle": _rectangle_form,
        "mask_disc": _disc_form,
        "mask_polygon": _polygon_form,
        "average_sweeps": lambda layer: {},
        "derive_conductance": _derivative_form,
        "normalise_set_point": _set_point_form,
    }[name]
    return {"step": name, **form(layer)}


def _level_form(layer: FormLayer) -> dict[str, Any]:
    kind = st.selectbox(
        "What to take out", list(LEVELLINGS), format_func=LEVELLINGS.__getitem__, key="prepare_kind", help="Lines: steps keeps terraces."
    )
    if kind != "polynomial":
        return {"kind": kind}
    return {"kind": kind, "order": _whole("Order n", "order", 1, 5, 2, "Highest total power of x and y.")}


def _streak_form(layer: FormLayer) -> dict[str, Any]:
    return {
        "threshold": _number("Threshold (σ)", "threshold", 1.0, 100.0, 4.0, "In robust standard deviations of the steps between lines."),
        "min_length": _whole("Shortest streak (px)", "min_length", 2, 10_000, 16, "Longer than a defect is wide."),
        "max_width": _whole("Widest streak (lines)", "max_width", 1, 8, 2, "How many lines a streak may cover."),
    }


def _outlier_form(layer: FormLayer) -> dict[str, Any]:
    choices = {"median": "the median around it", "unmeasured": "a gap"}
    return {
        "threshold": _number("Threshold (σ)", "threshold", 2.0, 1000.0, 8.0, "In robust standard deviations from the local median."),
        "window": _whole("Neighbourhood (px)", "window", 3, 15, 3, "Side of the square whose median is compared with the pixel."),
        "replacement": st.selectbox(
            "Replace by",
            list(choices),
            format_func=choices.__getitem__,
            key="prepare_replacement",
            help="A gap takes no part in the solve.",
        ),
    }


def _crop_form(layer: FormLayer) -> dict[str, Any]:
    height, width = layer.prepared.values.shape
    first, second = st.columns(2)
    with first:
        left = _whole("Left x (px)", f"left_{width}", 0, width - 4, width // 4, "First column that is kept.")
        top = _whole("Top y (px)", f"top_{height}", 0, height - 4, height // 4, "First row that is kept.")
    with second:
        across = _whole("Width (px)", f"across_{width}", 4, width, max(4, width // 2), "Columns that are kept.")
        down = _whole("Height (px)", f"down_{height}", 4, height, max(4, height // 2), "Rows that are kept.")
    return {"left": left, "top": top, "width": across, "height": down}


def _resample_form(layer: FormLayer) -> dict[str, Any]:
    side = float(min(layer.prepared.pixel_size_nm))
    label = f"Pixel size ({layer.unit if layer.known else 'old pixels'})"
    return {"pixel_size_nm": _number(label, f"pitch_{side:.6g}", side / 8, side * 32, side, "Side of the new, square pixels.")}


def _shear_form(layer: FormLayer) -> dict[str, Any]:
    from qpi_core.maps.preparation import regular_lattice

    peaks = _peaks(layer)
    lattice = st.selectbox(
        "Lattice", list(_LATTICES), format_func=_LATTICES.__getitem__, key="prepare_lattice", help="The regular lattice."
    )
    constant = bounded_number(
        f"Lattice constant a ({layer.unit})",
        1e-3,
        1e4,
        usual=None,
        placeholder="keep the area",
        format="%.4f",
        key="prepare_constant",
        help="Leave it empty to correct the shape alone and keep the calibration.",
    )
    return {"measured": peaks.tolist(), "ideal": regular_lattice(peaks, lattice, constant).tolist()}


def _drift_form(layer: FormLayer) -> dict[str, Any]:
    peaks = _peaks(layer)
    usual = round(float(6 * np.pi / np.linalg.norm(peaks, axis=1).min()), 4)
    channel = st.selectbox(
        "Lattice seen in",
        ["", *layer.channels],
        format_func=lambda name: name or "this layer",
        key="prepare_channel",
        help="For a stack choose one channel for all energies, such as the topograph; otherwise each layer moves differently.",
    )
    smoothing = _number(
        f"Smoothing ({layer.unit})", f"smoothing_{usual}", usual / 10, usual * 20, usual, "Sigma of the average; a few lattice constants."
    )
    return {"peaks": peaks.tolist(), "smoothing_nm": smoothing, "channel": channel}


def _rectangle_form(layer: FormLayer) -> dict[str, Any]:
    height, width = layer.prepared.values.shape
    first, second = st.columns(2)
    with first:
        left = _number("Left x (px)", "mask_left", 0.0, float(width), 0.0, "Left edge; 0 is the centre of the first pixel.")
        top = _number("Top y (px)", "mask_top", 0.0, float(height), 0.0, "Upper edge.")
    with second:
        across = _number("Width (px)", "mask_width", 0.0, float(width), width / 8, "Along x.")
        down = _number("Height (px)", "mask_height", 0.0, float(height), height / 8, "Along y.")
    return {"left": left, "top": top, "width": across, "height": down, "keep": _keep()}


def _disc_form(layer: FormLayer) -> dict[str, Any]:
    height, width = layer.prepared.values.shape
    return {
        "x": _number("Centre x (px)", "disc_x", 0.0, float(width), width / 2, "0 is the centre of the first pixel."),
        "y": _number("Centre y (px)", "disc_y", 0.0, float(height), height / 2, "Downwards."),
        "radius": _number("Radius (px)", "disc_radius", 0.0, float(max(width, height)), min(width, height) / 16, "Of the disc."),
        "keep": _keep(),
    }


def _polygon_form(layer: FormLayer) -> dict[str, Any]:
    text = st.text_area(
        "Corners (px)", key="prepare_corners", placeholder="10, 12\n40, 15\n22, 60", help="One corner x, y a line, in order around it."
    )
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return {"corners": [_pair(line, "Corners") for line in lines], "keep": _keep()}


def _derivative_form(layer: FormLayer) -> dict[str, Any]:
    window = st.select_slider(
        "Energies in a fit", list(range(3, 42, 2)), value=7, key="prepare_window", help="More smooth more, and blur what is narrower."
    )
    order = st.select_slider("Order of the curve", [1, 2, 3, 4], value=2, key="prepare_order", help="Of the polynomial in each fit.")
    return {"window": int(window), "order": min(int(order), int(window) - 1)}


def _set_point_form(layer: FormLayer) -> dict[str, Any]:
    divisor = st.selectbox(
        "Divide by",
        list(_DIVISORS),
        format_func=_DIVISORS.__getitem__,
        key="prepare_divisor",
        help="The mean leaves the set-point effect in.",
    )
    channel = st.selectbox(
        "Channel of the current",
        ["", *layer.channels],
        format_func=lambda name: name or "by its name",
        key="prepare_current",
        help="By its name: the first forward channel whose name begins with Current.",
    )
    least = _number("Least |I| (share)", "smallest", 0.0, 1.0, 0.05, "Pixels with less than this share of the median |I| become gaps.")
    return {"divisor": divisor, "channel": channel, "smallest": least}


def _peaks(layer: FormLayer) -> NDArray[np.float64]:
    """Show two fields for Bragg peaks, filled with the strongest pair in different directions, and return the peaks refined."""
    values, pitch = layer.prepared.values, layer.prepared.pixel_size_nm
    for number, peak in enumerate(_two_directions(_proposed_peaks(layer)), start=1):
        st.session_state.setdefault(f"prepare_peak_{number}_{layer.sha256[:8]}", f"{peak[0]:.3f}, {peak[1]:.3f}")
    unit = f"rad/{layer.unit}"
    texts = [
        st.text_input(
            f"Bragg peak {number} ({unit})", key=f"prepare_peak_{number}_{layer.sha256[:8]}", help=_PEAK_HELP, placeholder="q_x, q_y"
        )
        for number in (1, 2)
    ]
    picks = [_pair(str(text), f"Bragg peak {number}") for number, text in enumerate(texts, start=1)]
    return np.array([_refined_peak(layer.sha256, pitch, (x, y), values) for x, y in picks])


def _proposed_peaks(layer: FormLayer) -> NDArray[np.float64]:
    """Return the Bragg peaks (n, 2) of the layer.

    Raises:
        InputError: they are still being looked for.
    """
    values, pitch = layer.prepared.values, layer.prepared.pixel_size_nm

    def work(job: Job) -> NDArray[np.float64]:
        from qpi_core.maps.preparation import find_bragg_peaks

        job.step(0.1, "Looking at |FFT|")
        return find_bragg_peaks(values, pitch)

    try:
        found = computed(layer.space, "bragg_peaks", (layer.sha256, pitch), "Bragg peaks", work)
    except Stopped:
        return np.zeros((0, 2))
    if found is None:
        raise InputError("Bragg peaks are being looked for.")
    return np.asarray(found, dtype=np.float64)


@st.cache_data(max_entries=100, show_spinner=False)
def _refined_peak(sha256: str, pitch: tuple[float, float], pick: tuple[float, float], _values: NDArray[np.float64]) -> NDArray[np.float64]:
    from qpi_core.maps.preparation import refine_bragg_peak

    return refine_bragg_peak(_values, pitch, pick)


def _two_directions(peaks: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the strongest peak, and the next one that is at least 30 degrees off it."""
    if not len(peaks):
        return []
    directions = peaks / np.linalg.norm(peaks, axis=1, keepdims=True)
    apart = np.flatnonzero(np.abs(directions @ directions[0]) < np.cos(np.pi / 6))
    return [peaks[0], *(peaks[number] for number in apart[:1])]


def _pair(text: str, title: str) -> list[float]:
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    try:
        first, second = (float(word) for word in words)
    except ValueError:
        raise InputError(f"{title}: {text!r} must be two numbers with a comma between them, such as 6.2, -0.4.") from None
    return [first, second]


def _number(label: str, key: str, low: float, high: float, value: float, help_text: str) -> float:
    return float(bounded_number(label, low, high, usual=value, format="%.4g", key=f"prepare_{key}", help=help_text))


def _whole(label: str, key: str, low: int, high: int, value: int, help_text: str) -> int:
    return int(bounded_number(label, low, high, usual=value, step=1, key=f"prepare_{key}", help=help_text))


def _keep() -> bool:
    return st.checkbox("Leave out everything else instead", key="prepare_keep", help="Keeps only what lies inside.")
