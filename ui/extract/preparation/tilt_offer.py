"""A tilted map gives a kernel that follows the tilt: the page says so and offers to subtract the plane with one click."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.state.loaders import PreparedLayer
from ui.state.preparation_state import PreparationState

_MOST_TILT = 0.5


def show_tilt_offer(state: PreparationState, layer: PreparedLayer) -> None:
    """Offer to subtract the plane where it makes up most of the layer and no levelling was chosen."""
    if any(step["step"] == "level" for step in state.steps):
        return
    share = _tilt_share(layer.sha256, layer.values)
    if share <= _MOST_TILT:
        return
    # Rounded down: a map that holds a pattern is never all tilt.
    st.caption(
        f":orange[:material/warning:] {np.floor(1000 * share) / 10:g} % of this map's variance is tilt, which the kernel would follow."
    )
    st.button(
        "Subtract the plane",
        key="prepare_plane",
        width="stretch",
        on_click=lambda: state.change([*state.steps, {"step": "level", "kind": "plane"}]),
        help="Adds the step to the preparation, where it can be taken back.",
    )


@st.cache_data(max_entries=12, scope="session", show_spinner=False)
def _tilt_share(sha256: str, _values: NDArray[np.float32]) -> float:
    from qpi_core.maps.preparation.levelling import tilt_share

    return tilt_share(_values)
