"""Beside the latent space: the kernel behind a point, and the place of an extracted kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.charts.kernels import kernel_row
from ui.extract.kernel.kernel_panel import method_title
from ui.latent.path_panel import choose_end
from ui.state.loaders import extractor
from ui.state.workspace import workspace
from ui.synthesize.family_controls import put_kernel
from ui.synthesize.texts import kernel_line
from ui.widgets import texts
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from qpi_core.networks.atlas import LatentAtlas


def show_point(known: LatentAtlas, index: int, chosen: bool) -> None:
    """Show the kernel behind a point of the embedding and what can be done with it."""
    from qpi_core.networks.atlas import decode_latents

    kernel = known.kernel(index)
    decoded = decode_latents(extractor().models(), known.latents[index])[0]
    st.subheader("The kernel behind the point" if chosen else "One of them", anchor=False)
    panels = [("Decoder_K", _unit_range(decoded)), ("Truth", _unit_range(kernel.on_window()))]
    st.plotly_chart(
        kernel_row(panels, (0.0, 1.0), "viridis", height=190),
        width="stretch",
        key="latent_kernel",
        config={"displayModeBar": False},
        alt="The kernel that Decoder_K draws from this point's latent, beside the simulated one",
    )
    st.text(kernel_line(kernel))
    help_text = "Loads this kernel into the controls of the Synthesize page, as near as their steps allow."
    if st.button("Open in Synthesize", key="latent_to_synthesize", icon=":material/tune:", width="stretch", help=help_text):
        put_kernel(kernel)
        st.switch_page("pages/synthesize.py")
    choose_end(index, "point")


def show_own(known: LatentAtlas) -> None:
    """Show the extracted kernel's place, or why it has none."""
    outcome = workspace().outcome
    st.subheader("Your kernel", anchor=False)
    if outcome is None:
        st.caption("Extract a kernel first; a star then marks its place here.")
    elif outcome.place is None:
        st.caption(plain(outcome.network_note) or "It has no place here.")
    else:
        show_place(known, outcome)
        choose_end("own", "own")


def show_place(known: LatentAtlas, outcome: Any) -> None:
    """Show what the networks make of an extraction, and how far it is from the kernels of the atlas."""
    place, estimate = outcome.place, outcome.estimate
    nearest = known.kernel(int(place.neighbours[0]))
    panels = [] if estimate.method == "two_step" else [(method_title(estimate.method), _unit_range(estimate.kernel))]
    if estimate.network_kernel is not None:
        panels.append(("Networks", _unit_range(estimate.network_kernel)))
    panels.append(("Nearest simulated", _unit_range(nearest.on_window())))
    st.plotly_chart(
        kernel_row(panels, (0.0, 1.0), "viridis", height=180),
        width="stretch",
        key="latent_own",
        config={"displayModeBar": False},
        alt="The extracted kernel, the networks' kernel, and the nearest simulated kernel, each on its own range",
    )
    st.text(f"Nearest: {kernel_line(nearest)}")
    st.caption(
        f"Distance to it: {place.relative_distance:.2g} × the usual one between these kernels. {_judge(place.relative_distance)}",
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
