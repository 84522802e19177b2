"""Channels of one file that differ in size: those of the size that is shown, and the others, each of which can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.readers.shared.names import unique_name
from qpi_core.maps.scan_map import MapArray, MapContent


class ChannelPart(Protocol):
    """One channel as a reader finds it."""

    @property
    def title(self) -> str:
        """Return its full name."""

    @property
    def unit(self) -> str:
        """Return the unit of its values, "" where there is none."""

    @property
    def values(self) -> MapArray:
        """Return (layers, height, width)."""

    @property
    def bias_mv(self) -> NDArray[np.float64] | None:
        """Return (layers,) energies, None where they are not known."""

    @property
    def pixel_size_nm(self) -> tuple[float, float] | None:
        """Return (dy, dx), None where it is not known."""

    @property
    def angle_deg(self) -> float:
        """Return the rotation of the frame, degrees clockwise."""


def content_of_parts(parts: Sequence[ChannelPart], notes: Sequence[str] = ()) -> MapContent:
    """Return the channels that fit the largest stack, or the largest image where there is none; the others are contents of their own.

    Channels fit together when they have one height, width and pixel size (or do not say), and as many layers as the largest, or one.

    Args:
        parts: at least one.
        notes: plain sentences of the reader.
    """
    contents: list[MapContent] = []
    rest = list(parts)
    while rest:
        largest = max(rest, key=lambda part: (len(part.values) > 1, part.values.size, part.pixel_size_nm is not None))
        fitting = [part for part in rest if _fits(part, largest)]
        rest = [part for part in rest if not _fits(part, largest)]
        contents.append(_content(fitting, largest))
    first, *others = contents
    return replace(first, notes=tuple(notes), others=tuple(others))


def _fits(part: ChannelPart, largest: ChannelPart) -> bool:
    same = part.values.shape[1:] == largest.values.shape[1:] and part.pixel_size_nm in (None, largest.pixel_size_nm)
    return same and len(part.values) in (1, len(largest.values))


def _content(parts: Sequence[ChannelPart], largest: ChannelPart) -> MapContent:
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    own: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        title = unique_name(part.title, values)
        values[title], units[title] = part.values, part.unit
        if part.bias_mv is not None and len(part.bias_mv) == len(part.values) and not _same(part.bias_mv, largest.bias_mv):
            own[title] = part.bias_mv
    return MapContent(values, units, largest.bias_mv, largest.pixel_size_nm, largest.angle_deg, channel_bias_mv=own)


def _same(some: NDArray[np.float64], others: NDArray[np.float64] | None) -> bool:
    return others is not None and np.array_equal(some, others, equal_nan=True)


_MOST_LISTED = 12


def with_channel(content: MapContent, channel: str | None) -> MapContent:
    """Return the part of a content that holds a channel, with the parts of other sizes beside it; the content itself where none does."""
    parts = (content, *content.others)
    chosen = next((part for part in parts if channel in part.values), content)
    if chosen is content:
        return content
    others = tuple(replace(part, others=()) for part in parts if part is not chosen)
    return replace(chosen, metadata=content.metadata, notes=content.notes, warnings=content.warnings, others=others)


def say_what_else_there_is(content: MapContent) -> str:
    """Return a sentence that names the channels of other sizes, "" where there are none."""
    named = [f"{title!r} ({stack.shape[2]} x {stack.shape[1]} px)" for other in content.others for title, stack in other.values.items()]
    if not named:
        return ""
    more = f" and {len(named) - _MOST_LISTED} more" if len(named) > _MOST_LISTED else ""
    height, width = next(iter(content.values.values())).shape[1:]
    listed = ", ".join(named[:_MOST_LISTED]) + more
    return f"Taken are the channels of {width} x {height} px. Of another size, and loaded when named (load_map, --channel): {listed}."
