"""The Latent space page: simulated kernels in their fixed embedding, what lies behind a point, where yours is, and the way between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from qpi_core.base.errors import InputError
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.workers.queues import Job
from ui.latent.latent_kernels import show_own, show_point
from ui.latent.path_panel import choose_path, show_path
from ui.state.loaders import atlas, extractor
from ui.state.workspace import Workspace, page_workspace, workspace
from ui.widgets.bottom_bar import show_bottom_bar
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.networks.atlas import LatentAtlas

_CHART = "latent_chart"
_CHOSEN = "latent_chosen"
_HEIGHT = 530
_EXAMPLE_POINT = 0


def show_latent_page() -> None:
    """Show the whole page; the networks are loaded in a job when this is the first page that needs them."""
    space = page_workspace("Latent space")
    ready = _ready(space)
    show_bottom_bar(space, "Latent space")
    if not ready:
        return
    try:
        training = atlas()
    except InputError as error:
        st.info(plain(str(error)), icon=":material/bubble_chart:")
        return
    _show_space(training)


def _ready(space: Workspace) -> bool:
    if not extractor().has_model:
        st.info(
            "No released model is installed, so there is no latent space to show. Train one: python -m qpi_core train --help",
            icon=":material/info:",
        )
        return False
    if space.latent_ready is None and space.jobs.get("latent") is None:
        space.jobs.start("latent", "Loading the latent space", _load, lambda job: _take(space, job))
        space.jobs.collect()
    if space.jobs.get("latent") is not None:
        st.skeleton(height=_HEIGHT)
        return False
    if not space.latent_ready:
        space.latent_ready = None
        st.caption("Stopped. Open this page again to load the latent space.")
        return False
    return True


def _take(space: Workspace, job: Job) -> None:
    """A failure is told by the page itself, which meets it again."""
    space.latent_ready = job.state != "cancelled"


def _load(job: Job) -> None:
    job.step(0.2, "Reading the networks")
    atlas()


@st.fragment
def _show_space(training: LatentAtlas) -> None:
    from ui.charts.latent import COLOUR_BY, latent_scatter

    outcome = workspace().outcome
    place = outcome.place if outcome is not None else None
    picture, side = st.columns([2.3, 1], gap="medium")
    selected = _selected_index(len(training))
    with side:
        show_point(training, _EXAMPLE_POINT if selected is None else selected, chosen=selected is not None)
        show_own(training)
    with picture:
        colour_by = st.selectbox(
            "Colour by",
            list(COLOUR_BY),
            format_func=COLOUR_BY.__getitem__,
            key="latent_colour",
            persist_state="session",
            width=260,
            help="Grey points belong to families without the number.",
        )
        chart = st.container()
        path = choose_path(training, outcome)
        chart.plotly_chart(
            latent_scatter(training, str(colour_by), place, selected, path=path.marks),
            width="stretch",
            key=_CHART,
            on_select="rerun",
            selection_mode="points",
            config=PLOTLY_CONFIG,
            alt="Two-dimensional embedding of the latent space, one point a simulated kernel",
        )
        chart.caption(
            f"{len(training)} simulated kernels of all families, t-SNE of Encoder_K's latents, seed {training.seed}. "
            "Distances between far groups mean nothing. Click on a point to see its kernel.",
        )
        show_path(path)


def _selected_index(count: int) -> int | None:
    """Return the atlas index of the point clicked last; what the browser sends is checked like any input.

    The chart forgets its selection when it is drawn anew, for another colour or another place on the path.
    """
    state: Any = st.session_state.get(_CHART) or {}
    points = (state.get("selection") or {}).get("points") or []
    for point in points:
        data = point.get("customdata")
        values = list(data.values()) if isinstance(data, dict) else list(data or [])
        if values and 0 <= int(values[0]) < count:
            st.session_state[_CHOSEN] = int(values[0])
    chosen = st.session_state.get(_CHOSEN)
    return chosen if chosen is not None and chosen < count else None
