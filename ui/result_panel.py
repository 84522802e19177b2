"""The result: kernel and FFT, numbers, reconstruction and residual, warnings."""

from __future__ import annotations

import numpy as np
import streamlit as st

from qpi_core.spectra import fft_magnitude
from ui import texts
from ui.charts import PLOTLY_CONFIG, fit_panels, kernel_and_spectrum
from ui.colours import colour_limits
from ui.downloads import show_downloads
from ui.extraction_job import Outcome
from ui.guide import plain
from ui.kernel_panel import method_title
from ui.loaders import atlas

_PADDING = 4


@st.fragment
def show_result(outcome: Outcome, stale: bool) -> None:
    """Show a finished extraction; `stale` says that map, defects or settings have changed since."""
    estimate = outcome.estimate
    title = f"Kernel · {method_title(estimate.method)}"
    st.subheader(title, anchor=False)
    if stale:
        st.caption(
            ":orange[:material/history:] The map, the defects or the settings have changed since; press Extract to bring this up to date."
        )
    if estimate.warnings:
        st.warning("\n\n".join(plain(sentence) for sentence in estimate.warnings), icon=":material/info:")
    pictures, numbers = st.columns([3.1, 1], gap="medium")
    with pictures:
        show_kernel_pair(outcome)
    with numbers:
        show_numbers(outcome)
    show_fit(outcome)
    show_latent_view(outcome)
    st.subheader("Take home", anchor=False)
    show_downloads(outcome)


def show_kernel_pair(outcome: Outcome) -> None:
    """Show kernel and FFT with their two switches."""
    estimate, view = outcome.estimate, outcome.question.view
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        logarithmic = st.toggle("Logarithmic FFT", key="fft_log", help=texts.LOG_FFT, persist_state="session")
        padded = st.toggle("Finer q grid", key="fft_padded", help=texts.PADDING, persist_state="session")
        st.caption("One zoom for both", help=texts.ZOOM)
    size = estimate.kernel.shape[0]
    magnitude = fft_magnitude(estimate.kernel, padded_size=size * _PADDING if padded else None)
    st.plotly_chart(
        kernel_and_spectrum(estimate.kernel, magnitude, estimate.pixel_size_nm, view.unit, logarithmic),
        width="stretch",
        key="kernel_pair",
        config=PLOTLY_CONFIG,
        alt="Extracted kernel beside the magnitude of its Fourier transform",
    )


def show_numbers(outcome: Outcome) -> None:
    """Show noise, symmetry and parameters with their standard deviations."""
    estimate, unit = outcome.estimate, outcome.question.view.unit
    st.metric(
        "Noise σ (estimated)", f"{_number(estimate.noise_sigma)} {unit}".strip(), help="Standard deviation of what is left, per pixel."
    )
    signal = float(np.nanstd(estimate.reconstruction))
    st.metric("Explained", f"{100 * _explained(outcome):.1f} %", help="Share of the map's variance that the reconstruction accounts for.")
    st.metric("Symmetry", _symmetry(estimate.symmetry_order), help="Rotational symmetry order, where the method finds one.")
    rows = [f"Background b = {_number(estimate.background)} {unit}".strip(), f"Signal std = {_number(signal)} {unit}".strip()]
    rows += [parameter_line(name, value, deviation) for name, (value, deviation) in estimate.parameters.items()]
    if estimate.uncertainty is not None:
        rows.append(f"Kernel ± {_number(float(np.sqrt(np.mean(estimate.uncertainty**2))))} {unit} a pixel (rms)".replace("  ", " "))
    rows.append(f"{len(estimate.positions)} defects · {outcome.seconds:.2g} s")
    st.text("\n".join(rows))


def parameter_line(name: str, value: float, deviation: float) -> str:
    """Return `Wave vector q = 6.400 ± 0.004 rad/nm` for a parameter whose unit stands in its name."""
    label, unit = texts.PARAMETERS.get(name, (name.replace("_", " ").capitalize(), ""))
    if not (np.isfinite(deviation) and deviation > 0):
        return f"{label} = {value:.4g} {unit}".strip()
    decimals = int(min(max(0, 1 - np.floor(np.log10(deviation))), 9))
    return f"{label} = {value:.{decimals}f} ± {deviation:.{decimals}f} {unit}".strip()


def show_fit(outcome: Outcome) -> None:
    """Show map, reconstruction and residual on one colour scale."""
    estimate, view = outcome.estimate, outcome.question.view
    st.subheader("How well it explains the map", anchor=False)
    limits = colour_limits(view.layer.values, (0.5, 99.5))
    figure = fit_panels(
        view.layer.values, estimate.reconstruction, estimate.residual, estimate.pixel_size_nm, view.unit, view.colours, limits
    )
    st.plotly_chart(
        figure, width="stretch", key="fit", config=PLOTLY_CONFIG, alt="Map, reconstruction and residual on the same colour scale"
    )


def show_latent_view(outcome: Outcome) -> None:
    """Show the networks' kernel and its place among the training kernels, whatever the method."""
    st.subheader("What the networks see", anchor=False)
    if outcome.place is None:
        st.caption(plain(outcome.network_note))
        return
    from ui.latent_chart import latent_scatter
    from ui.latent_page import show_place

    training = atlas()
    scatter, kernels = st.columns([1.35, 1], gap="medium")
    with scatter:
        figure = latent_scatter(training, "symmetry_order", outcome.place, height=330, marker_size=4)
        st.plotly_chart(
            figure, width="stretch", key="own_place", config=PLOTLY_CONFIG, alt="Place of the kernel in the t-SNE of the training kernels"
        )
    with kernels:
        show_place(training, outcome)


def _explained(outcome: Outcome) -> float:
    values = outcome.question.view.layer.values
    variance = float(np.nanvar(values))
    return max(0.0, 1.0 - float(np.nanvar(outcome.estimate.residual)) / variance) if variance > 0 else 0.0


def _symmetry(order: int | None) -> str:
    return "not determined" if order is None else "isotropic" if order == 0 else f"{order}-fold"


def _number(value: float) -> str:
    return f"{value:.3g}"
