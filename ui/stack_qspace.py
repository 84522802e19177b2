"""The q-space view of one layer of a stack, beside the layer itself."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.qspace_panel import show_qspace
from ui.qspace_subject import QSpaceSubject
from ui.stack_job import StackOutcome


@st.fragment
def show_layer_in_qspace(outcome: StackOutcome, index: int) -> None:
    """Show the section for a layer that has a kernel; a change of its controls reruns it alone."""
    estimate, track = outcome.estimate, outcome.band.track
    found = float("nan") if track is None else float(track.q[index])
    show_qspace(
        QSpaceSubject(
            estimate.kernels[index],
            estimate.pixel_size_nm,
            outcome.unit,
            estimate.weights,
            lambda: _layer(outcome, index),
            found if np.isfinite(found) else None,
        )
    )


def _layer(outcome: StackOutcome, index: int) -> NDArray[np.float32]:
    """Return the layer as the extraction saw it."""
    from qpi_core.maps.preparation import Preparation

    question = outcome.question
    prepared = Preparation.from_json(question.steps).apply_to_scan(question.scan, channel=question.channel, index=index)
    return np.asarray(prepared.values, dtype=np.float32)
