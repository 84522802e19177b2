"""What a file may declare before anything is allocated for it."""

from __future__ import annotations

from math import prod

from qpi_core.errors import InputError

MAX_VALUES = 2**28
"""Largest number of values (layers x height x width, all channels) that one file may declare: 1 GiB as float32."""

MAX_FILE_BYTES = 2**32
"""Largest file that is read into memory."""

MIN_SIDE = 4
"""Smallest height and width of a map, in pixels."""

_ALWAYS_ALLOCATED = 2**24
_LEAST_FILLED = 16


def require_plausible_size(name: str, sides: tuple[int, ...], held_values: int | None = None) -> None:
    """Refuse a declared size that is impossible, too large, or far beyond what the file holds.

    Args:
        name: the file's name, for the message.
        sides: declared lengths of all axes.
        held_values: how many values the file really holds, where that is known before reading.

    Raises:
        InputError: a side below 1, more than MAX_VALUES values, or a large array of which the file holds less than a sixteenth.
    """
    text = " x ".join(str(side) for side in sides)
    if min(sides) < 1:
        raise InputError(f"{name} declares a size of {text}; every side must be at least 1, so the file is damaged.")
    if prod(sides) > MAX_VALUES:
        raise InputError(f"{name} declares {text} values, more than the {MAX_VALUES} that are read; crop or resample the map.")
    if held_values is not None and prod(sides) > _ALWAYS_ALLOCATED and held_values * _LEAST_FILLED < prod(sides):
        raise InputError(f"{name} declares {text} values but holds only {held_values}; the file is cut off or damaged, so export it again.")
