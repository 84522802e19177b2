"""Nanonis scans (.sxm): text header, then big-endian float32 images, forward and backward, line by line as they were scanned."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.nanonis.nanonis_multipass import read_passes, stacks_over_bias, without_pass
from qpi_core.maps.readers.nanonis.nanonis_settings import contradictions, pixels_of_file
from qpi_core.maps.readers.shared.header_entries import HeaderEntries, read_entries
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded, unique_name
from qpi_core.maps.scan_map import MapArray, MapContent

SXM_MAGIC = b":NANONIS_VERSION:"
_HEADER_END = b":SCANIT_END:"
_DATA_MARK = b"\x1a\x04"
_MAX_IMAGES = 1000
_KEYS = ("SCAN_PIXELS", "SCAN_RANGE", "SCAN_DIR", "SCAN_ANGLE", "BIAS", "DATA_INFO")


@dataclass(frozen=True)
class _Image:
    """One stored image: its channel's name and unit, and whether it is the backward one (stored right to left)."""

    name: str
    unit: str
    backward: bool


def read_sxm(content: bytes, name: str) -> MapContent:
    """Read a Nanonis scan; the first row is the top of the frame, backward images are mirrored back, lengths are in nm, bias in mV.

    Lines that were not scanned (NaN, zero to the end of the scan, or cut off) are NaN.

    Raises:
        InputError: a header that is incomplete, or no data at all.
    """
    header, start = _split(content, name)
    entries = _tags(header)
    tags = entries.values
    images = _images(tags.get("DATA_INFO", ""), name)
    held = (len(content) - start) // 4
    (width, height), about_size = pixels_of_file(_pixels(tags, name), tags, len(images), held)
    sides = (len(images), height, width)
    require_plausible_size(name, sides, held)
    if held < width:
        raise InputError(f"{name} holds a header but not one line of data; the file is cut off, so copy it again.")
    byte_order = "<f4" if "LSBFIRST" in tags.get("SCANIT_TYPE", "") else ">f4"
    if "FLOAT" not in tags.get("SCANIT_TYPE", "FLOAT"):
        raise InputError(f"{name} stores its data as {tags['SCANIT_TYPE'].strip()}; only FLOAT is known for Nanonis scans.")
    count = min(held, int(np.prod(sides)))
    data = np.full(sides, np.nan, dtype=np.float32)
    data.reshape(-1)[:count] = np.frombuffer(content, byte_order, count=count, offset=start)
    _blank_unscanned_lines(data)
    bias = _number(tags.get("BIAS", "")) * 1e3
    passes = read_passes(_config_of_passes(tags), [image.name for image in images], bias)
    up = tags.get("SCAN_DIR", "down").strip().lower() == "up"
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    own: dict[str, NDArray[np.float64]] = {}
    passed: dict[str, tuple[MapArray, str, float]] = {}
    for image, pixels in zip(images, data, strict=True):
        direction, unit = " [bwd]" if image.backward else "", f" ({image.unit})" if image.unit else ""
        title = unique_name(image.name + direction + unit, values)
        values[title] = pixels[:: -1 if up else 1, :: -1 if image.backward else 1][np.newaxis]
        units[title] = image.unit
        energy = passes.of(image.name, image.backward)
        if energy is not None:
            own[title], passed[title] = np.array([energy]), (values[title], without_pass(image.name) + direction + unit, energy)
    for signal, (stack, energies) in stacks_over_bias(passed).items():
        title = unique_name(signal, values)
        values[title], own[title] = stack, energies
        units[title] = next(units[name] for name, (_, its_signal, _) in passed.items() if its_signal == signal)
    size_x, size_y = ([_number(text) for text in tags.get("SCAN_RANGE", "").split()[:2]] + [float("nan")] * 2)[:2]
    centre = ([_number(text) for text in tags.get("SCAN_OFFSET", "").split()[:2]] + [float("nan")] * 2)[:2]
    return MapContent(
        values=values,
        units=units,
        bias_mv=np.array([bias]),
        channel_bias_mv=own,
        pixel_size_nm=(size_y / height * 1e9, size_x / width * 1e9) if size_x > 0 and size_y > 0 else None,
        angle_deg=_number(tags.get("SCAN_ANGLE", ""), missing=0.0),
        centre_nm=(centre[0] * 1e9, centre[1] * 1e9),
        metadata=tags,
        notes=("The scan ran upwards; its rows were turned so that the first one is the top of the frame.",) if up else (),
        warnings=(*entries.contradictions(_KEYS), *about_size, *contradictions(tags), *passes.warnings),
    )


def _config_of_passes(tags: dict[str, str]) -> str | None:
    return next((value for key, value in tags.items() if re.sub(r"[^a-z]", "", key.lower()) == "multipassconfig"), None)


def _split(content: bytes, name: str) -> tuple[str, int]:
    end = content.find(_HEADER_END)
    mark = content.find(_DATA_MARK, end) if end >= 0 else -1
    if mark < 0 or mark > end + 64:
        raise InputError(f"{name} begins as a Nanonis scan, but its header does not end; the file is cut off or damaged, so copy it again.")
    return decoded(content[:end]), mark + len(_DATA_MARK)


def is_sxm(content: bytes) -> bool:
    """Say whether the content is a scan, whatever the order of its header."""
    return content.startswith(b":") and content.find(_HEADER_END, 0, 2**20) > 0


def _tags(header: str) -> HeaderEntries:
    """Return the header's entries: a line :NAME: and the lines below it."""
    parts = re.split(r"^:([^:\r\n][^\r\n]*):[ \t]*\r?$", header, flags=re.MULTILINE)
    return read_entries((key.strip(), value.strip("\r\n")) for key, value in zip(parts[1::2], parts[2::2], strict=False))


def _images(table: str, name: str) -> list[_Image]:
    """Return the stored images from the table DATA_INFO: Channel, Name, Unit, Direction, Calibration, Offset, as its first line says."""
    images: list[_Image] = []
    columns = [1, 2, 3]
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.strip().split("\t")]
        lowered = [cell.lower() for cell in cells]
        if {"name", "unit", "direction"} <= set(lowered):
            columns = [lowered.index(key) for key in ("name", "unit", "direction")]
            continue
        if len(cells) <= max(columns) or lowered[0] == "channel":
            continue
        title, unit, direction = cells[columns[0]].replace("_", " "), cells[columns[1]], lowered[columns[2]]
        if direction != "backward" and direction != "bwd":
            images.append(_Image(title, unit, backward=False))
        if direction in ("both", "backward", "bwd"):
            images.append(_Image(title, unit, backward=True))
    if not images or len(images) > _MAX_IMAGES:
        raise InputError(f"{name} names {len(images)} images in its header; 1 to {_MAX_IMAGES} are expected, so the header is damaged.")
    return images


def _blank_unscanned_lines(data: NDArray[np.float32]) -> None:
    """Set lines to NaN that are zero in every image, from the last stored line backwards: some versions write zeros for them."""
    empty = ((data == 0) | np.isnan(data)).all(axis=(0, 2))
    measured = np.flatnonzero(~empty)
    data[:, (measured[-1] + 1 if measured.size else 0) :] = np.nan


def _pixels(tags: dict[str, str], name: str) -> tuple[int, int]:
    numbers = [_number(text) for text in tags.get("SCAN_PIXELS", "").split()[:2]]
    if len(numbers) != 2 or not all(np.isfinite(n) and n > 0 and n == int(n) for n in numbers):
        raise InputError(f"{name} has no usable SCAN_PIXELS in its header (two whole numbers are needed); the file is damaged.")
    return int(numbers[0]), int(numbers[1])


def _number(text: str, missing: float = float("nan")) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return missing
