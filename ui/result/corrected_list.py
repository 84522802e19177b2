"""A list of defects that was repaired where the data contradict the given one: put together from all classes, and taken over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.result.moved_positions import STALE
from ui.state.workspace import Workspace
from ui.widgets import texts

CorrectedList = tuple[NDArray[np.float64], tuple[str, ...] | None]
"""Positions, (n, 2) px, and the class of each; None where there is one kind only."""


class Listed(Protocol):
    """A result with the defects of its class as given, and what was changed in their list in its provenance."""

    @property
    def positions(self) -> NDArray[np.float64]:
        """(n, 2) px."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Where it came from."""


def corrected_list(found: Mapping[str, Listed]) -> CorrectedList | None:
    """Return the list of all classes as it was repaired, class -> result; None where nothing was changed."""
    if not any("list_repair" in one.provenance for one in found.values()):
        return None
    points = [
        np.asarray(one.provenance["list_repair"]["positions_px"] if "list_repair" in one.provenance else one.positions, dtype=np.float64)
        for one in found.values()
    ]
    labels = tuple(name for name, own in zip(found, points, strict=True) for _ in own)
    return np.concatenate([own.reshape(-1, 2) for own in points]), labels if len(found) > 1 else None


def adopt_corrected_list(space: Workspace, listed: CorrectedList, again: Callable[[], None]) -> None:
    """Put a corrected list in place of the marks, which Undo above the map brings back, and have the kernels solved again."""
    space.defects.replace(listed[0], "repaired", listed[1])
    again()


def offer_corrected_list(space: Workspace, marks: NDArray[np.float64], listed: CorrectedList, again: Callable[[], None]) -> None:
    """Show the button; marks, (n, 2) px, are those that were asked about."""
    if np.array_equal(space.defects.points, listed[0]):
        return
    stale = not np.array_equal(space.defects.points, marks)
    st.button(
        texts.ADOPT_LIST,
        key="adopt_corrected_list",
        icon=":material/rule:",
        on_click=lambda: adopt_corrected_list(space, listed, again),
        disabled=stale,
        help=STALE if stale else texts.TAKE_OVER,
    )
