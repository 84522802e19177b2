"""Gwyddion's simple fields (.gsf): a text header "name = value", one to four NUL bytes, little-endian float32, the top row first.

Format: https://gwyddion.net/documentation/user-guide-en/gsf.html.
"""

from __future__ import annotations

import re

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.header_entries import read_entries
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.readers.shared.two_statements import more_than_declared
from qpi_core.maps.readers.shared.units import nm_per_unit
from qpi_core.maps.scan_map import MapArray, MapContent

GSF_MAGIC = b"Gwyddion Simple Field 1.0\n"
_LONGEST_HEADER = 2**20


def read_gsf(content: bytes, name: str) -> MapContent:
    """Read the one field of a file; pixels that are not there are NaN.

    Raises:
        InputError: a header that is incomplete, or not one line of data.
    """
    end = content.find(b"\0", 0, _LONGEST_HEADER)
    if end < 0:
        raise InputError(f"{name} begins as a Gwyddion simple field, but its header does not end; the file is cut off, so copy it again.")
    lines = (line.partition("=") for line in decoded(content[len(GSF_MAGIC) : end]).splitlines())
    entries = read_entries((key.strip(), value.strip()) for key, equals, value in lines if equals)
    header = entries.values
    width, height = (_whole(header, key, name) for key in ("XRes", "YRes"))
    start = end + 4 - end % 4
    there = max(len(content) - start, 0) // 4
    held = min(there, width * height)
    require_plausible_size(name, (height, width), held)
    if held < width:
        raise InputError(f"{name} holds a header but not one line of data; the file is cut off, so copy it again.")
    data = np.full((height, width), np.nan, dtype=np.float32)
    data.reshape(-1)[:held] = np.frombuffer(content, "<f4", count=held, offset=start)
    values: MapArray = data[np.newaxis]
    channel, unit = header.get("Title", "") or "value", header.get("ZUnits", "")
    sizes = [_number(header.get(key, "")) * nm_per_unit(header.get("XYUnits", "m")) for key in ("YReal", "XReal")]
    return MapContent(
        values={channel: values},
        units={channel: unit},
        bias_mv=np.array([np.nan]),
        pixel_size_nm=(sizes[0] / height, sizes[1] / width) if all(size > 0 for size in sizes) else None,
        metadata=header,
        warnings=(*entries.contradictions(("XRes", "YRes", "XReal", "YReal", "XYUnits")), *more_than_declared(width * height, there)),
    )


def _whole(header: dict[str, str], key: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", header.get(key, "")):
        raise InputError(f"{name} has no usable entry {key!r} in its header (a whole number is needed); the file is damaged.")
    return int(header[key])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
