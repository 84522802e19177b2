"""What a file may declare before anything is allocated for it."""

from __future__ import annotations

from math import prod

from qpi_core.base.errors import InputError

MAX_VALUES = 2**28
"""Largest number of values (layers x height x width, all channels) that one file may declare: 1 GiB as float32."""

MAX_FILE_BYTES = 2**32
"""Largest file that is read into memory."""

MIN_SIDE = 4
"""Smallest height and width of a map, in pixels."""

_ALWAYS_ALLOCATED = 2**24
_LEAST_FILLED = 16
_ALWAYS_UNPACKED = 2**26
_MOST_PACKED = 50


def plausible_unpacked_bytes(packed_bytes: int) -> int:
    """Return the most that a measurement may unpack to: 64 MiB, or 50 times what it takes in the file."""
    return max(_ALWAYS_UNPACKED, _MOST_PACKED * packed_bytes)


def require_plausible_packing(name: str, unpacked_bytes: int, packed_bytes: int) -> None:
    """Refuse compressed data that would unpack to far more than any measurement does: a few bytes can stand for gigabytes.

    Args:
        name: the file's name, for the message.
        unpacked_bytes: what the data would take.
        packed_bytes: what they take in the file.

    Raises:
        InputError: more than 64 MiB, and more than 50 times what is in the file.
    """
    if unpacked_bytes > plausible_unpacked_bytes(packed_bytes):
        raise InputError(
            f"{name} would unpack from {packed_bytes} bytes to {unpacked_bytes // 2**20} MiB, which no measurement does; "
            "it is empty or damaged, so export the map again."
        )


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
