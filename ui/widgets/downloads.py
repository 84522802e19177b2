"""Taking a result home: everything in one ZIP, a report, single files, and the Python lines that give the same kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.qspace.spectra import kernel_fft
from qpi_core.qspace.view import QSpaceView
from qpi_core.results.archive import classes_zip, estimate_zip
from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.files import npy_bytes, picture_bytes, sidecar_bytes
from qpi_core.results.interchange.arrays import estimate_npz
from qpi_core.results.interchange.gwyddion import estimate_gwy
from qpi_core.results.interchange.igor import fft_ibw, kernel_ibw
from qpi_core.results.interchange.nexus import estimate_nexus
from qpi_core.results.interchange.tables import kernel_csv
from qpi_core.results.report import report_html
from qpi_core.results.script import python_snippet
from ui.jobs.extraction import Outcome
from ui.state.loaders import EXAMPLE_NAME, example_file
from ui.state.workspace import workspace
from ui.widgets import texts

_BINARY = "application/octet-stream"
FORMATS = {"png": "PNG", "svg": "SVG", "pdf": "PDF"}
"""Format of a picture -> its title."""


@dataclass(frozen=True)
class Download:
    """One file: its kind, its button, its name, how it is made when it is asked for, and why it cannot be had, or ""."""

    kind: str
    label: str
    name: str
    mime: str
    make: Callable[[], bytes]
    help: str
    missing: str = ""


def show_downloads(outcome: Outcome) -> None:
    """Show the download buttons, whole results first; a file is made when it is asked for, with the q-space view as it is then."""
    space = workspace()
    with st.container(horizontal=True, gap="small"):
        for file in whole_results(outcome, lambda: space.qspace_view):
            show_button(file)
        with st.popover("Copy as Python", icon=":material/code:", width="content", help=texts.SNIPPET):
            st.code(python_snippet(outcome.estimate), language="python", height=360)
            if outcome.question.name == EXAMPLE_NAME:
                st.download_button("The example's map", example_file, EXAMPLE_NAME, on_click="ignore", help="Save it beside the script.")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        file_format = choose_format()
        for file in picture_files(outcome, file_format, picture_styles(outcome, st.session_state)):
            show_button(file)
    with st.container(horizontal=True, gap="small"):
        for file in single_files(outcome):
            show_button(file)


def show_button(file: Download) -> None:
    """Show the button of a file, switched off with the reason where it cannot be had."""
    st.download_button(
        file.label,
        file.make,
        file.name,
        file.mime,
        on_click="ignore",
        key=f"download_{file.kind}",
        help=file.missing or file.help,
        disabled=bool(file.missing),
        icon=":material/download:",
    )


def whole_results(outcome: Outcome, view: Callable[[], QSpaceView | None] = lambda: None) -> list[Download]:
    """Return the files that hold all of a result."""
    estimate, stem = outcome.estimate, file_stem(outcome)
    everything = "All arrays, pictures, tables, report, side-car and script."
    report = "One page with the figures, numbers, warnings and the code, to read, print or mail."
    side_car = "Every parameter, position, warning, version and hash."
    return [
        Download("zip", "Everything (ZIP)", f"{stem}.zip", "application/zip", lambda: _zip(outcome, view()), everything),
        Download("report", "Report (HTML)", f"{stem}_report.html", "text/html", lambda: report_html(estimate, view=view()), report),
        Download("npz", "All arrays (NPZ)", f"{stem}.npz", _BINARY, lambda: estimate_npz(estimate), texts.NPZ),
        Download("json", "Side-car JSON", f"{stem}.json", "application/json", lambda: sidecar_bytes(estimate), side_car),
    ]


def single_files(outcome: Outcome) -> list[Download]:
    """Return the files that hold one thing each."""
    estimate, stem = outcome.estimate, file_stem(outcome)
    no_hdf5 = "" if find_spec("h5py") else "HDF5 needs the package h5py (python -m pip install h5py)."
    no_length = "" if estimate.pixel_size_nm is not None else "Gwyddion needs the pixel size: enter the width of the map and extract again."

    return [
        Download("kernel_npy", "Kernel NPY", f"{stem}_kernel.npy", _BINARY, lambda: npy_bytes(estimate.kernel), texts.KERNEL_NPY),
        Download(
            "fft_npy",
            "FFT NPY",
            f"{stem}_fft.npy",
            _BINARY,
            lambda: npy_bytes(kernel_fft(estimate.kernel)),
            "Complex, q = 0 at index k // 2.",
        ),
        Download("kernel_csv", "Kernel CSV", f"{stem}_kernel.csv", "text/csv", lambda: kernel_csv(estimate), texts.KERNEL_CSV),
        Download("kernel_ibw", "Kernel Igor", f"{stem}_kernel.ibw", _BINARY, lambda: kernel_ibw(estimate), "A wave with its scales in m."),
        Download("fft_ibw", "FFT Igor", f"{stem}_fft.ibw", _BINARY, lambda: fft_ibw(estimate), "Magnitude over q in rad/nm (2π included)."),
        Download("nexus", "HDF5 (NeXus)", f"{stem}.nxs", _BINARY, lambda: estimate_nexus(estimate), texts.NEXUS, no_hdf5),
        Download("gwy", "Gwyddion", f"{stem}.gwy", _BINARY, lambda: estimate_gwy(estimate), texts.GWYDDION, no_length),
    ]


def choose_format(key: str = "picture_format") -> str:
    """Show the formats of pictures and return the chosen one; it holds for all pages."""
    chosen = st.segmented_control(
        "Pictures as",
        list(FORMATS),
        format_func=FORMATS.__getitem__,
        default="png",
        required=True,
        key=key,
        help=texts.PICTURE_FORMAT,
        persist_state="session",
    )
    return str(chosen or "png")


def picture_styles(outcome: Outcome, state: Mapping[Any, Any]) -> dict[str, PictureStyle]:
    """Return how each picture of a result is drawn: with the colours and limits that were chosen on the page."""
    from ui.charts.kernels import FFT_COLOURS, FULL_RANGE, display_limits

    estimate, view = outcome.estimate, outcome.question.view
    percentiles = tuple(state.get("kernel_limits") or FULL_RANGE)
    colours, limits = display_limits(estimate.kernel, percentiles=percentiles)
    styles = {
        "kernel": PictureStyle(colours, limits=limits),
        "fft": PictureStyle(FFT_COLOURS, (percentiles[0], 0.997 * percentiles[1]), logarithmic=bool(state.get("fft_log"))),
        "map": PictureStyle(view.colours, limits=view.limits),
        "fit": PictureStyle(view.colours, limits=view.limits),
    }
    if estimate.uncertainty is not None:
        high = float(np.percentile(estimate.uncertainty, percentiles[1])) or 1.0
        styles["uncertainty"] = PictureStyle("cividis", limits=(0.0, high))
    return styles


def picture_files(outcome: Outcome, file_format: str, styles: Mapping[str, PictureStyle]) -> list[Download]:
    """Return the pictures of a result as files of a format."""
    estimate, stem, title = outcome.estimate, file_stem(outcome), FORMATS[file_format]
    told = {
        "kernel": ("Kernel", "With axes, scale bar and colour bar; it says where it comes from."),
        "uncertainty": ("Uncertainty", "One standard deviation a pixel."),
        "fft": ("FFT", "Magnitude, axes in rad/nm (2π included)."),
        "map": ("Map", "The map with its defects."),
        "fit": ("Fit", "Map, reconstruction and residual."),
    }

    def picture(what: str) -> Download:
        label, help_text = told[what]
        missing = "" if what in styles else "This method gives no uncertainty."
        style = replace(styles[what], file_format=file_format) if what in styles else PictureStyle()
        name, mime = f"{stem}_{what}.{file_format}", MEDIA_TYPES[file_format]
        return Download(
            f"{what}_{file_format}", f"{label} {title}", name, mime, lambda: picture_bytes(estimate, what, style), help_text, missing
        )

    return [picture(what) for what in told]


def file_stem(outcome: Outcome) -> str:
    """Return a safe file name without extension, from the map's name and the method."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.question.name.rsplit(".", 1)[0]).strip("._") or "map"
    name = (outcome.estimate.provenance.get("classes") or {}).get("class", "")
    kind = f"_{re.sub(r'[^A-Za-z0-9-]+', '_', name)}" if name else ""
    return f"{base[:60]}_{outcome.question.method}{kind}"


def _zip(outcome: Outcome, view: QSpaceView | None) -> bytes:
    """Return everything about the result, of all classes where there are several."""
    formats = tuple(dict.fromkeys(("png", str(st.session_state.get("picture_format") or "png"))))
    if not outcome.kinds:
        return estimate_zip(outcome.estimate, view, formats)
    return classes_zip({name: one.estimate for name, one in outcome.kinds.items()}, outcome.together, view, formats)
