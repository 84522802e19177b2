"""Igor Pro binary waves (.ibw), version 5: a header of fixed layout, then the values, first dimension fastest, then units and labels.

Layout: WaveMetrics, Technical Note 003. Read here, not with a library, so that every length is checked before it is used. As in
Gwyddion, the first dimension is x, the second y, upwards.
"""

from __future__ import annotations

import re
import struct
from math import prod

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded, unique_name
from qpi_core.maps.readers.shared.two_statements import two_energies
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.scan_map import MapArray, MapContent

IGOR_MAGICS = (b"\x05\0", b"\0\x05")
_OLD_MAGICS = tuple(struct.pack(order + "h", version) for order in "<>" for version in (1, 2, 3))
_TYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 72: "u1", 80: "u2", 96: "u4"}
_HEADER_BYTES = 384
_LABEL_BYTES = 32
_LABEL_OF_ENERGY = re.compile(r"((?:[^-+0-9.]*[=_ ])?)([-+]?\d*\.?\d+(?:[eE][-+]?\d{1,2})?)\s*(m?V)")
_UNITS_OF_LABELS = {
    **dict.fromkeys(("height", "zsensor", "deflection", "amplitude", "z"), "m"),
    **{"phase": "deg", "current": "A", "frequency": "Hz", "capacitance": "F", "potential": "V", "voltage": "V", "bias": "V"},
}
"""Units of the layers that Asylum's instruments label; the wave itself has one unit only."""


def is_igor_wave(content: bytes) -> bool:
    """Say whether the first bytes are a wave's header: its 16-bit words add up to zero."""
    if len(content) < _HEADER_BYTES or not content.startswith(IGOR_MAGICS):
        return False
    order = "<" if content.startswith(b"\x05") else ">"
    return int(np.frombuffer(content, order + "u2", count=_HEADER_BYTES // 2).sum(dtype=np.uint64)) % 2**16 == 0


def old_igor_version(content: bytes) -> int | None:
    """Return 1, 2 or 3 where the content begins as a wave of that version, else None."""
    magic = next((magic for magic in _OLD_MAGICS if content.startswith(magic)), None)
    return None if magic is None else max(magic)


def read_igor(content: bytes, name: str) -> MapContent:
    """Read a wave of two dimensions as a map, of three as a stack of layers; a third axis in V is the bias. Missing values are NaN.

    Layers with labels are channels, unless the labels are voltages.

    Raises:
        InputError: text or complex numbers, fewer than two dimensions, or not one line of data.
    """
    order = "<" if content.startswith(b"\x05") else ">"
    if len(content) < _HEADER_BYTES:
        raise InputError(f"{name} is cut off: its Igor header is incomplete. Save it again.")
    declared = struct.unpack_from(order + "4i", content, 132)
    steps, starts = (struct.unpack_from(order + "4d", content, place) for place in (148, 180))
    sides = declared[: next((axis for axis, side in enumerate(declared) if side < 1), 4)]
    if len(sides) not in (2, 3):
        raise InputError(f"{name} is an Igor wave of {len(sides)} dimensions; a map needs 2 (x, y) or 3 (x, y, layers).")
    values = _values(content, order, sides, name)
    data_unit, *units, labels = _units_and_labels(content, order, len(values))
    title = _text(content, 92, 32) or "wave"
    of_axis, of_labels = _axis_mv(units[2], starts[2], steps[2], len(values)), _labels_mv(labels)
    bias = (of_labels if of_axis is None else of_axis) if len(sides) == 3 else None
    said: tuple[str, ...] = ()
    if of_axis is not None and of_labels is not None and len(sides) == 3:
        said = two_energies("the scale of the third dimension", of_axis, "the labels of its layers", of_labels)
    channels = _labelled(values, labels, data_unit) if labels and bias is None else {title: (values, data_unit)}
    pixel = [abs(steps[axis]) * nm_per_unit(units[axis]) for axis in (1, 0)]
    return MapContent(
        values={key: stack for key, (stack, _) in channels.items()},
        units={key: unit for key, (_, unit) in channels.items()},
        bias_mv=bias,
        pixel_size_nm=(pixel[0], pixel[1]) if all(np.isfinite(side) and side > 0 for side in pixel) else None,
        warnings=said,
    )


def _values(content: bytes, order: str, sides: tuple[int, ...], name: str) -> MapArray:
    """Return (layers, height, width), the largest y first."""
    (kind,) = struct.unpack_from(order + "h", content, 80)
    if kind not in _TYPES:
        raise InputError(f"{name} holds text or complex numbers (Igor type {kind}), but a map needs real numbers.")
    dtype = np.dtype(order + _TYPES[kind])
    held = min((len(content) - _HEADER_BYTES) // dtype.itemsize, prod(sides))
    require_plausible_size(name, sides, held)
    if held < sides[0]:
        raise InputError(f"{name} holds an Igor header but not one line of data; the file is cut off, so save it again.")
    exact_in_single = dtype.itemsize < 4 or dtype.str[1:] == "f4"
    flat = np.full(prod(sides), np.nan, dtype=np.float32 if exact_in_single else np.float64)
    flat[:held] = np.frombuffer(content, dtype, count=held, offset=_HEADER_BYTES)
    return np.ascontiguousarray(flat.reshape((*reversed(sides),)).reshape(-1, sides[1], sides[0])[:, ::-1])


def _units_and_labels(content: bytes, order: str, layers: int) -> tuple[str, str, str, str, str, list[str]]:
    """Return the unit of the values, those of the four dimensions, and the labels of the layers, [] where some have none.

    Units of up to three letters stand in the header; longer ones and the labels, 32 bytes each with that of the whole dimension first,
    follow the values, the formula and the note.
    """
    short = [_text(content, 212 + 4 * index, 4) for index in range(5)]
    whole, *lengths = struct.unpack_from(order + "12i", content, 4)
    formula, note, *sizes = lengths[:11]
    if min(whole, formula, note, *sizes) < 0:
        return short[0], short[1], short[2], short[3], short[4], []
    start = 64 + whole + formula + note
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(content[start : start + size])
        start += size
    long = [decoded(piece.split(b"\0")[0]).strip() for piece in pieces[:5]]
    units = [there or here for here, there in zip(short, long, strict=True)]
    block = pieces[7][_LABEL_BYTES : _LABEL_BYTES * (layers + 1)]
    labels = [_text(block, place, _LABEL_BYTES) for place in range(0, len(block), _LABEL_BYTES)]
    return units[0], units[1], units[2], units[3], units[4], labels if len(labels) == layers and all(labels) else []


def _axis_mv(unit: str, start: float, step: float, layers: int) -> NDArray[np.float64] | None:
    """Return the energies of the layers by the scale of the third axis, None where its unit is no voltage."""
    factor = mv_per_unit(unit)
    return None if np.isnan(factor) else np.asarray((start + step * np.arange(layers)) * factor)


def _labels_mv(labels: list[str]) -> NDArray[np.float64] | None:
    """Return the energies that labels such as "-50 mV" or "dIdV_-50mV" give, all with the same words before them, else None."""
    found = [_LABEL_OF_ENERGY.fullmatch(label) for label in labels]
    if not found or not all(found) or len({match[1] for match in found if match}) > 1:
        return None
    return np.array([float(match[2]) * mv_per_unit(match[3]) for match in found if match])


def _labelled(values: MapArray, labels: list[str], data_unit: str) -> dict[str, tuple[MapArray, str]]:
    """Return every layer as a channel, label -> (values, unit)."""
    channels: dict[str, tuple[MapArray, str]] = {}
    for layer, label in zip(values, labels, strict=True):
        word = re.sub(r"(?<=[a-z0-9])[A-Z].*|[^A-Za-z].*", "", label.removeprefix("DAC")).lower()
        unit = _UNITS_OF_LABELS.get(word, data_unit)
        channels[unique_name(label, channels)] = (layer[np.newaxis], unit)
    return channels


def _text(content: bytes, start: int, size: int) -> str:
    return decoded(content[start : start + size].split(b"\0")[0]).strip()
