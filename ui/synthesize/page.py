"""The Synthesize page: a map with a known kernel, live, and every method tried on it."""

from __future__ import annotations

import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.synthesis.kernel_families.families import FAMILIES
from qpi_core.synthesis.simulated_maps.synthetic_scene import SyntheticScene, scene_zip
from ui.charts.kernels import KernelLook, kernel_and_spectrum
from ui.charts.maps import map_with_defects
from ui.charts.subplots import PLOTLY_CONFIG
from ui.extract.kernel.kernel_panel import available_methods
from ui.jobs.comparison import compare_methods
from ui.jobs.workers.queues import Job
from ui.state.loaders import simulated_map
from ui.state.map_change import use_map
from ui.state.workspace import Workspace, page_workspace, workspace
from ui.synthesize.comparison_panel import show_comparison
from ui.synthesize.synthesis_panel import PIXEL_SIZE_NM, choose_scene
from ui.synthesize.texts import SEND, ZIP, family_text, scene_text
from ui.widgets import texts
from ui.widgets.bottom_bar import show_bottom_bar
from ui.widgets.progress_steps import plain

_PAIR_WIDTH, _MAP_WIDTH = 760, 390
"""So wide that square panels fill the figures; narrower where the page is."""


def show_synthesize_page() -> None:
    """Show the whole page."""
    space = page_workspace("Synthesize")
    show_bottom_bar(space, "Synthesize")
    _live_scene()
    if space.comparison_problem:
        st.error(plain(space.comparison_problem))
    if space.comparison is not None:
        show_comparison(space.comparison)


@st.fragment
def _live_scene() -> None:
    space = workspace()
    controls, pictures = st.columns([1, 3.4], gap="medium")
    with controls:
        try:
            scene = choose_scene()
        except InputError as error:
            st.error(plain(str(error)))
            return
    with pictures:
        figure = kernel_and_spectrum(scene.kernel, fft_magnitude(scene.kernel), PIXEL_SIZE_NM, "", KernelLook(height=350))
        st.plotly_chart(
            figure,
            width=_PAIR_WIDTH,
            key="synthetic",
            config=PLOTLY_CONFIG,
            alt="Simulated kernel beside the magnitude of its Fourier transform",
        )
        _show_formula(scene)
        left, right = st.columns([1.15, 1], gap="medium", vertical_alignment="center")
        figure = map_with_defects(scene.observation, scene.positions, PIXEL_SIZE_NM, "", height=325)
        left.plotly_chart(figure, width=_MAP_WIDTH, key="synthetic_map", config=PLOTLY_CONFIG, alt="Simulated map with its defects")
        with right:
            st.markdown(scene_text(scene), help=texts.ZOOM)
            _show_actions(space, scene)


def _show_formula(scene: SyntheticScene) -> None:
    kernel = scene.recipe.kernel
    st.latex(FAMILIES[kernel.family].formula, width="content")
    st.caption(plain(family_text(kernel)))


def _show_actions(space: Workspace, scene: SyntheticScene) -> None:
    running = space.jobs.get("comparison") is not None
    with st.container(horizontal=True, gap="small"):
        compare = st.button(
            "Extract from this",
            type="primary",
            icon=":material/center_focus_strong:",
            key="compare",
            disabled=running,
            help="A comparison is running." if running else "Runs every method on this map and shows its error against the true kernel.",
        )
        send = st.button("Open in Extract", icon=":material/arrow_forward:", key="send_scene", help=SEND)
        st.download_button(
            "Scene (ZIP)",
            lambda: scene_zip(scene),
            scene.name.replace(".npy", ".zip"),
            "application/zip",
            on_click="ignore",
            key="download_scene",
            icon=":material/download:",
            help=ZIP,
        )
    if compare:
        _start(space, scene)
    if send:
        use_map(space, simulated_map(scene))
        st.switch_page("pages/extract.py")


def _start(space: Workspace, scene: SyntheticScene) -> None:
    space.comparison_problem = ""
    methods = available_methods()
    space.jobs.start("comparison", "Comparing the methods", lambda job: compare_methods(job, scene, methods), lambda job: _take(space, job))
    st.rerun()


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.comparison = job.result
    space.comparison_problem = job.problem
