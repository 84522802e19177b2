"""The q-space view of one layer of a stack, beside the layer itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.extraction.bands.band import Band
from qpi_core.qspace.dispersion.energy_map import EnergyMap, energy_map
from ui.charts.stack import EnergyLook, energy_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.ring import ring_kernel_of_layer
from ui.jobs.stack import StackOutcome, StackView
from ui.qspace.panel import Cut, show_qspace
from ui.qspace.ring import show_ring
from ui.qspace.subject import QSpaceSubject
from ui.stacks.layer_view import layer_values
from ui.state.workspace import Workspace


@st.fragment
def show_layer_in_qspace(space: Workspace, outcome: StackOutcome, view: StackView, index: int) -> None:
    """Show the section for a layer that has a kernel, the ring's signal to noise, and E(q) along its cut.

    A change of its controls reruns it alone.
    """
    estimate, track = view.estimate, view.band.track
    found = float("nan") if track is None else float(track.q[index])
    subject = QSpaceSubject(
        estimate.kernels[index],
        estimate.pixel_size_nm,
        view.unit,
        estimate.weights,
        lambda: layer_values(view, index),
        found if np.isfinite(found) else None,
    )
    shown = show_qspace(subject)
    if shown is None:
        return
    seen, cut = shown
    show_ring(space, ring_kernel_of_layer(outcome, view, index, layer_values(view, index)), subject, seen)
    if cut is None or estimate.usable.sum() < 2:
        return
    spectra = _cut_over_energy((*view.question.fingerprint(), view.name), estimate.done.tobytes(), seen.window, cut, view)
    title = f"E(q) along {math.degrees(cut[0]):.4g}°: |FFT| on the cut"
    length = "px" if estimate.pixel_size_nm is None else "nm"
    st.plotly_chart(
        energy_chart(spectra, Band(), "none", index, length, EnergyLook(title)),
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
