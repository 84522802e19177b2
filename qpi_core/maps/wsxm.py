"""WSxM images (.stp, .top ...): text header of stated length, then 16-bit integers or doubles, last pixel first as Gwyddion reads them."""

from __future__ import annotations

import re

import numpy as np

from qpi_core.errors import InputError
from qpi_core.maps.header_entries import read_entries
from qpi_core.maps.limits import require_plausible_size
from qpi_core.maps.names import decoded
from qpi_core.maps.scan_map import MapArray, MapContent
from qpi_core.maps.units import mv_per_unit, nm_per_unit

WSXM_MAGIC = b"WSxM file copyright"
_TYPES = {"double": "<f8", "float": "<f4", "short": "<i2", "short data": "<i2"}


def read_wsxm(content: bytes, name: str) -> MapContent:
    """Read a WSxM image; the values keep the unit of the entry Z Amplitude.

    Raises:
        InputError: no image, a header that is incomplete, or cut off.
    """
    end = re.search(rb"\[Header end\]\r?\n", content[: 2**20])
    if end is None or b"SxM Image file" not in content[:200]:
        raise InputError(f"{name} is a WSxM file but not a complete image; open it in WSxM and save it as an image (.stp).")
    header = _entries(decoded(content[: end.end()]))
    height, width = (_whole(header, key, name) for key in ("Number of rows", "Number of columns"))
    require_plausible_size(name, (height, width), len(content))
    dtype = np.dtype(_TYPES.get(header.get("Image Data Type", "short").lower(), "<i2"))
    count = height * width
    if len(content) - end.end() < count * dtype.itemsize:
        raise InputError(f"{name} is cut off: it declares {width} x {height} pixels and holds fewer. Copy it again.")
    data = np.frombuffer(content, dtype, count=count, offset=end.end())[::-1].reshape(height, width).astype(np.float64)
    z_range, unit = _quantity(header.get("Z Amplitude", ""))
    if np.isfinite(data).all() and np.ptp(data) > 0 and np.isfinite(z_range) and z_range > 0:
        data = data * (z_range / np.ptp(data))  # stored values have no scale of their own, whatever their type
    values: MapArray = data[np.newaxis]
    channel = header.get("Acquisition channel", "") or "value"
    volts, volt_unit = _quantity(header.get("Topography Bias", ""))
    return MapContent(
        values={channel: values},
        units={channel: unit},
        bias_mv=np.array([volts * mv_per_unit(volt_unit)]),
        pixel_size_nm=_pixel_size(header, height, width),
        metadata=header,
    )


def _entries(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return read_entries((key.strip(), value.strip()) for key, colon, value in pairs if colon).values


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
