"""The q-space view of one layer of a stack, beside the layer itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.extraction.band import Band
from qpi_core.qspace.energy_map import EnergyMap, energy_map
from ui.charts.stack import energy_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackView
from ui.qspace.panel import Cut, show_qspace
from ui.qspace.subject import QSpaceSubject
from ui.stacks.layer_view import layer_values


@st.fragment
def show_layer_in_qspace(outcome: StackView, index: int) -> None:
    """Show the section for a layer that has a kernel, and E(q) along its cut; a change of its controls reruns it alone."""
    estimate, track = outcome.estimate, outcome.band.track
    found = float("nan") if track is None else float(track.q[index])
    shown = show_qspace(
        QSpaceSubject(
            estimate.kernels[index],
            estimate.pixel_size_nm,
            outcome.unit,
            estimate.weights,
            lambda: layer_values(outcome, index),
            found if np.isfinite(found) else None,
        )
    )
    if shown is None or shown[1] is None or estimate.usable.sum() < 2:
        return
    view, cut = shown[0], shown[1]
    spectra = _cut_over_energy((*outcome.question.fingerprint(), outcome.name), estimate.done.tobytes(), view.window, cut, outcome)
    title = f"E(q) along {math.degrees(cut[0]):.4g}°: |FFT| on the cut"
    length = "px" if estimate.pixel_size_nm is None else "nm"
    st.plotly_chart(
        energy_chart(spectra, Band(), "none", index, length, title=title),
        width="stretch",
        key="stack_cut_energies",
        config=PLOTLY_CONFIG,
        alt="Magnitude of the kernels' Fourier transforms along the cut, over wave vector and energy",
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _cut_over_energy(asked: tuple[Any, ...], done: bytes, window: str, cut: Cut, _outcome: StackView) -> EnergyMap:
    """Return E(q) along a cut; `asked` and `done` say which stack it is of."""
    estimate = _outcome.estimate
    return energy_map(estimate.kernels, estimate.bias_mv, estimate.pixel_size_nm, window, *cut)
