"""How sure each defect is that a search found in the map, for the dots in its marks."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.jobs.extraction import Outcome

NONE_SURE = np.zeros((0, 3))
CAPTION = (
    "Dots in the marks that were found: :green[green] at least 99 % sure, :orange[yellow] at least 80 %, :red[red] less, "
    "if kernel and other defects are right."
)


def sure_marks(outcome: Outcome | None, sha256: str) -> NDArray[np.float64]:
    """Return (n, 3) columns (x, y, probability) of the defects that a search on this layer found; n is 0 for any other result."""
    if outcome is None or outcome.question.view.layer.sha256 != sha256:
        return NONE_SURE
    record = outcome.estimate.provenance.get("blind") or {}
    probabilities = np.array(record.get("defect_probability", []), dtype=np.float64)
    if not len(probabilities) or len(probabilities) != len(outcome.estimate.positions):
        return NONE_SURE
    return np.column_stack([outcome.estimate.positions, probabilities])


def show_sure_caption(sure: NDArray[np.float64]) -> None:
    """Say what the dots mean where there are any."""
    if len(sure):
        st.caption(CAPTION)
