"""The result of an energy stack: a layer's kernel and |FFT|, E(q) with its band, and the files to take home."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import streamlit as st

from qpi_core.base.units import in_handy_unit
from qpi_core.extraction.band import SYSTEMATIC_PART, band_sentences
from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.results.figures.pictures import MEDIA_TYPES
from qpi_core.results.stack_files import dispersion_csv, energy_map_picture, stack_npz
from ui.charts.kernels import kernel_and_spectrum
from ui.charts.stack import energy_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackOutcome, StackView
from ui.result.numbers import with_unit
from ui.stacks.qspace import show_layer_in_qspace
from ui.widgets import texts
from ui.widgets.downloads import FORMATS, choose_format
from ui.widgets.progress_steps import plain

FITS = {"parabola": "Parabola", "line": "Line", "none": "None"}


@st.fragment
def show_stack_result(outcome: StackOutcome) -> None:
    """Show a solved stack, one class of defects at a time."""
    view = _choose_class(outcome)
    layers, energies = st.columns([1.5, 1], gap="medium")
    with layers:
        index = _choose_layer(view)
        _show_layer(view, index)
    with energies:
        _show_energies(view, index)
    for note in view.estimate.notes:
        st.caption(plain(note))
    _show_downloads(view)
    if view.estimate.usable[index]:
        show_layer_in_qspace(view, index)


def _choose_class(outcome: StackOutcome) -> StackView:
    names = list(outcome.views)
    if len(names) == 1:
        return outcome.views[names[0]]
    if st.session_state.get("stack_class") not in names:
        st.session_state["stack_class"] = names[0]
    counts = {name: len(view.estimate.positions) for name, view in outcome.views.items()}
    chosen = st.segmented_control(
        "Class of defects",
        names,
        format_func=lambda name: plain(f"{name} ({counts[name]})"),
        required=True,
        key="stack_class",
        help=texts.STACK_CLASS,
        persist_state="session",
    )
    return outcome.views[str(chosen)]


def _choose_layer(outcome: StackView) -> int:
    done = [int(index) for index in np.flatnonzero(outcome.estimate.done)]
    if len(done) == 1:
        return done[0]
    bias = outcome.estimate.bias_mv
    known = bool(np.isfinite(bias).all())
    key = f"stack_layer_{outcome.question.file_sha256[:12]}"
    if st.session_state.get(key) not in done:
        st.session_state[key] = done[len(done) // 2]
    return int(
        st.select_slider(
            "Energy (mV)" if known else "Layer",
            done,
            format_func=lambda i: f"{bias[i]:.4g}" if known else str(i),
            key=key,
            help=texts.STACK_LAYER,
            persist_state="session",
        )
    )


def _show_layer(outcome: StackView, index: int) -> None:
    estimate = outcome.estimate
    if estimate.usable[index]:
        kernel = estimate.kernels[index]
        st.plotly_chart(
            kernel_and_spectrum(kernel, fft_magnitude(kernel, "hann"), estimate.pixel_size_nm, outcome.unit, height=330, gap=0.17),
            width="stretch",
            key="stack_kernel",
            config=PLOTLY_CONFIG,
            alt="Kernel of the layer and the magnitude of its Fourier transform",
        )
        noise, background = (
            with_unit(*in_handy_unit(float(found[index]), outcome.unit)) for found in (estimate.noise_sigma, estimate.background)
        )
        st.caption(plain(f"Noise σ = {noise}, background {background}."))
    for warning in estimate.warnings[index]:
        st.caption(plain(warning))


def _show_energies(outcome: StackView, index: int) -> None:
    band = outcome.band
    fit = "none"
    if band.claimed:
        fit = str(
            st.segmented_control(
                "Band through the rings",
                list(FITS),
                format_func=FITS.__getitem__,
                default=band.evidence.shape.value,
                required=True,
                key="stack_fit",
                persist_state="session",
                help=texts.STACK_FIT,
            )
        )
    length = "px" if outcome.estimate.pixel_size_nm is None else "nm"
    st.plotly_chart(
        energy_chart(outcome.spectra, band, fit, index, length),
        width="stretch",
        key="stack_energies",
        config=PLOTLY_CONFIG,
        alt="Ring average of |FFT| over wave vector and energy, with the rings that were found",
    )
    if band.problem:
        st.info(f"**No band is claimed.** {plain(band.problem)}", icon=":material/info:")
    elif fit != "none":
        sentences = band_sentences(band)
        st.markdown(plain(sentences[list(FITS).index(fit)]))
        st.caption(SYSTEMATIC_PART)


def _show_downloads(outcome: StackView) -> None:
    stem = f"{Path(outcome.question.name).stem}_stack" + (f"_{re.sub(r'[^A-Za-z0-9-]+', '_', outcome.name)}" if outcome.name else "")
    missing = "" if outcome.band.track is not None else outcome.band.problem
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        file_format = choose_format()
        flat = "" if outcome.estimate.usable.sum() > 1 else "A picture of E(q) needs two layers with a kernel."
        st.download_button(
            f"E(q) {FORMATS[file_format]}",
            lambda: energy_map_picture(outcome.estimate, file_format) or b"",
            f"{stem}_energy_map.{file_format}",
            MEDIA_TYPES[file_format],
            on_click="ignore",
            key=f"download_stack_{file_format}",
            icon=":material/download:",
            disabled=bool(flat),
            help=flat or "Ring average of |FFT| over wave vector and energy.",
        )
        st.download_button(
            "All kernels (NPZ)",
            lambda: stack_npz(outcome.estimate, outcome.band),
            f"{stem}.npz",
            "application/octet-stream",
            on_click="ignore",
            key="download_stack_npz",
            icon=":material/download:",
            help="Kernels, uncertainties, energies, noise, rings and positions.",
        )
        st.download_button(
            "Dispersion (CSV)",
            lambda: dispersion_csv(outcome.band),
            f"{stem}_dispersion.csv",
            "text/csv",
            on_click="ignore",
            key="download_stack_csv",
            icon=":material/download:",
            disabled=bool(missing),
            help=missing or "Energy, wave vector of the ring and its standard deviation, one line a layer.",
        )
