"""What stands under the map: its size, and what its reader found worth saying."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ui.state.loaders import LoadedMap
from ui.widgets import texts
from ui.widgets.progress_steps import plain

if TYPE_CHECKING:
    from ui.extract.map.map_panel import MapView

_MOST_NOTES = 3
_HEADER_HEIGHT = 220


def show_map_captions(loaded: LoadedMap, view: MapView) -> None:
    """Show one line about the layer in use, and one each for what the file's reader says; what to beware of stands out."""
    st.caption(describe_map(view), help=texts.PICKER)
    scan = loaded.scan if view.file_pixel_size_nm is None else loaded.scan.with_pixel_size(view.file_pixel_size_nm)
    chosen = None if view.channel == scan.default_channel else view.channel
    sentences = scan.sentences(chosen)
    for warning in (note for note in scan.warnings if f"Warning: {note}" in sentences):
        st.warning(plain(warning))
    notes = [plain(note) for note in scan.notes if note not in scan.warnings]
    if notes:
        rest = notes[_MOST_NOTES:]
        more = [f"{len(rest)} more under the question mark."] if rest else []
        st.caption("\n\n".join(notes[:_MOST_NOTES] + more), help="\n\n".join(rest) or None)
    if scan.metadata:
        _show_header(scan.metadata)


@st.fragment
def _show_header(header: Mapping[str, str]) -> None:
    """Show what the file's header says, for example set point, speed and date, with a search; its table is made when it is opened."""
    if not st.toggle("Header of the file", key="show_header", help=texts.FILE_HEADER):
        return
    wanted = st.text_input("Only lines with", key="header_search", placeholder="for example date", help=texts.HEADER_SEARCH).casefold()
    rows = [{"entry": name, "value": value.strip()} for name, value in header.items() if wanted in f"{name} {value}".casefold()]
    st.dataframe(rows, hide_index=True, width="stretch", height=_HEADER_HEIGHT, key="header_table")


def describe_map(view: MapView) -> str:
    """Return one line about the map: size, pixels, energy, what was not measured."""
    height, width = view.layer.values.shape
    parts = [f"{width} × {height} px"]
    if view.pixel_size_nm:
        dy, dx = view.pixel_size_nm
        parts.append(f"{width * dx:.4g} × {height * dy:.4g} nm")
    if view.bias_mv is not None:
        parts.append(f"{view.bias_mv:.4g} mV")
    measured = float(np.isfinite(view.layer.values).mean())
    if measured < 1:
        parts.append(f"{100 * measured:.1f} % measured")
    return " · ".join(parts)
