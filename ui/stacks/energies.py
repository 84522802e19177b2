"""E(q) of a solved stack: how it is scaled, and a click that goes to an energy."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from qpi_core.extraction.bands.band import SYSTEMATIC_PART, band_sentences
from ui.charts.stack import SCALES, EnergyLook, energy_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackView
from ui.widgets import texts
from ui.widgets.progress_steps import plain

FITS = {"parabola": "Parabola", "line": "Line", "none": "None"}


def show_energies(view: StackView, index: int, layer_key: str) -> None:
    """Show E(q) with the layer in view as a line; a click on it goes to that energy.

    Args:
        view: a class of defects.
        index: the layer in view.
        layer_key: of the control that holds it.
    """
    # The picture comes first; what is chosen under it is known before it is drawn.
    picture, controls = st.container(), st.container(gap="small")
    with controls:
        scale, fit = _choose_scale(), _choose_fit(view)
    length = "px" if view.estimate.pixel_size_nm is None else "nm"
    picture.plotly_chart(
        energy_chart(view.spectra, view.band, fit, index, length, EnergyLook(scale=scale, clickable=True, unit=view.unit)),
        width="stretch",
        key="stack_energies",
        config=PLOTLY_CONFIG,
        on_select=lambda: _go_to(view, layer_key),
        selection_mode="points",
        alt="Ring average of |FFT| over wave vector and energy, with the rings that were found",
    )
    if view.band.problem:
        st.info(f"**No band is claimed.** {plain(view.band.problem)}", icon=":material/info:")
    elif fit != "none":
        sentences = band_sentences(view.band)
        st.markdown(plain(sentences[list(FITS).index(fit)]))
        st.caption(SYSTEMATIC_PART)


def _choose_scale() -> str:
    return str(
        st.segmented_control(
            "Colours of E(q)",
            list(SCALES),
            format_func=SCALES.__getitem__,
            default="linear",
            required=True,
            key="stack_scale",
            help=texts.STACK_SCALE,
            persist_state="session",
        )
    )


def _choose_fit(view: StackView) -> str:
    if not view.band.claimed:
        return "none"
    return str(
        st.segmented_control(
            "Band through the rings",
            list(FITS),
            format_func=FITS.__getitem__,
            default=view.band.evidence.shape.value,
            required=True,
            key="stack_fit",
            persist_state="session",
            help=texts.STACK_FIT,
        )
    )


def _go_to(view: StackView, layer_key: str) -> None:
    """Make the energy that was clicked in E(q) the one in view."""
    index = clicked_layer(st.session_state, view)
    if index is not None:
        st.session_state[layer_key] = index


def clicked_layer(state: Any, view: StackView) -> int | None:
    """Return the layer that is done and nearest to the energy that was clicked, None where nothing was."""
    chosen = state.get("stack_energies") or {}
    points = (chosen.get("selection") or {}).get("points") or []
    energies = [point.get("y") for point in points if isinstance(point, dict)]
    energies = [float(energy) for energy in energies if isinstance(energy, (int, float)) and np.isfinite(energy)]
    done = np.flatnonzero(view.estimate.done)
    if not energies or not len(done):
        return None
    return int(done[np.argmin(np.abs(view.spectra.energies[done] - energies[0]))])
