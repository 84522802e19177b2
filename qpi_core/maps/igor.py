"""Igor Pro binary waves (.ibw), version 5: a header of fixed layout, then the values, first dimension fastest.

Layout: WaveMetrics, Technical Note 003. Read here, not with a library, so that every length is checked before it is used. As in
Gwyddion, the first dimension is x, the second y, upwards.
"""

from __future__ import annotations

import struct
from math import prod

import numpy as np

from qpi_core.errors import InputError
from qpi_core.maps.limits import require_plausible_size
from qpi_core.maps.scan_map import MapArray, MapContent

IGOR_MAGICS = (b"\x05\0", b"\0\x05")
_TYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 72: "u1", 80: "u2", 96: "u4"}
_HEADER_BYTES = 384
_NM_PER_UNIT = {"m": 1e9, "mm": 1e6, "um": 1e3, "nm": 1.0, "pm": 1e-3, "A": 0.1}
_MV_PER_UNIT = {"V": 1e3, "mV": 1.0}


def is_igor_wave(content: bytes) -> bool:
    """Say whether the first bytes are a wave's header: its 16-bit words add up to zero."""
    if len(content) < _HEADER_BYTES or not content.startswith(IGOR_MAGICS):
        return False
    order = "<" if content.startswith(b"\x05") else ">"
    return int(np.frombuffer(content, order + "u2", count=_HEADER_BYTES // 2).sum(dtype=np.uint64)) % 2**16 == 0


def read_igor(content: bytes, name: str) -> MapContent:
    """Read a wave of two dimensions as a map, of three as a stack of layers; a third axis in V is the bias. Missing values are NaN.

    Raises:
        InputError: text or complex numbers, fewer than two dimensions, or not one line of data.
    """
    order = "<" if content.startswith(b"\x05") else ">"
    if len(content) < _HEADER_BYTES:
        raise InputError(f"{name} is cut off: its Igor header is incomplete. Save it again.")
    (kind,) = struct.unpack_from(order + "h", content, 80)
    declared = struct.unpack_from(order + "4i", content, 132)
    steps, starts = (struct.unpack_from(order + "4d", content, place) for place in (148, 180))
    sides = declared[: next((axis for axis, side in enumerate(declared) if side < 1), 4)]
    if kind not in _TYPES:
        raise InputError(f"{name} holds text or complex numbers (Igor type {kind}), but a map needs real numbers.")
    if len(sides) not in (2, 3):
        raise InputError(f"{name} is an Igor wave of {len(sides)} dimensions; a map needs 2 (x, y) or 3 (x, y, layers).")
    dtype = np.dtype(order + _TYPES[kind])
    held = min((len(content) - _HEADER_BYTES) // dtype.itemsize, prod(sides))
    require_plausible_size(name, sides, held)
    if held < sides[0]:
        raise InputError(f"{name} holds an Igor header but not one line of data; the file is cut off, so save it again.")
    exact_in_single = dtype.itemsize < 4 or dtype.str[1:] == "f4"
    flat = np.full(prod(sides), np.nan, dtype=np.float32 if exact_in_single else np.float64)
    flat[:held] = np.frombuffer(content, dtype, count=held, offset=_HEADER_BYTES)
    values: MapArray = np.ascontiguousarray(flat.reshape((*reversed(sides),)).reshape(-1, sides[1], sides[0])[:, ::-1])
    data_unit, *units = (_text(content, 212 + 4 * index) for index in range(5))
    title = _text(content, 92, 32) or "wave"
    bias = None
    if len(sides) == 3 and units[2] in _MV_PER_UNIT:
        bias = (starts[2] + steps[2] * np.arange(sides[2])) * _MV_PER_UNIT[units[2]]
    pixel = [abs(steps[axis]) * _NM_PER_UNIT.get(units[axis], float("nan")) for axis in (1, 0)]
    return MapContent(
        values={title: values},
        units={title: data_unit},
        bias_mv=bias,
        pixel_size_nm=(pixel[0], pixel[1]) if all(np.isfinite(side) and side > 0 for side in pixel) else None,
    )


def _text(content: bytes, start: int, size: int = 4) -> str:
    return content[start : start + size].split(b"\0")[0].decode("latin-1").strip()
