"""A second channel of the file beside the map: the height beside dI/dV, for example, with one zoom and one pointer for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.charts.colours import colour_limits
from ui.state.loaders import MOST_LAYERS, LoadedMap, array_hash
from ui.widgets import texts
from ui.widgets.picker import SecondPicture

if TYPE_CHECKING:
    from qpi_core.maps.preparation.coordinates import CoordinateMap
    from ui.extract.map.map_panel import MapView

_LIMITS = (0.5, 99.5)


def beside_key(loaded: LoadedMap) -> str:
    """Return the key of the control of a map."""
    return f"beside_{loaded.sha256[:12]}"


def choose_beside(loaded: LoadedMap, channel: str) -> None:
    """Show which other channel stands beside the map, where the file has another one."""
    others = [name for name in loaded.scan.channels if name != channel]
    key = beside_key(loaded)
    if st.session_state.get(key, others[0] if others else None) not in others:
        st.session_state[key] = None  # the channel that stood beside the map is the map now
    if others:
        st.selectbox("Beside it", others, index=None, key=key, help=texts.BESIDE, placeholder="no second channel", persist_state="session")


def second_picture(loaded: LoadedMap, view: MapView) -> SecondPicture | None:
    """Return the chosen channel at the map's own pixels, None where none is chosen.

    The steps of the preparation that move pixels are followed, so that both pictures show one place; its values are those of the file.
    """
    channel = st.session_state.get(beside_key(loaded))
    if channel is None or channel not in loaded.scan.channels or view.layer.prepared is None:
        return None
    stack = loaded.scan.stack(channel)
    layer = view.index if len(stack) == len(loaded.scan.stack(view.channel)) else 0
    values = _moved(loaded.token, channel, layer, view.layer.sha256, stack, view.layer.prepared.coordinates, view.layer.values.shape)
    return SecondPicture(channel, values, array_hash(values), loaded.scan.unit(channel), colour_limits(values, _LIMITS))


@st.cache_data(max_entries=MOST_LAYERS, scope="session", show_spinner=False)
def _moved(
    token: str, channel: str, layer: int, prepared: str, _stack: Any, _coordinates: CoordinateMap, shape: tuple[int, int]
) -> NDArray[np.float32]:
    return values_at(np.asarray(_stack[layer], dtype=np.float32), _coordinates, shape)


def values_at(raw: NDArray[np.float32], coordinates: CoordinateMap, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a raw layer at the pixels of a prepared one, (height, width): the nearest pixel's value, NaN outside of the raw layer."""
    rows, columns = np.indices(shape)
    places = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    x, y = np.rint(coordinates.backward(places)).T.astype(int)
    inside = (x >= 0) & (y >= 0) & (x < raw.shape[1]) & (y < raw.shape[0])
    found = np.full(len(places), np.nan, dtype=np.float32)
    found[inside] = raw[y[inside], x[inside]]
    return found.reshape(shape)
