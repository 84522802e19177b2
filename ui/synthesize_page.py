"""The Synthesize page: a map with a known kernel, live, and every method tried on it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from qpi_core.spectra import fft_magnitude
from ui import texts
from ui.charts import map_with_defects
from ui.comparison_job import compare_methods
from ui.comparison_panel import show_comparison
from ui.guide import plain
from ui.jobs import FINISHED, job_queue, show_running_job
from ui.kernel_chart import kernel_and_spectrum
from ui.kernel_panel import available_methods
from ui.panels import PLOTLY_CONFIG
from ui.synthesis_panel import PIXEL_SIZE_NM, SyntheticScene, choose_scene
from ui.workspace import Workspace, workspace

_PATIENCE_SECONDS = 0.8
_PAIR_WIDTH, _MAP_WIDTH = 760, 390
"""So wide that square panels fill the figures; narrower where the page is."""


def show_synthesize_page() -> None:
    """Show the whole page."""
    space = workspace()
    _collect(space)
    _live_scene()
    if space.comparison_job is not None:
        show_running_job(space.comparison_job, "cancel_comparison")
    if space.comparison_problem:
        st.error(plain(space.comparison_problem))
    if space.comparison is not None:
        show_comparison(space.comparison)


@st.fragment
def _live_scene() -> None:
    space = workspace()
    controls, pictures = st.columns([1, 3.4], gap="medium")
    with controls:
        scene = choose_scene()
    with pictures:
        figure = kernel_and_spectrum(scene.kernel, fft_magnitude(scene.kernel), PIXEL_SIZE_NM, "", height=350)
        st.plotly_chart(
            figure,
            width=_PAIR_WIDTH,
            key="synthetic",
            config=PLOTLY_CONFIG,
            alt="Simulated kernel beside the magnitude of its Fourier transform",
        )
        left, right = st.columns([1.15, 1], gap="medium", vertical_alignment="center")
        figure = map_with_defects(scene.observation, scene.positions, PIXEL_SIZE_NM, "", height=325)
        left.plotly_chart(figure, width=_MAP_WIDTH, key="synthetic_map", config=PLOTLY_CONFIG, alt="Simulated map with its defects")
        with right:
            st.markdown(_describe(scene), help=texts.ZOOM)
            running = space.comparison_job is not None
            pressed = st.button(
                "Extract from this",
                type="primary",
                icon=":material/center_focus_strong:",
                key="compare",
                disabled=running,
                help="A comparison is running."
                if running
                else "Runs every method on this map and shows its error against the true kernel.",
            )
    if pressed:
        _start(space, scene)


def _start(space: Workspace, scene: SyntheticScene) -> None:
    space.comparison_problem = ""
    methods = available_methods()
    space.comparison_job = job_queue().submit("Comparing the methods", lambda job: compare_methods(job, scene, methods))
    space.comparison_job.wait(_PATIENCE_SECONDS)
    st.rerun()


def _collect(space: Workspace) -> None:
    job = space.comparison_job
    if job is None or job.state not in FINISHED:
        return
    space.comparison_job = None
    if job.state == "done":
        space.comparison = job.result
    space.comparison_problem = job.problem


def _describe(scene: SyntheticScene) -> str:
    parameters = scene.parameters
    noise = f"noise σ = {scene.noise_sigma:.3g}" if scene.noise_sigma else "no noise"
    wavelength = np.pi / parameters.wavenumber
    return (
        f"64 × 64 px, 10 × 10 nm, {len(scene.positions)} defects, {noise}.\n\n"
        f"sin²(Br) repeats every π/B = {wavelength:.3g} nm, so the ring of the FFT lies at 2B = {2 * parameters.wavenumber:.3g} rad/nm.\n\n"
        "The map is the exact sum of the kernel over all defects, tails included, plus the noise."
    )
