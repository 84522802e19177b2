"""The files of a solved stack to take home."""

from __future__ import annotations

import re

import streamlit as st

from qpi_core.results.figures.picture_style import MEDIA_TYPES
from qpi_core.results.stacks.stack_archive import stack_zip
from qpi_core.results.stacks.stack_files import dispersion_csv, energy_map_csv, energy_map_picture, stack_npz
from qpi_core.results.stacks.stack_report import stack_report_html
from ui.jobs.stack import StackOutcome, StackView
from ui.widgets.downloads import FORMATS, Download, choose_format, show_button


def file_part(name: str) -> str:
    """Return a class's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)


def show_downloads(outcome: StackOutcome, view: StackView, stem: str) -> None:
    """Show the files of the stack and of the class in view; each is made when it is asked for."""
    whole = stem if len(outcome.views) == 1 else stem.removesuffix(f"_{file_part(view.name)}")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        file_format = choose_format()
        for file in (*_whole_stack(outcome, whole, file_format), *_one_class(view, stem, file_format)):
            show_button(file)


def _whole_stack(outcome: StackOutcome, stem: str, file_format: str) -> list[Download]:
    """Return the files that hold all classes."""
    everything = "All files of all classes: kernels, uncertainties, pictures in the format beside this, report, side-car and Python code."
    report = "One page with what the stack says, kernels, E(q), a table of the layers, and Python code that makes it again."

    def packed() -> bytes:
        return stack_zip(outcome.result, outcome.findings, outcome.question.record(), (file_format,))

    def page() -> bytes:
        return stack_report_html(outcome.result, outcome.findings)

    return [
        Download("stack_zip", "Everything (ZIP)", f"{stem}.zip", "application/zip", packed, everything),
        Download("stack_report", "Report (HTML)", f"{stem}_report.html", "text/html", page, report),
    ]


def _one_class(view: StackView, stem: str, file_format: str) -> list[Download]:
    """Return the files of one class of defects."""
    estimate, known = view.estimate, view.estimate.pixel_size_nm is not None
    flat = "" if estimate.usable.sum() > 1 else "A picture of E(q) needs two layers with a kernel."
    missing = "" if view.band.track is not None else view.band.problem or "The stack is not finished."
    picture = "Ring average of |FFT| over wave vector and energy."
    ring = "Energy, wave vector of the ring and its standard deviation, one line a layer."
    numbers = "One line an energy, one column a wave vector; empty where a layer has no kernel."
    arrays = "Kernels, uncertainties, energies, noise, rings and positions."
    drawn = Download(
        f"stack_{file_format}",
        f"E(q) {FORMATS[file_format]}",
        f"{stem}_energy_map.{file_format}",
        MEDIA_TYPES[file_format],
        lambda: energy_map_picture(estimate, file_format) or b"",
        picture,
        flat,
    )
    table = f"{stem}_energy_map.csv", "text/csv", lambda: energy_map_csv(view.spectra, known)
    return [
        drawn,
        Download("stack_energy_csv", "E(q) as numbers (CSV)", *table, numbers),
        Download(
            "stack_npz", "All kernels (NPZ)", f"{stem}.npz", "application/octet-stream", lambda: stack_npz(estimate, view.band), arrays
        ),
        Download("stack_csv", "Dispersion (CSV)", f"{stem}_dispersion.csv", "text/csv", lambda: dispersion_csv(view.band), ring, missing),
    ]
