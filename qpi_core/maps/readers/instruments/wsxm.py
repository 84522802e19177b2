"""WSxM images (.stp, .top ...) and cubes of spectroscopy (.gsi): a text header, then 16-bit integers or floats.

The last pixel of each image comes first, as Gwyddion reads them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.header_entries import HeaderEntries, read_entries
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.readers.shared.two_statements import more_than_declared
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.scan_map import MapArray, MapContent

WSXM_MAGIC = b"WSxM file copyright"
_KEYS = ("Topography Bias", "X Amplitude", "Y Amplitude", "Number of rows", "Number of columns", "Image Data Type")
_RAMP = "Number of points per ramp"
_TYPES = {"double": "<f8", "float": "<f4", "simple": "<f4", "short": "<i2", "short data": "<i2"}


def read_wsxm(content: bytes, name: str) -> MapContent:
    """Read a WSxM image, or a cube of spectroscopy (.gsi): a topograph and one image for each step of the ramp.

    The values keep the unit of the entry Z Amplitude; those of a cube are as stored.

    Raises:
        InputError: no image, a header that is incomplete, or cut off.
    """
    end = re.search(rb"\[Header end\]\r?\n", content[: 2**20])
    entries = _entries("" if end is None else decoded(content[: end.end()]))
    header = entries.values
    cube = _RAMP in header
    if end is None or not (cube or b"SxM Image file" in content[:200]):
        raise InputError(f"{name} is a WSxM file but not a complete image; open it in WSxM and save it as an image (.stp).")
    height, width = (_whole(header, key, name) for key in ("Number of rows", "Number of columns"))
    layers = 1 + _whole(header, _RAMP, name) if cube else 1
    dtype = np.dtype(_TYPES.get(header.get("Image Data Type", "short").lower(), "<i2"))
    require_plausible_size(name, (layers, height, width), (len(content) - end.end()) // dtype.itemsize)
    count = layers * height * width
    held = (len(content) - end.end()) // dtype.itemsize
    said = (*entries.contradictions(_KEYS), *more_than_declared(count, held))
    if held < count:
        raise InputError(f"{name} is cut off: it declares {layers} x {width} x {height} values and holds fewer. Copy it again.")
    data = np.frombuffer(content, dtype, count=count, offset=end.end()).reshape(layers, -1)[:, ::-1]
    stack = data.reshape(layers, height, width).astype(np.float64)
    pixel_size = _pixel_size(header, height, width)
    if cube:
        found = _cube(stack, header, pixel_size, dtype)
        return replace(found, warnings=(*said, *found.warnings))
    values, unit = _scaled(stack, header)
    channel = header.get("Acquisition channel", "") or "value"
    bias = np.array([_in_mv(header.get("Topography Bias", ""))])
    return MapContent({channel: values}, {channel: unit}, bias, pixel_size, metadata=header, warnings=said)


def _scaled(stack: MapArray, header: dict[str, str]) -> tuple[MapArray, str]:
    """Return values whose range is the stated amplitude: stored values have no scale of their own, whatever their type."""
    amplitude, unit = _quantity(header.get("Z Amplitude", ""))
    if np.isfinite(stack).all() and np.ptp(stack) > 0 and np.isfinite(amplitude) and amplitude > 0:
        return stack * (amplitude / np.ptp(stack)), unit
    return stack, unit


def _cube(stack: MapArray, header: dict[str, str], pixel_size: tuple[float, float] | None, dtype: np.dtype[Any]) -> MapContent:
    """Return the topograph and the stack over the ramp, whose values stand in entries "Image 003: -0.1 V"."""
    topograph, unit = _scaled(stack[:1], header) if dtype.kind == "i" else (stack[:1], _quantity(header.get("Z Amplitude", ""))[1])
    channel = header.get("Acquisition channel", "") or "spectroscopy"
    steps = {int(match[1]): _in_mv(value) for key, value in header.items() if (match := re.fullmatch(r"Image\s+([0-9]{1,9})", key))}
    first = 0 if 0 in steps else 1
    bias = np.array([steps.get(first + number, np.nan) for number in range(len(stack) - 1)])
    counts = "The values of the spectroscopy are the instrument's counts, as stored." if dtype.kind == "i" else ""
    missing = "" if np.isfinite(bias).all() else "The file does not give the bias of every image of the ramp."
    return MapContent(
        values={channel: stack[1:], "Topography": topograph},
        units={channel: "" if counts else _quantity(header.get("Spectroscopy Amplitude", ""))[1], "Topography": unit},
        bias_mv=bias,
        pixel_size_nm=pixel_size,
        metadata=header,
        notes=(counts,) if counts else (),
        warnings=(missing,) if missing else (),
    )


def _in_mv(text: str) -> float:
    value, unit = _quantity(text)
    return value * mv_per_unit(unit)


def _entries(text: str) -> HeaderEntries:
    pairs = (line.partition(":") for line in text.splitlines())
    return read_entries((key.strip(), value.strip()) for key, colon, value in pairs if colon)


def _pixel_size(header: dict[str, str], height: int, width: int) -> tuple[float, float] | None:
    sizes = []
    for key in ("Y Amplitude", "X Amplitude"):
        value, unit = _quantity(header.get(key, ""))
        sizes.append(value * nm_per_unit(unit))
    return (sizes[0] / height, sizes[1] / width) if all(size > 0 for size in sizes) else None


def _quantity(text: str) -> tuple[float, str]:
    match = re.match(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d{1,2})?)\s*(\S*)", text.replace(",", "."))
    try:
        return (float(match[1]), match[2]) if match else (float("nan"), "")
    except ValueError:
        return float("nan"), ""


def _whole(header: dict[str, str], key: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,9}", header.get(key, "")):
        raise InputError(f"{name} has no usable entry '{key}' in its WSxM header (a whole number is needed); the file is damaged.")
    return int(header[key])
