"""Left side of the Extract page: which map, which layer, how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from ui.autosave.recent import show_recent
from ui.charts.colours import COLOUR_MAPS, DIVERGING, TITLES, colour_limits
from ui.extract.map.beside import choose_beside
from ui.extract.preparation.preparation_panel import show_preparation
from ui.state.loaders import LoadedMap, PreparedLayer, example_map, loaded_file
from ui.state.map_change import go_back, show_carried, use_map
from ui.state.preparation_state import preparation_of
from ui.state.workspace import Workspace, workspace
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_number
from ui.widgets.controls.limits_control import Percentiles, show_limits
from ui.widgets.progress_steps import plain
from ui.widgets.upload import take_upload

if TYPE_CHECKING:
    from qpi_core.maps.preparation import Preparation

USUAL_LIMITS = (0.5, 99.5)


@dataclass(frozen=True)
class MapView:
    """The layer in use and how it is shown.

    Attributes:
        layer: prepared values with their hash.
        channel, index, bias_mv, preparation: how it came from the file; bias_mv is None where the file does not say.
        file_pixel_size_nm: (dy, dx) of the map, before its preparation, or None.
        pixel_size_nm: (dy, dx) after it, or None.
        unit: of the values.
        colours, limits: of the picture.
    """

    layer: PreparedLayer
    channel: str
    index: int
    bias_mv: float | None
    preparation: Preparation
    file_pixel_size_nm: tuple[float, float] | None
    pixel_size_nm: tuple[float, float] | None
    unit: str
    colours: str
    limits: tuple[float, float]


def take_file(space: Workspace, name: str, content: bytes) -> None:
    """Open an uploaded file: a map, or a session with everything in it.

    Raises:
        InputError: it can be read as neither.
    """
    from qpi_core.results.session.session_file import is_session, load_session

    if not is_session(content):
        use_map(space, loaded_file(name, content))
        return
    from ui.widgets.session_panel import open_session

    open_session(space, load_session(content, name))


def show_source(space: Workspace) -> None:
    """Show upload and example; a file that cannot be read leaves everything as it was."""

    def take(files: list[Any]) -> None:
        try:
            take_file(workspace(), files[0].name, files[0].getvalue())
        except InputError as error:
            workspace().problem = str(error)

    take_upload("Map", "map_upload", take, texts.MAP_FILE, type=None)
    st.button(
        "Try the example",
        icon=":material/play_arrow:",
        width="stretch",
        on_click=lambda: use_map(workspace(), example_map(), start=True),
        help="Loads a simulated map with its defects and extracts the kernel at once.",
        type="primary" if space.loaded is None else "secondary",
    )
    if space.previous is not None:
        st.button(
            "Back to the map before",
            key="back_to_map",
            icon=":material/undo:",
            width="stretch",
            type="tertiary",
            on_click=lambda: go_back(workspace()),
            help=f"With its defects, its settings and its result: {plain(space.previous.loaded.name)}",
        )
    show_recent(space)
    show_carried(space)
    if space.problem:
        st.error(plain(space.problem))


def choose_view(loaded: LoadedMap) -> MapView | None:
    """Show channel, energy, preparation, colours and limits, and return the layer they describe, None while it is prepared.

    Raises:
        InputError: the layer cannot be used.
    """
    from qpi_core.maps.preparation import Preparation

    scan = loaded.scan
    channels = list(scan.channels)
    channel = st.selectbox(
        "Channel",
        channels,
        index=channels.index(scan.default_channel),
        key=f"channel_{loaded.sha256[:12]}",
        help=texts.CHANNEL,
        persist_state="session",
    )
    choose_beside(loaded, channel)
    index, bias = _choose_energy(loaded, channel)
    pixel_size = _choose_pixel_size(loaded)
    space = workspace()
    layer = show_preparation(space, scan if pixel_size is None else scan.with_pixel_size(pixel_size), channel, index)
    colours, percentiles = _choose_colours()
    if layer is None:
        return None
    preparation = Preparation.from_json(preparation_of(space).steps)
    after = None if pixel_size is None else layer.prepared.pixel_size_nm
    limits = colour_limits(layer.values, percentiles, diverging=colours in DIVERGING)
    return MapView(layer, channel, index, bias, preparation, pixel_size, after, layer.prepared.unit, colours, limits)


def _choose_energy(loaded: LoadedMap, channel: str) -> tuple[int, float | None]:
    scan = loaded.scan
    count = len(scan.stack(channel))
    bias = [float(value) for value in scan.energies(channel)]
    known = bool(np.isfinite(bias).all())
    if count == 1:
        st.caption(f"One layer{f' at {bias[0]:.4g} mV' if known else ''}")
        return 0, bias[0] if known else None
    index = int(
        st.select_slider(
            "Energy (mV)" if known else "Layer",
            list(range(count)),
            format_func=lambda i: f"{bias[i]:.4g}" if known else str(i),
            key=f"energy_{loaded.sha256[:12]}_{count}",
            help=texts.ENERGY,
            persist_state="session",
        )
    )
    return index, bias[index] if known else None


def _choose_pixel_size(loaded: LoadedMap) -> tuple[float, float] | None:
    scan = loaded.scan
    if scan.pixel_size_known:
        return scan.pixel_size_nm
    width = bounded_number(
        "Width of the map (nm)",
        1e-3,
        1e6,
        usual=None,
        placeholder="not in the file",
        key=f"width_{loaded.sha256[:12]}",
        help=texts.MAP_WIDTH,
        persist_state="session",
    )
    return (float(width) / scan.shape[1],) * 2 if width else None


def _choose_colours() -> tuple[str, Percentiles]:
    colours = st.selectbox(
        "Colours", list(COLOUR_MAPS), format_func=TITLES.__getitem__, key="colours", help=texts.COLOURS, persist_state="session"
    )
    return colours, show_limits("limits", USUAL_LIMITS, texts.LIMITS)
