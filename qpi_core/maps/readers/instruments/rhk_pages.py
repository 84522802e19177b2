"""Pages of an RHK file (.sm4): objects (type, offset, size) of nested tables point to their headers, texts and 32-bit integers.

Layout after Gwyddion's import module and spym, the public readers of the format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.readers.shared.limits import require_plausible_size

IMAGE, LINES = 0, 1
_IV_SPECTRUM = 7
_HEADER_BYTES = 58
_PAGE_HEADER = struct.Struct("<2xH8xI8xII4xI16x11f12xI64x")
_INDEX_ENTRY = struct.Struct("<16xIIII")
_OBJECT = struct.Struct("<III")
_PLACE = struct.Struct("<7f")
_PAGE_INDEX_HEADER, _PAGE_INDEX_ARRAY, _PAGE_HEADER_OBJECT, _PAGE_DATA, _PLACES, _STRINGS = 1, 2, 3, 4, 8, 10
_MAX_OBJECTS = 10_000
LABEL, X_UNIT, Y_UNIT, Z_UNIT = 0, 7, 8, 9
"""Places of a page's texts."""


class DamagedPagesError(Exception):
    """The bytes do not follow the format."""


class PageHeader(NamedTuple):
    """The entries of a page's header that matter here, in the file's order."""

    strings: int
    line_type: int
    width: int
    height: int
    direction: int
    x_scale: float
    y_scale: float
    z_scale: float
    xy_scale: float
    x_offset: float
    y_offset: float
    z_offset: float
    period: float
    bias_v: float
    current: float
    angle_deg: float
    objects: int


@dataclass(frozen=True, eq=False)
class RhkPage:
    """One page.

    Attributes:
        data_type: IMAGE, or LINES for current-voltage spectra.
        header: its numbers.
        texts: label, units ..., "" where missing.
        values: (height, width) as stored, in the page's unit; of spectra (spectra, points). NaN where the file ends.
        empty: (height,), whether a line holds no count at all.
        places: (spectra, 2) x and y of each spectrum in m, None where the page does not say.
    """

    data_type: int
    header: PageHeader
    texts: list[str]
    values: NDArray[np.float64]
    empty: NDArray[np.bool_]
    places: NDArray[np.float64] | None


def rhk_pages(content: bytes, name: str) -> Iterator[RhkPage]:
    """Yield the pages of images and of current-voltage spectra.

    Raises:
        DamagedPagesError, struct.error: the tables cannot be followed.
        InputError: a size that the file cannot hold.
    """
    total = 0
    for data_type, objects in _tables(content):
        if data_type not in (IMAGE, LINES):
            continue
        start, _ = _place(objects, _PAGE_HEADER_OBJECT)
        header = PageHeader(*_PAGE_HEADER.unpack_from(content, start))
        if data_type == LINES and header.line_type != _IV_SPECTRUM:
            continue
        require_plausible_size(name, (header.height, header.width), len(content) // 4)
        total += header.height * header.width
        require_plausible_size(name, (total,), len(content) // 4)
        inner, _ = _objects(content, start + _PAGE_HEADER.size, header.objects)
        texts = _texts(content, inner.get(_STRINGS, (0, 0)), header.strings)
        counts = _counts(content, _place(objects, _PAGE_DATA), header)
        values = counts * header.z_scale + header.z_offset
        yield RhkPage(data_type, header, texts, values, ~((counts != 0) & np.isfinite(counts)).any(axis=1), _places(content, inner, header))


def _tables(content: bytes) -> Iterator[tuple[int, dict[int, tuple[int, int]]]]:
    """Yield (data type, {object type: (offset, size)}) of every page."""
    (count,) = struct.unpack_from("<I", content, 42)
    objects, _ = _objects(content, _HEADER_BYTES, count)
    index, _ = _place(objects, _PAGE_INDEX_HEADER)
    page_count, count = struct.unpack_from("<II", content, index)
    tables, _ = _objects(content, index + 16, count)
    place, _ = _place(tables, _PAGE_INDEX_ARRAY)
    if page_count > len(content) // _INDEX_ENTRY.size:
        raise DamagedPagesError
    for _ in range(page_count):
        data_type, _, count, _ = _INDEX_ENTRY.unpack_from(content, place)
        objects, place = _objects(content, place + _INDEX_ENTRY.size, count)
        yield data_type, objects


def _objects(content: bytes, start: int, count: int) -> tuple[dict[int, tuple[int, int]], int]:
    """Return {type: (offset, size)} of the first object of each type in a table, and where the table ends."""
    if count > _MAX_OBJECTS:
        raise DamagedPagesError
    found: dict[int, tuple[int, int]] = {}
    for number in range(count):
        kind, offset, size = _OBJECT.unpack_from(content, start + number * _OBJECT.size)
        if offset and size:
            found.setdefault(kind, (offset, size))
    return found, start + count * _OBJECT.size


def _place(objects: dict[int, tuple[int, int]], kind: int) -> tuple[int, int]:
    if kind not in objects:
        raise DamagedPagesError
    return objects[kind]


def _counts(content: bytes, data: tuple[int, int], header: PageHeader) -> NDArray[np.float64]:
    count = header.height * header.width
    held = min(max(len(content) - data[0], 0) // 4, data[1] // 4, count)
    counts = np.full(count, np.nan)
    counts[:held] = np.frombuffer(content, "<i4", count=held, offset=data[0] if held else 0)
    return counts.reshape(header.height, header.width)


def _places(content: bytes, objects: dict[int, tuple[int, int]], header: PageHeader) -> NDArray[np.float64] | None:
    """Return where the spectra were taken: time, x, y and four drifts of each; the object states the size of the first alone."""
    if _PLACES not in objects or objects[_PLACES][0] + _PLACE.size * header.height > len(content):
        return None
    table = np.frombuffer(content, "<f4", count=7 * header.height, offset=objects[_PLACES][0]).reshape(-1, 7)
    return table[:, 1:3].astype(np.float64)


def _texts(content: bytes, place: tuple[int, int], count: int) -> list[str]:
    """Return the page's texts (length in characters, then UTF-16), "" for those that are missing."""
    texts: list[str] = []
    start, end = place[0], min(place[0] + place[1], len(content))
    while len(texts) < count and start + 2 <= end:
        (length,) = struct.unpack_from("<H", content, start)
        text = content[start + 2 : min(start + 2 + 2 * length, end)].decode("utf-16-le", errors="replace")
        texts.append(text.rstrip("\0").strip())
        start += 2 + 2 * length
    return texts + [""] * (Z_UNIT + 1 - len(texts))
