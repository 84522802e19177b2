"""RHK files (.sm4): pages of 32-bit integers that objects (type, offset, size) of nested tables point to.

Layout after Gwyddion's import module and spym, the readers that are public; like Gwyddion, every image is mirrored in x, and its first
row is the bottom of the frame where the scale of y is positive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qpi_core.errors import InputError
from qpi_core.maps.limits import require_plausible_size
from qpi_core.maps.names import unique_name
from qpi_core.maps.scan_map import MapArray, MapContent

RHK_MARK = "STiMage 005.".encode("utf-16-le")
"""Begins at the third byte of a .sm4 file."""

_HEADER_BYTES = 58
_PAGE_HEADER = struct.Struct("<2xH20xII4xI16x11f12xI64x")
_INDEX_ENTRY = struct.Struct("<16xIIII")
_OBJECT = struct.Struct("<III")
_PAGE_INDEX_HEADER, _PAGE_INDEX_ARRAY, _PAGE_HEADER_OBJECT, _PAGE_DATA, _STRINGS = 1, 2, 3, 4, 10
_IMAGE = 0
_DIRECTIONS = ("", " [bwd]", " [up]", " [down]")
_LABEL, _X_UNIT, _Y_UNIT, _Z_UNIT = 0, 7, 8, 9
_NM_PER_UNIT = {"m": 1e9, "nm": 1.0, "pm": 1e-3, "um": 1e3, "µm": 1e3, "a": 0.1, "å": 0.1}
_MAX_OBJECTS = 10_000


class _DamagedError(Exception):
    """The bytes do not follow the format."""


class _Header(NamedTuple):
    """The entries of a page's header that matter here, in the file's order."""

    strings: int
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


@dataclass(frozen=True)
class _Image:
    """One image page: its channel's name, its values with the top of the frame first, what its header says."""

    title: str
    unit: str
    values: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    bias_mv: float
    angle_deg: float


def is_rhk(content: bytes) -> bool:
    """Say whether the content begins as a .sm4 file."""
    return content[2 : 2 + len(RHK_MARK)] == RHK_MARK


def read_rhk(content: bytes, name: str) -> MapContent:
    """Read the image pages: each is a channel; pages of one name that were measured at different bias are a stack in the file's order.

    Pages of another size than the largest are left out with a note. Rows at the end of the scan that hold no count are NaN.

    Raises:
        InputError: damaged, or without an image (spectra at points are no map).
    """
    try:
        pages = list(_pages(content))
        images = _images(content, pages, name)
    except (_DamagedError, struct.error) as error:
        raise InputError(f"{name} is cut off or damaged: its tables of RHK pages cannot be followed. Copy it again.") from error
    if not images:
        raise InputError(f"{name} holds no image: its {len(pages)} pages are spectra or lines. Load the file of the scan.")
    shape = max((image.values.shape for image in images), key=lambda sides: sides[0] * sides[1])
    fitting = [image for image in images if image.values.shape == shape]
    notes = [f"{len(images) - len(fitting)} images of another size were left out."] if len(fitting) < len(images) else []
    values, units, bias = _channels(fitting)
    return MapContent(
        values=values,
        units=units,
        bias_mv=bias,
        pixel_size_nm=fitting[0].pixel_size_nm,
        angle_deg=fitting[0].angle_deg,
        notes=tuple(notes),
    )


def _channels(images: list[_Image]) -> tuple[dict[str, MapArray], dict[str, str], NDArray[np.float64]]:
    """Return values, units and energies: images of one title at different bias become a stack, others separate channels."""
    groups: dict[str, list[_Image]] = {}
    for image in images:
        groups.setdefault(image.title, []).append(image)
    stacks = {title: group for title, group in groups.items() if len({image.bias_mv for image in group}) == len(group) > 1}
    longest = max(stacks.values(), key=len, default=images[:1])
    energies = [image.bias_mv for image in longest]
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    for title, group in groups.items():
        whole = len(group) > 1 and [image.bias_mv for image in group] == energies
        for part in [group] if whole else [[image] for image in group]:
            unique = unique_name(title, values)
            values[unique], units[unique] = np.stack([image.values for image in part]), part[0].unit
    return values, units, np.array(energies)


def _pages(content: bytes) -> Iterator[tuple[int, dict[int, tuple[int, int]]]]:
    """Yield (data type, {object type: (offset, size)}) of every page."""
    (count,) = struct.unpack_from("<I", content, 42)
    objects, _ = _objects(content, _HEADER_BYTES, count)
    index, _ = _place(objects, _PAGE_INDEX_HEADER)
    page_count, count = struct.unpack_from("<II", content, index)
    tables, _ = _objects(content, index + 16, count)
    place, _ = _place(tables, _PAGE_INDEX_ARRAY)
    if page_count > len(content) // _INDEX_ENTRY.size:
        raise _DamagedError
    for _ in range(page_count):
        data_type, _, count, _ = _INDEX_ENTRY.unpack_from(content, place)
        objects, place = _objects(content, place + _INDEX_ENTRY.size, count)
        yield data_type, objects


def _objects(content: bytes, start: int, count: int) -> tuple[dict[int, tuple[int, int]], int]:
    """Return {type: (offset, size)} of the first object of each type in a table, and where the table ends."""
    if count > _MAX_OBJECTS:
        raise _DamagedError
    found: dict[int, tuple[int, int]] = {}
    for number in range(count):
        kind, offset, size = _OBJECT.unpack_from(content, start + number * _OBJECT.size)
        if offset and size:
            found.setdefault(kind, (offset, size))
    return found, start + count * _OBJECT.size


def _place(objects: dict[int, tuple[int, int]], kind: int) -> tuple[int, int]:
    if kind not in objects:
        raise _DamagedError
    return objects[kind]


def _images(content: bytes, pages: list[tuple[int, dict[int, tuple[int, int]]]], name: str) -> list[_Image]:
    images: list[_Image] = []
    total = 0
    for data_type, objects in pages:
        if data_type != _IMAGE:
            continue
        start, _ = _place(objects, _PAGE_HEADER_OBJECT)
        header = _Header(*_PAGE_HEADER.unpack_from(content, start))
        height, width = header.height, header.width
        require_plausible_size(name, (height, width), len(content) // 4)
        total += height * width
        require_plausible_size(name, (total,), len(content) // 4)
        inner, _ = _objects(content, start + _PAGE_HEADER.size, header.objects)
        strings = _strings(content, inner.get(_STRINGS, (0, 0)), header.strings)
        images.append(_image(content, _place(objects, _PAGE_DATA), header, strings))
    return images


def _image(content: bytes, data: tuple[int, int], header: _Header, strings: list[str]) -> _Image:
    height, width = header.height, header.width
    held = min(max(len(content) - data[0], 0) // 4, data[1] // 4, width * height)
    flat = np.full(width * height, np.nan)
    flat[:held] = np.frombuffer(content, "<i4", count=held, offset=data[0] if held else 0)
    counts = flat.reshape(height, width)
    scanned = np.flatnonzero(((counts != 0) & np.isfinite(counts)).any(axis=1))
    counts[scanned[-1] + 1 if scanned.size else 0 :] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # damaged scales may be infinite
        values = (counts * header.z_scale + header.z_offset)[:: -1 if header.y_scale > 0 else 1, ::-1]
        scale_nm = _NM_PER_UNIT.get((strings[_X_UNIT] or strings[_Y_UNIT]).replace("μ", "µ").lower(), np.nan)
        sizes = abs(header.y_scale) * scale_nm, abs(header.x_scale) * scale_nm
    unit = strings[_Z_UNIT]
    title = (strings[_LABEL] or "image") + (_DIRECTIONS[header.direction] if header.direction < len(_DIRECTIONS) else "")
    return _Image(
        title=f"{title} ({unit})" if unit else title,
        unit=unit,
        values=np.ascontiguousarray(values),
        pixel_size_nm=sizes if all(np.isfinite(size) and size > 0 for size in sizes) else None,
        bias_mv=header.bias_v * 1e3,
        angle_deg=header.angle_deg if np.isfinite(header.angle_deg) else 0.0,
    )


def _strings(content: bytes, place: tuple[int, int], count: int) -> list[str]:
    """Return the page's texts (length in characters, then UTF-16), "" for those that are missing."""
    texts: list[str] = []
    start, end = place[0], min(place[0] + place[1], len(content))
    while len(texts) < count and start + 2 <= end:
        (length,) = struct.unpack_from("<H", content, start)
        text = content[start + 2 : min(start + 2 + 2 * length, end)].decode("utf-16-le", errors="replace")
        texts.append(text.rstrip("\0").strip())
        start += 2 + 2 * length
    return texts + [""] * (_Z_UNIT + 1 - len(texts))
