"""Taking a result home: PNG, NPY, side-car JSON, one ZIP, and the Python lines that give the same kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from qpi_core.bundle import estimate_zip
from qpi_core.export import npy_bytes, png_bytes, sidecar_bytes
from qpi_core.snippet import python_snippet
from qpi_core.spectra import kernel_fft
from ui.extraction_job import Outcome
from ui.loaders import EXAMPLE_NAME, example_file


@dataclass(frozen=True)
class Download:
    """One file: its kind, its button, its name, and how it is made when it is asked for."""

    kind: str
    label: str
    name: str
    mime: str
    make: Callable[[], bytes]
    help: str


def show_downloads(outcome: Outcome) -> None:
    """Show the download buttons; a file is made when it is asked for."""
    with st.container(horizontal=True, gap="small"):
        for file in offered_files(outcome):
            st.download_button(
                file.label,
                file.make,
                file.name,
                file.mime,
                on_click="ignore",
                key=f"download_{file.kind}",
                help=file.help,
                icon=":material/download:",
            )
        with st.popover("Copy as Python", icon=":material/code:", width="content"):
            st.code(python_snippet(outcome.estimate), language="python", height=360)
            if outcome.question.name == EXAMPLE_NAME:
                st.download_button("The example's map", example_file, EXAMPLE_NAME, on_click="ignore", help="Save it beside the script.")


def offered_files(outcome: Outcome) -> list[Download]:
    """Return the files of a result."""
    estimate, stem = outcome.estimate, file_stem(outcome)
    binary = "application/octet-stream"
    return [
        Download(
            "zip",
            "Everything (ZIP)",
            f"{stem}.zip",
            "application/zip",
            lambda: estimate_zip(estimate),
            "All arrays, pictures, side-car and script.",
        ),
        Download(
            "kernel_png",
            "Kernel PNG",
            f"{stem}_kernel.png",
            "image/png",
            lambda: png_bytes(estimate, "kernel"),
            "Picture with axes, scale bar and colour bar.",
        ),
        Download(
            "kernel_npy",
            "Kernel NPY",
            f"{stem}_kernel.npy",
            binary,
            lambda: npy_bytes(estimate.kernel),
            "float32, centre at index k // 2, units of the map.",
        ),
        Download(
            "fft_png",
            "FFT PNG",
            f"{stem}_fft.png",
            "image/png",
            lambda: png_bytes(estimate, "fft"),
            "Magnitude, axes in rad/nm (2π included).",
        ),
        Download(
            "fft_npy",
            "FFT NPY",
            f"{stem}_fft.npy",
            binary,
            lambda: npy_bytes(kernel_fft(estimate.kernel)),
            "Complex, q = 0 at index k // 2.",
        ),
        Download(
            "json",
            "Side-car JSON",
            f"{stem}.json",
            "application/json",
            lambda: sidecar_bytes(estimate),
            "Every parameter, position, warning, version and hash.",
        ),
    ]


def file_stem(outcome: Outcome) -> str:
    """Return a safe file name without extension, from the map's name and the method."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.question.name.rsplit(".", 1)[0]).strip("._") or "map"
    return f"{base[:60]}_{outcome.question.method}"
