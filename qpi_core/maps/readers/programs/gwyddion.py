"""Gwyddion's own files (.gwy): data fields as channels, bricks as stacks; reading and writing.

Format: https://gwyddion.net/documentation/user-guide-en/gwyfile-format.html. Read here, not with a library, so that every length
is checked before it is used.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size
from qpi_core.maps.channel_parts import content_of_parts
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded, unique_name
from qpi_core.maps.readers.shared.two_statements import two_energies
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.scan_map import MapArray, MapContent

GWY_MAGIC = b"GWYP"
_MAX_DEPTH = 20
_SCALARS = {b"b": "<?", b"c": "<c", b"i": "<i", b"q": "<q", b"d": "<d"}
_ARRAYS = {b"C": "u1", b"I": "<i4", b"Q": "<i8", b"D": "<f8"}
_NM_PER_M = 1e9


class _DamagedError(Exception):
    """The bytes do not follow the format."""


@dataclass(frozen=True)
class _Object:
    """One serialised object: its type name and its components."""

    kind: str
    parts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Field:
    """A data field or a brick as a channel; see ChannelPart."""

    title: str
    unit: str
    values: MapArray
    bias_mv: NDArray[np.float64] | None
    pixel_size_nm: tuple[float, float] | None
    angle_deg: float = 0.0


def read_gwy(content: bytes, name: str) -> MapContent:
    """Read the data fields of a .gwy file as channels and its bricks as stacks; masked-out pixels are kept.

    Fields of one size are channels of one map, those of other sizes maps of their own. A brick's z axis in V is taken as the bias.

    Raises:
        InputError: damaged, or without a data field.
    """
    try:
        container, _ = _object(content, len(GWY_MAGIC), len(content), 0)
    except (_DamagedError, struct.error, UnicodeDecodeError) as error:
        raise InputError(f"{name} is cut off or damaged: it is not a complete Gwyddion file. Save it again.") from error
    fields: list[_Field] = []
    said: list[str] = []
    for key, part in sorted(container.parts.items(), key=lambda item: _number(item[0])):
        if isinstance(part, _Object) and (re.fullmatch(r"/\d+/data", key) or re.fullmatch(r"/brick/\d+", key)):
            title = unique_name(str(container.parts.get(f"{key}/title", "") or key), {field.title for field in fields})
            fields.append(_field(part, title, f"{key} in {name}"))
            said += _about_energies(part, title)
    if not fields:
        raise InputError(f"{name} holds no image data; a Gwyddion file needs at least one data field or volume.")
    return replace(content_of_parts(fields), warnings=tuple(said))


def write_gwy(
    layers: Mapping[str, ArrayLike],
    pixel_size_nm: float | tuple[float, float],
    units: Mapping[str, str] | None = None,
    path: str | PathLike[str] | None = None,
) -> bytes:
    """Return a .gwy file with one channel a layer, and write it where a path is given.

    Args:
        layers: title to (height, width) array; NaN pixels become the layer's mean and are masked, as Gwyddion has no NaN.
        pixel_size_nm: (dy, dx) of all layers.
        units: title to SI unit of the values.
        path: file to write, or None.
    """
    dy, dx = require_pixel_size(pixel_size_nm)
    parts: list[bytes] = []
    for number, (title, layer) in enumerate(layers.items()):
        data = np.asarray(layer, dtype=np.float64)
        if data.ndim != 2 or not np.isfinite(data).any():
            raise InputError(f"layer {title!r} has shape {data.shape}; a layer (height, width) with measured pixels is needed.")
        missing = ~np.isfinite(data)
        filled = np.where(missing, data[~missing].mean(), data)
        unit = (units or {}).get(title, "")
        parts.append(_packed_object(f"/{number}/data", "GwyDataField", _field_parts(filled, dy, dx, unit)))
        parts.append(_packed(f"/{number}/data/title", b"s", title.replace("\0", "").encode() + b"\0"))
        if missing.any():
            parts.append(_packed_object(f"/{number}/mask", "GwyDataField", _field_parts(missing.astype(np.float64), dy, dx, "")))
    body = b"".join(parts)
    content = GWY_MAGIC + b"GwyContainer\0" + struct.pack("<I", len(body)) + body
    if path is not None:
        Path(path).write_bytes(content)
    return content


def _object(data: bytes, start: int, end: int, depth: int) -> tuple[_Object, int]:
    """Return the object that begins at start and where it ends."""
    if depth > _MAX_DEPTH:
        raise _DamagedError
    kind, start = _string(data, start, end)
    (size,) = struct.unpack_from("<I", data, start)
    start += 4
    if start + size > end:
        raise _DamagedError
    stop = start + size
    parts: dict[str, Any] = {}
    while start < stop:
        key, start = _string(data, start, stop)
        parts[key], start = _component(data, start, stop, depth)
    return _Object(kind, parts), stop


def _component(data: bytes, start: int, stop: int, depth: int) -> tuple[Any, int]:
    """Return the value of a component, whose type letter is at start, and where it ends."""
    letter, start = data[start : start + 1], start + 1
    if letter in _SCALARS:
        size = struct.calcsize(_SCALARS[letter])
        if start + size > stop:
            raise _DamagedError
        return struct.unpack_from(_SCALARS[letter], data, start)[0], start + size
    if letter == b"s":
        return _string(data, start, stop)
    if letter == b"o":
        return _object(data, start, stop, depth + 1)
    if start + 4 > stop:
        raise _DamagedError
    (count,) = struct.unpack_from("<I", data, start)
    start += 4
    if letter in _ARRAYS:
        dtype = np.dtype(_ARRAYS[letter])
        if start + count * dtype.itemsize > stop:
            raise _DamagedError
        return np.frombuffer(data, dtype, count=count, offset=start), start + count * dtype.itemsize
    if letter not in (b"S", b"O") or count > stop - start:
        raise _DamagedError
    items: list[Any] = []
    for _ in range(count):
        item, start = _string(data, start, stop) if letter == b"S" else _object(data, start, stop, depth + 1)
        items.append(item)
    return items, start


def _string(data: bytes, start: int, stop: int) -> tuple[str, int]:
    end = data.find(b"\0", start, stop)
    if end < 0:
        raise _DamagedError
    return decoded(data[start:end]), end + 1


def _field(part: _Object, title: str, name: str) -> _Field:
    stack = _stack(part, name)
    unit = _unit(part, "si_unit_w" if part.kind == "GwyBrick" else "si_unit_z")
    return _Field(title, unit, stack, _bias(part, len(stack)) if len(stack) > 1 else None, _pixel_size(part, stack.shape))


def _about_energies(part: _Object, title: str) -> tuple[str, ...]:
    """Return a sentence where a brick's calibration of its levels does not agree with their even spacing."""
    layers = part.parts.get("zres")
    if not isinstance(layers, int) or layers < 2:
        return ()
    calibrated, even = _calibration_mv(part, layers), _even_mv(part, layers)
    if calibrated is None or even is None:
        return ()
    return two_energies(f"the calibration of the levels of {title!r}", calibrated, "their even spacing", even)


def _stack(part: _Object, name: str) -> MapArray:
    """Return the values of a data field or brick as (layers, height, width), first row on top."""
    sides = tuple(part.parts.get(key, 0 if key != "zres" else 1) for key in ("zres", "yres", "xres"))
    data = part.parts.get("data")
    if not all(isinstance(side, int) for side in sides) or not isinstance(data, np.ndarray):
        raise InputError(f"{name} has no size or no values; the file is damaged, so save it again.")
    require_plausible_size(name, sides)
    if data.size != np.prod(sides):
        raise InputError(
            f"{name} declares {' x '.join(map(str, sides))} values but holds {data.size}; the file is damaged, so save it again."
        )
    stack: MapArray = data.astype(np.float64).reshape(sides)
    return stack


def _pixel_size(part: _Object, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Return (dy, dx) in nm where the lateral unit is a length: Gwyddion writes m, other programs also nm."""
    factor = nm_per_unit(_unit(part, "si_unit_xy") or _unit(part, "si_unit_x"))
    real = [part.parts.get(key) for key in ("yreal", "xreal")]
    if np.isnan(factor) or not all(isinstance(side, float) for side in real):
        return None
    return float(real[0] or 0) / shape[1] * factor, float(real[1] or 0) / shape[2] * factor


def _bias(part: _Object, layers: int) -> NDArray[np.float64] | None:
    """Return the energies in mV of a brick: those of its calibration, or else those of its z axis in V; None where it has none."""
    calibrated = _calibration_mv(part, layers)
    return _even_mv(part, layers) if calibrated is None else calibrated


def _calibration_mv(part: _Object, layers: int) -> NDArray[np.float64] | None:
    """Return the energies of a brick whose levels are unevenly spaced: Gwyddion keeps them as a line, one number a level."""
    lines = part.parts.get("calibration")
    line = lines[0] if isinstance(lines, list) and lines else lines
    data = line.parts.get("data") if isinstance(line, _Object) else None
    if not isinstance(line, _Object) or not isinstance(data, np.ndarray) or data.size != layers:
        return None
    # The line's values have the unit of its y axis; the brick's z axis stands in where it has none.
    factor = mv_per_unit(_unit(line, "si_unit_y") or _unit(part, "si_unit_z"))
    return None if np.isnan(factor) else np.asarray(data.astype(np.float64) * factor)


def _even_mv(part: _Object, layers: int) -> NDArray[np.float64] | None:
    """Return the energies in mV of a brick whose z axis is in V (level k at zoff + k zreal / zres), else None."""
    step, offset = part.parts.get("zreal"), part.parts.get("zoff", 0.0)
    factor = mv_per_unit(_unit(part, "si_unit_z"))
    if np.isnan(factor) or not isinstance(step, float) or not isinstance(offset, float):
        return None
    return (offset + np.arange(layers) * step / layers) * factor


def _unit(part: _Object, key: str) -> str:
    unit = part.parts.get(key)
    return str(unit.parts.get("unitstr", "")) if isinstance(unit, _Object) else ""


def _number(key: str) -> tuple[int, int]:
    match = re.search(r"\d{1,9}", key)
    return (1 if key.startswith("/brick") else 0, int(match[0]) if match else 0)


def _field_parts(data: MapArray, dy: float, dx: float, unit: str) -> bytes:
    height, width = data.shape
    numbers = [_packed("xres", b"i", struct.pack("<i", width)), _packed("yres", b"i", struct.pack("<i", height))]
    for key, value in (("xreal", dx * width), ("yreal", dy * height)):
        numbers.append(_packed(key, b"d", struct.pack("<d", value / _NM_PER_M)))
    for key, text in (("si_unit_xy", "m"), ("si_unit_z", unit)):
        numbers.append(_packed_object(key, "GwySIUnit", _packed("unitstr", b"s", text.encode() + b"\0")))
    numbers.append(_packed("data", b"D", struct.pack("<I", data.size) + data.astype("<f8").tobytes()))
    return b"".join(numbers)


def _packed(key: str, letter: bytes, value: bytes) -> bytes:
    return key.encode() + b"\0" + letter + value


def _packed_object(key: str, kind: str, body: bytes) -> bytes:
    return _packed(key, b"o", kind.encode() + b"\0" + struct.pack("<I", len(body)) + body)
