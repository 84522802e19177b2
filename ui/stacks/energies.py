"""E(q) of a solved stack: how it is scaled, a click that goes to an energy, and the files of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from qpi_core.extraction.band import SYSTEMATIC_PART, band_sentences
from qpi_core.results.figures.pictures import MEDIA_TYPES
from qpi_core.results.stack_files import dispersion_csv, energy_map_csv, energy_map_picture, stack_npz
from ui.charts.stack import SCALES, energy_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackView
from ui.widgets import texts
from ui.widgets.downloads import FORMATS, choose_format
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
        energy_chart(view.spectra, view.band, fit, index, length, scale=scale, clickable=True),
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


def show_downloads(view: StackView, stem: str) -> None:
    """Show the files of a class of defects; each is made when it is asked for."""
    missing = "" if view.band.track is not None else view.band.problem or "The stack is not finished."
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        file_format = choose_format()
        flat = "" if view.estimate.usable.sum() > 1 else "A picture of E(q) needs two layers with a kernel."
        st.download_button(
            f"E(q) {FORMATS[file_format]}",
            lambda: energy_map_picture(view.estimate, file_format) or b"",
            f"{stem}_energy_map.{file_format}",
            MEDIA_TYPES[file_format],
            on_click="ignore",
            key=f"download_stack_{file_format}",
            icon=":material/download:",
            disabled=bool(flat),
            help=flat or "Ring average of |FFT| over wave vector and energy.",
        )
        st.download_button(
            "E(q) as numbers (CSV)",
            lambda: energy_map_csv(view.spectra, view.estimate.pixel_size_nm is not None),
            f"{stem}_energy_map.csv",
            "text/csv",
            on_click="ignore",
            key="download_stack_energy_csv",
            icon=":material/download:",
            help="One line an energy, one column a wave vector; empty where a layer has no kernel.",
        )
        st.download_button(
            "All kernels (NPZ)",
            lambda: stack_npz(view.estimate, view.band),
            f"{stem}.npz",
            "application/octet-stream",
            on_click="ignore",
            key="download_stack_npz",
            icon=":material/download:",
            help="Kernels, uncertainties, energies, noise, rings and positions.",
        )
        st.download_button(
            "Dispersion (CSV)",
            lambda: dispersion_csv(view.band),
            f"{stem}_dispersion.csv",
            "text/csv",
            on_click="ignore",
            key="download_stack_csv",
            icon=":material/download:",
            disabled=bool(missing),
            help=missing or "Energy, wave vector of the ring and its standard deviation, one line a layer.",
        )
