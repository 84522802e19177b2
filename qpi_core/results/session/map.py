"""The map of a session file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import require_pixel_size
from qpi_core.maps.scan_map import ScanMap
from qpi_core.results.session.session_archive import ArchiveReader, ArchiveWriter

_SHA256 = re.compile(r"[0-9a-f]{64}")


def map_text(scan: ScanMap, writer: ArchiveWriter) -> dict[str, Any]:
    """Return a map as strict JSON, its arrays handed to the writer."""
    return {
        "name": scan.name,
        "file_format": scan.file_format,
        "sha256": scan.sha256,
        "channels": [
            {"name": channel, "unit": scan.units.get(channel, ""), "values": writer.store(np.asarray(values))}
            for channel, values in scan.values.items()
        ],
        "bias_mv": writer.store(np.asarray(scan.bias_mv, dtype=np.float64)),
        "channel_bias_mv": json_ready(dict(scan.channel_bias_mv)),
        "pixel_size_nm": list(scan.pixel_size_nm),
        "pixel_size_known": bool(scan.pixel_size_known),
        "angle_deg": json_ready(scan.angle_deg),
        "centre_nm": None if scan.centre_nm is None else list(scan.centre_nm),
        "metadata": json_ready(scan.metadata),
        "notes": list(scan.notes),
        "warnings": list(scan.warnings),
    }


def read_map(text: dict[str, Any], reader: ArchiveReader) -> ScanMap:
    """Return the map that map_text wrote.

    Raises:
        InputError: its parts do not fit together.
    """
    values = {str(channel["name"]): reader.array(channel["values"]) for channel in text["channels"]}
    own = text.get("channel_bias_mv", {})
    shapes = {array.shape for array in values.values()}
    counts = {len(array) for name, array in values.items() if name not in own}
    bias = reader.array(text["bias_mv"]).astype(np.float64)
    if not _SHA256.fullmatch(str(text["sha256"])):
        raise InputError(f"{reader.name} does not state the hash of its map; it is damaged, so save the session again.")
    fitting = all(len(shape) == 3 and shape[1:] == next(iter(shapes))[1:] and shape[0] for shape in shapes)
    if not values or not fitting or any(len(bias) % count for count in counts):
        raise InputError(f"{reader.name} holds channels whose shapes do not fit together; it is damaged, so save the session again.")
    return ScanMap(
        name=Path(str(text["name"])).name,
        file_format=str(text["file_format"]),
        sha256=str(text["sha256"]),
        values={name: array if array.dtype.kind == "f" else array.astype(np.float64) for name, array in values.items()},
        units={str(channel["name"]): str(channel["unit"]) for channel in text["channels"]},
        bias_mv=bias,
        pixel_size_nm=require_pixel_size(tuple(text["pixel_size_nm"])),
        pixel_size_known=bool(text["pixel_size_known"]),
        angle_deg=float(text["angle_deg"]),
        centre_nm=_centre(text.get("centre_nm"), reader.name),
        metadata={str(key): str(value) for key, value in text["metadata"].items()},
        notes=tuple(str(note) for note in text["notes"]),
        channel_bias_mv=_own_energies(own, values, reader.name),
        warnings=tuple(str(warning) for warning in text.get("warnings", [])),
    )


def _centre(listed: Any, name: str) -> tuple[float, float] | None:
    if listed is None:
        return None
    if len(listed) != 2 or not all(type(number) in (int, float) and math.isfinite(number) for number in listed):
        raise InputError(f"{name} holds a place of the map that is no pair of numbers; it is damaged, so save the session again.")
    return float(listed[0]), float(listed[1])


def _own_energies(text: dict[str, Any], values: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[np.float64]]:
    """Return the energies of channels that have some of their own."""
    found = {str(channel): np.array([np.nan if e is None else e for e in listed], dtype=np.float64) for channel, listed in text.items()}
    if any(channel not in values or energies.shape != (len(values[channel]),) for channel, energies in found.items()):
        raise InputError(f"{name} holds energies of channels that do not fit; it is damaged, so save the session again.")
    return found
