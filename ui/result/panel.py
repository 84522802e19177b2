"""The result: kernel, uncertainty and FFT, numbers, reconstruction and residual, warnings."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.spectra import fft_magnitude
from ui.charts.colours import colour_limits
from ui.charts.kernels import FULL_RANGE, UNCERTAINTY_MANNERS, KernelLook, kernel_and_spectrum, uncertainty_picture
from ui.charts.maps import MapParts, block_side, fit_panels
from ui.charts.subplots import PLOTLY_CONFIG
from ui.extract.kernel.kernel_panel import method_title
from ui.jobs.extraction import Outcome
from ui.result.alternatives import show_alternatives
from ui.result.map_parts import show_parts
from ui.result.method_comparison import show_method_comparison
from ui.result.numbers import show_numbers
from ui.result.outcome_qspace import show_outcome_in_qspace
from ui.result.stability import show_stability
from ui.result.verdict import show_verdict
from ui.state.loaders import atlas
from ui.state.workspace import workspace
from ui.widgets import texts
from ui.widgets.controls.limits_control import show_limits
from ui.widgets.downloads import show_downloads
from ui.widgets.progress_steps import plain

_PADDING = 4
_FIT_HEIGHT = 380
_MOMENT_SECONDS = 0.5
_WAITED = "result_waited"


@st.fragment
def show_result(outcome: Outcome, stale: bool) -> None:
    """Show a finished extraction; `stale` says that map, defects or settings have changed since."""
    outcome = _choose_class(outcome)
    estimate = outcome.estimate
    title = f"Kernel · {method_title(estimate.method)}"
    st.subheader(title, anchor=False, help=texts.ZOOM)
    if stale:
        st.caption(
            ":orange[:material/history:] The map, the defects or the settings have changed since; press Extract to bring this up to date."
        )
    show_verdict(workspace(), outcome, stale)
    show_kernel_row(outcome)
    show_numbers(outcome)
    show_alternatives(workspace(), outcome)
    if _is_new(outcome):
        _follow_soon()
        return
    show_outcome_in_qspace(outcome)
    show_fit(outcome)
    buttons = st.container(horizontal=True, gap="small")
    show_stability(workspace(), outcome, buttons)
    if not outcome.kinds:
        show_method_comparison(workspace(), outcome, buttons)
    show_latent_view(outcome)
    st.subheader("Take home", anchor=False)
    show_downloads(outcome)


def _is_new(outcome: Outcome) -> bool:
    """Say whether a result is shown for the first time: its kernel then goes out alone, because the browser paints nothing of what
    it gets at once before all of its charts are drawn.
    """
    space = workspace()
    new = space.drawn is not outcome.question
    space.drawn = outcome.question
    return new


def _follow_soon() -> None:
    """Keep the place of the other pictures and have them drawn a moment later."""
    st.skeleton(height=_FIT_HEIGHT)
    st.session_state[_WAITED] = False
    _wait_once()


@st.fragment(run_every=_MOMENT_SECONDS)
def _wait_once() -> None:
    if st.session_state[_WAITED]:
        st.rerun()
    st.session_state[_WAITED] = True


def _choose_class(outcome: Outcome) -> Outcome:
    """Show which class's kernel is looked at, where there are several, and return its outcome."""
    if not outcome.kinds:
        return outcome
    names = list(outcome.kinds)
    chosen = st.segmented_control(
        "Class of defects",
        names,
        format_func=lambda name: f"{plain(name)} ({len(outcome.kinds[name].estimate.positions)})",
        default=names[0],
        required=True,
        key=f"class_{'_'.join(names)}",
        help=texts.CLASS_OF_DEFECTS,
    )
    one = outcome.kinds.get(str(chosen), outcome.kinds[names[0]])
    return replace(one, kinds=outcome.kinds, together=outcome.together)


def show_kernel_row(outcome: Outcome) -> None:
    """Show kernel, uncertainty and FFT with their switches."""
    estimate, view = outcome.estimate, outcome.question.view
    size = estimate.kernel.shape[0]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        manner = _choose_uncertainty(estimate)
        percentiles = show_limits("kernel_limits", FULL_RANGE, texts.KERNEL_LIMITS, width=230)
        logarithmic = st.toggle("Logarithmic FFT", key="fft_log", help=texts.LOG_FFT, persist_state="session")
        padded = st.toggle("Finer q grid", key="fft_padded", help=texts.PADDING, persist_state="session")
    uncertainty = None
    if estimate.uncertainty is not None:
        uncertainty = uncertainty_picture(estimate.kernel, estimate.uncertainty, view.unit, manner, percentiles)
    magnitude = fft_magnitude(estimate.kernel, padded_size=size * _PADDING if padded else None)
    look = KernelLook(logarithmic, 350, uncertainty, percentiles)
    figure = kernel_and_spectrum(estimate.kernel, magnitude, estimate.pixel_size_nm, view.unit, look)
    parts = "Extracted kernel, its uncertainty and" if uncertainty else "Extracted kernel and"
    st.plotly_chart(
        figure, width="stretch", key="kernel_row", config=PLOTLY_CONFIG, alt=f"{parts} the magnitude of its Fourier transform, side by side"
    )


def _choose_uncertainty(estimate: KernelEstimate) -> str:
    known = estimate.uncertainty is not None
    chosen = st.segmented_control(
        "Uncertainty",
        UNCERTAINTY_MANNERS,
        format_func=texts.UNCERTAINTY_MANNERS.__getitem__,
        default="own",
        required=True,
        key="uncertainty_manner",
        disabled=not known,
        help=texts.UNCERTAINTY if known else f"{method_title(estimate.method)} gives no uncertainty; Refined and Circular harmonics do.",
        persist_state="session",
    )
    return str(chosen or "own")


def show_fit(outcome: Outcome) -> None:
    """Show map, reconstruction and residual on one colour scale."""
    estimate, view = outcome.estimate, outcome.question.view
    st.subheader("How well it explains the map", anchor=False)
    limits = colour_limits(view.layer.values, (0.5, 99.5))
    parts = MapParts(view.layer.values, estimate.reconstruction, estimate.residual, estimate.pixel_size_nm, view.unit)
    figure = fit_panels(parts, view.colours, limits)
    st.plotly_chart(
        figure, width="stretch", key="fit", config=PLOTLY_CONFIG, alt="Map, reconstruction and residual on the same colour scale"
    )
    if estimate.has_background:
        show_parts(outcome)
    if (every := block_side(view.layer.values.shape)) > 1:
        st.caption(f"Drawn as means of {every} × {every} pixels. The files hold every pixel.")


def show_latent_view(outcome: Outcome) -> None:
    """Show the networks' kernel and its place among the simulated kernels, whatever the method."""
    st.subheader("What the networks see", anchor=False)
    space = workspace()
    if space.jobs.get("networks") is not None:
        st.caption("Encoder_Y and Decoder_K are looking at the map; their kernel and its place follow.")
        return
    if outcome.place is None:
        st.caption(plain(outcome.network_note))
        return
    from ui.charts.latent import latent_scatter
    from ui.latent.latent_kernels import show_place

    training = atlas()
    scatter, kernels = st.columns([1.35, 1], gap="medium")
    with scatter:
        figure = latent_scatter(training, "symmetry_order", outcome.place, height=330, marker_size=4)
        st.plotly_chart(
            figure, width="stretch", key="own_place", config=PLOTLY_CONFIG, alt="Place of the kernel in the t-SNE of the simulated kernels"
        )
    with kernels:
        show_place(training, outcome)
