"""The files of a solved stack to take home."""

from __future__ import annotations

import re

import streamlit as st

from qpi_core.results.figures.pictures import MEDIA_TYPES
from qpi_core.results.stack_bundle import stack_zip
from qpi_core.results.stack_files import dispersion_csv, energy_map_csv, energy_map_picture, stack_npz
from qpi_core.results.stack_report import stack_report_html
from ui.jobs.stack import StackOutcome, StackView
from ui.widgets.downloads import FORMATS, choose_format


def file_part(name: str) -> str:
    """Return a class's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)


def show_downloads(outcome: StackOutcome, view: StackView, stem: str) -> None:
    """Show the files of the stack and of the class in view; each is made when it is asked for."""
    whole = stem if len(outcome.views) == 1 else stem.removesuffix(f"_{file_part(view.name)}")
    missing = "" if view.band.track is not None else view.band.problem or "The stack is not finished."
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        file_format = choose_format()
        st.download_button(
            "Everything (ZIP)",
            lambda: stack_zip(outcome.result, outcome.findings, outcome.question.record(), (file_format,)),
            f"{whole}.zip",
            "application/zip",
            on_click="ignore",
            key="download_stack_zip",
            icon=":material/download:",
            help="All files of all classes: kernels, uncertainties, pictures in the format beside this, report, side-car and Python code.",
        )
        st.download_button(
            "Report (HTML)",
            lambda: stack_report_html(outcome.result, outcome.findings),
            f"{whole}_report.html",
            "text/html",
            on_click="ignore",
            key="download_stack_report",
            icon=":material/download:",
            help="One page with what the stack says, kernels, E(q), a table of the layers, and Python code that makes it again.",
        )
        flat = "" if view.estimate.usable.sum() > 1 else "A picture of E(q) needs two layers with a kernel."
        st.download_button(
            f"E(q) {FORMATS[file_format]}",
            lambda: energy_map_picture(view.estimate, file_format) or b"",
            f"{stem}_energy_map.{file_format}",
            MEDIA_TYPES[file_format],
            on_click="ignore",
            key=f"download_stack_{file_format}",
            icon=":material/download:",
            disabled=bool(flat),
            help=flat or "Ring average of |FFT| over wave vector and energy.",
        )
        st.download_button(
            "E(q) as numbers (CSV)",
            lambda: energy_map_csv(view.spectra, view.estimate.pixel_size_nm is not None),
            f"{stem}_energy_map.csv",
            "text/csv",
            on_click="ignore",
            key="download_stack_energy_csv",
            icon=":material/download:",
            help="One line an energy, one column a wave vector; empty where a layer has no kernel.",
        )
        st.download_button(
            "All kernels (NPZ)",
            lambda: stack_npz(view.estimate, view.band),
            f"{stem}.npz",
            "application/octet-stream",
            on_click="ignore",
            key="download_stack_npz",
            icon=":material/download:",
            help="Kernels, uncertainties, energies, noise, rings and positions.",
        )
        st.download_button(
            "Dispersion (CSV)",
            lambda: dispersion_csv(view.band),
            f"{stem}_dispersion.csv",
            "text/csv",
            on_click="ignore",
            key="download_stack_csv",
            icon=":material/download:",
            disabled=bool(missing),
            help=missing or "Energy, wave vector of the ring and its standard deviation, one line a layer.",
        )
