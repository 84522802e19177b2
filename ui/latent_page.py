"""The Latent space page: training kernels in their fixed embedding, what lies behind a point, and where yours is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.errors import InputError
from ui import texts
from ui.family_controls import put_equation_7
from ui.guide import plain
from ui.jobs import FINISHED, Job, job_queue, show_running_job
from ui.kernel_chart import kernel_row
from ui.kernel_panel import method_title
from ui.loaders import atlas, extractor
from ui.workspace import Workspace, workspace

if TYPE_CHECKING:
    from qpi_core.latent import LatentAtlas

_CHART = "latent_chart"
_PATIENCE_SECONDS = 1.0
_EXAMPLE_POINT = 0


def show_latent_page() -> None:
    """Show the whole page; the networks are loaded in a job when this is the first page that needs them."""
    space = workspace()
    if not _ready(space):
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
    if space.latent_job is None:
        space.latent_job = job_queue().submit("Loading the latent space", _load)
        space.latent_job.wait(_PATIENCE_SECONDS)
    if space.latent_job.state not in FINISHED:
        show_running_job(space.latent_job, "cancel_latent")
        return False
    if space.latent_job.state == "cancelled":
        space.latent_job = None
        st.caption("Stopped. Open this page again to load the latent space.")
        return False
    return True


def _load(job: Job) -> None:
    job.step(0.2, "Reading the networks")
    atlas()


@st.fragment
def _show_space(training: LatentAtlas) -> None:
    from ui.latent_chart import COLOUR_BY, latent_scatter

    outcome = workspace().outcome
    place = outcome.place if outcome is not None else None
    picture, side = st.columns([2.3, 1], gap="medium")
    selected = _selected_index(len(training.parameters))
    with picture:
        colour_by = st.segmented_control(
            "Colour by",
            list(COLOUR_BY),
            format_func=COLOUR_BY.__getitem__,
            default="symmetry_order",
            required=True,
            key="latent_colour",
            persist_state="session",
            label_visibility="collapsed",
        )
        st.plotly_chart(
            latent_scatter(training, str(colour_by), place, selected),
            width="stretch",
            key=_CHART,
            on_select="rerun",
            selection_mode="points",
            config={"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]},
            alt="Two-dimensional embedding of the latent space, one point a training kernel",
        )
        st.caption(
            f"{len(training.parameters)} training kernels (Eq. 7), t-SNE of Encoder_K's latents, seed {training.seed}. "
            "Distances between far groups mean nothing. Click on a point to see its kernel.",
        )
    with side:
        _show_point(training, _EXAMPLE_POINT if selected is None else selected, chosen=selected is not None)
        _show_placing(training)


def _selected_index(count: int) -> int | None:
    """Return the atlas index of the clicked point; what the browser sends is checked like any input."""
    state: Any = st.session_state.get(_CHART) or {}
    points = (state.get("selection") or {}).get("points") or []
    for point in points:
        data = point.get("customdata")
        values = list(data.values()) if isinstance(data, dict) else list(data or [])
        if values and 0 <= int(values[0]) < count:
            return int(values[0])
    return None


def _show_point(training: LatentAtlas, index: int, chosen: bool) -> None:
    from qpi_core.latent import decode_latents
    from qpi_core.synthesis.kernels import phenomenological_kernel

    parameters = training.kernel_parameters(index)
    truth = phenomenological_kernel(**parameters.as_dict())
    decoded = decode_latents(extractor().models(), training.latents[index])[0]
    st.subheader("The kernel behind the point" if chosen else "One of them", anchor=False)
    panels = [("Decoder_K", _unit_range(decoded)), ("Eq. 7", _unit_range(truth))]
    st.plotly_chart(
        kernel_row(panels, (0.0, 1.0), "viridis", height=190),
        width="stretch",
        key="latent_kernel",
        config={"displayModeBar": False},
        alt="The kernel that Decoder_K draws from this point's latent, beside Eq. 7",
    )
    st.text(
        f"n = {parameters.symmetry_order}   φ₁ = {parameters.orientation:.2f} rad   φ₂ = {parameters.phase:.2f} rad\n"
        f"B = {parameters.wavenumber:.3g} rad/nm   c = {parameters.decay:.3g} nm⁻²"
    )
    if st.button("Open in Synthesize", key="latent_to_synthesize", icon=":material/tune:", width="stretch"):
        _open_in_synthesize(parameters)


def _open_in_synthesize(parameters: Any) -> None:
    put_equation_7(parameters)
    st.switch_page("pages/synthesize.py")


def _show_placing(training: LatentAtlas) -> None:
    outcome = workspace().outcome
    st.subheader("Your kernel", anchor=False)
    if outcome is None:
        st.caption("Extract a kernel first; a star then marks its place here.")
        return
    if outcome.place is None:
        st.caption(plain(outcome.network_note) or "It has no place here.")
        return
    show_place(training, outcome)


def show_place(training: LatentAtlas, outcome: Any) -> None:
    """Show what the networks make of an extraction, and how far it is from the training kernels."""
    from qpi_core.synthesis.kernels import phenomenological_kernel

    place, estimate = outcome.place, outcome.estimate
    nearest = training.kernel_parameters(int(place.neighbours[0]))
    panels = [] if estimate.method == "two_step" else [(method_title(estimate.method), _unit_range(estimate.kernel))]
    if estimate.network_kernel is not None:
        panels.append(("Encoder_Y → Decoder_K", _unit_range(estimate.network_kernel)))
    panels.append(("Nearest in training", _unit_range(phenomenological_kernel(**nearest.as_dict()))))
    st.plotly_chart(
        kernel_row(panels, (0.0, 1.0), "viridis", height=180),
        width="stretch",
        key="latent_own",
        config={"displayModeBar": False},
        alt="The extracted kernel, the networks' kernel, and the nearest training kernel, each on its own range",
    )
    st.text(f"Nearest: n = {nearest.symmetry_order}, B = {nearest.wavenumber:.3g} rad/nm, c = {nearest.decay:.3g} nm⁻²")
    st.caption(
        f"Distance to it: {place.relative_distance:.2g} × the usual one between training kernels. {_judge(place.relative_distance)}",
        help=texts.PLACE,
    )


def _unit_range(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a kernel from 0 to 1: here only the shapes are compared."""
    low, high = float(kernel.min()), float(kernel.max())
    return (kernel - low) / (high - low) if high > low else np.zeros_like(kernel)


def _judge(relative_distance: float) -> str:
    if relative_distance < 2:
        return "It is like the kernels the networks know."
    return "It is unlike any of them: its place says little, and so may the networks' kernel."
