"""Taking a result home: everything in one ZIP, a report, single files, and the Python lines that give the same kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import streamlit as st

from qpi_core.qspace.spectra import kernel_fft
from qpi_core.qspace.view import QSpaceView
from qpi_core.results.archive import classes_zip, estimate_zip
from qpi_core.results.files import npy_bytes, png_bytes, sidecar_bytes
from qpi_core.results.interchange import estimate_gwy, estimate_npz, kernel_csv
from qpi_core.results.interchange_igor import fft_ibw, kernel_ibw
from qpi_core.results.interchange_nexus import estimate_nexus
from qpi_core.results.report import report_html
from qpi_core.results.script import python_snippet
from ui.jobs.extraction import Outcome
from ui.state.loaders import EXAMPLE_NAME, example_file
from ui.state.workspace import workspace
from ui.widgets import texts

_BINARY = "application/octet-stream"


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
            _show_button(file)
        with st.popover("Copy as Python", icon=":material/code:", width="content", help=texts.SNIPPET):
            st.code(python_snippet(outcome.estimate), language="python", height=360)
            if outcome.question.name == EXAMPLE_NAME:
                st.download_button("The example's map", example_file, EXAMPLE_NAME, on_click="ignore", help="Save it beside the script.")
    with st.container(horizontal=True, gap="small"):
        for file in single_files(outcome):
            _show_button(file)


def _show_button(file: Download) -> None:
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
    no_uncertainty = "" if estimate.uncertainty is not None else "This method gives no uncertainty."
    no_length = "" if estimate.pixel_size_nm is not None else "Gwyddion needs the pixel size: enter the width of the map and extract again."

    def picture(what: str, label: str, help_text: str, missing: str = "") -> Download:
        return Download(f"{what}_png", label, f"{stem}_{what}.png", "image/png", lambda: png_bytes(estimate, what), help_text, missing)

    return [
        picture("kernel", "Kernel PNG", "Picture with axes, scale bar and colour bar; it says where it comes from."),
        picture("uncertainty", "Uncertainty PNG", "One standard deviation a pixel.", no_uncertainty),
        picture("fft", "FFT PNG", "Magnitude, axes in rad/nm (2π included)."),
        picture("fit", "Fit PNG", "Map, reconstruction and residual."),
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


def file_stem(outcome: Outcome) -> str:
    """Return a safe file name without extension, from the map's name and the method."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.question.name.rsplit(".", 1)[0]).strip("._") or "map"
    name = (outcome.estimate.provenance.get("classes") or {}).get("class", "")
    kind = f"_{re.sub(r'[^A-Za-z0-9-]+', '_', name)}" if name else ""
    return f"{base[:60]}_{outcome.question.method}{kind}"


def _zip(outcome: Outcome, view: QSpaceView | None) -> bytes:
    """Return everything about the result, of all classes where there are several."""
    if not outcome.kinds:
        return estimate_zip(outcome.estimate, view)
    return classes_zip({name: one.estimate for name, one in outcome.kinds.items()}, outcome.together, view)
