"""Nanonis grid spectroscopy (.3ds): text header, then big-endian float32 [y, x, parameters + channels x points]."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.nanonis.nanonis_places import first_row_is_bottom, place_of_grid, read_frame
from qpi_core.maps.readers.nanonis.nanonis_sweep import SweptData, sweep_energies
from qpi_core.maps.readers.shared.header_entries import HeaderEntries, read_entries
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded, unique_name
from qpi_core.maps.scan_map import MapArray, MapContent

GRID_MAGIC = b"Grid dim="
_KEYS = ("Grid dim", "Grid settings", "Points", "Filetype", "Channels", "Sweep Signal", "Fixed parameters", "Experiment parameters")
_SPELLINGS = {key.lower(): key for key in (*_KEYS, "# Parameters (4 byte)", "Experiment size (bytes)")}
_HEADER_END = re.compile(rb":HEADER_END:\r?\n")
_UNIT = re.compile(r"\(([^()]*)\)\s*$")
_TURNED_NOTE = "The file begins at the bottom of the scan frame; its rows were turned so that the first one is the top of the frame."
_ASSUMED_NOTE = (
    "The file does not record where its points lie; as Nanonis grids begin at the bottom of the scan frame, its rows were turned "
    "so that the first one is the top of the frame."
)


def read_3ds(content: bytes, name: str) -> MapContent:
    """Read a Nanonis grid: every channel is a stack over the sweep, every parameter that varies is a channel of one layer.

    The first row is the top of the scan frame, as in a scan of the same frame, whatever the order in the file. Points that were not
    measured (cut off, or all zero as the instrument pads them) are NaN.

    Raises:
        InputError: a header that is incomplete or contradicts itself, or not one measured point.
    """
    entries, start = _header(content, name)
    header = entries.values
    width, height = _dimensions(header, name)
    parameter_count = _whole(header, "# Parameters (4 byte)", name)
    channels = [channel for channel in header.get("Channels", "").split(";") if channel.strip()]
    held = (len(content) - start) // 4
    points, about_size = _points(header, name, (width * height, parameter_count, len(channels)), held)
    record = parameter_count + len(channels) * points
    require_plausible_size(name, (height, width, record), held)
    records = _measured_points(content, start, held, width * height, record, name)
    data = records.reshape(height, width, record)

    parameters = _parameters(header, parameter_count)
    frame = read_frame(header, (height, width))
    sweep = sweep_energies(header, SweptData(records, parameters, parameter_count, channels, points))
    notes = list(sweep.notes)
    first_is_bottom = first_row_is_bottom(data, parameters, frame.angle_deg)
    if first_is_bottom is not False:
        data = data[::-1]
        notes.append(_TURNED_NOTE if first_is_bottom else _ASSUMED_NOTE)
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    for number, channel in enumerate(channels):
        first = parameter_count + number * points
        title = unique_name(channel.strip(), values)
        values[title] = np.moveaxis(data[:, :, first : first + points], 2, 0)
        units[title] = _unit(channel)
    for number, parameter in enumerate(parameters):
        if number >= 2 and parameter not in ("X (m)", "Y (m)") and _varies(data[:, :, number]):
            title = unique_name(f"{parameter} [point]", values)
            values[title] = np.ascontiguousarray(data[:, :, number])[np.newaxis]
            units[title] = _unit(parameter)
    pixel_size, centre, about_places = place_of_grid(frame, data, parameters)
    return MapContent(
        values=values,
        units=units,
        bias_mv=sweep.bias_mv,
        pixel_size_nm=pixel_size,
        angle_deg=frame.angle_deg if np.isfinite(frame.angle_deg) else 0.0,
        centre_nm=centre,
        metadata=header,
        notes=tuple(notes),
        warnings=(*entries.contradictions(_KEYS[:5]), *about_size, *about_places, *sweep.warnings),
    )


def is_grid(content: bytes) -> bool:
    """Say whether the content is a grid, whatever the order of its header."""
    end = _HEADER_END.search(content, 0, 2**20)
    return end is not None and re.search(rb"^Grid dim=", content[: end.start()], re.MULTILINE) is not None


def _header(content: bytes, name: str) -> tuple[HeaderEntries, int]:
    end = _HEADER_END.search(content, 0, 2**20)
    if end is None:
        raise InputError(f"{name} begins as a Nanonis grid, but its header does not end; the file is cut off or damaged, so copy it again.")
    lines = decoded(content[: end.start()]).splitlines()
    entries = read_entries(_pairs(lines))
    if "Grid dim" not in entries.values or "Points" not in entries.values:  # a comment whose quote never ends
        entries = read_entries(_pairs(lines, comments=False))
    return entries, end.end()


def _pairs(lines: list[str], comments: bool = True) -> Iterator[tuple[str, str]]:
    """Yield key and value of each line; the lines of a comment in quotes belong to it up to the one that ends with a quote."""
    inside = False
    for line in lines:
        text = line.strip()
        if inside:
            inside = not text.endswith('"')
            continue
        key, _, value = text.partition("=")
        inside = comments and key.strip().lower() == "comment" and value.startswith('"') and (len(value) == 1 or not value.endswith('"'))
        yield _SPELLINGS.get(key.strip().lower(), key.strip()), value.strip().strip('"')


def _dimensions(header: dict[str, str], name: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,9})\s*x\s*(\d{1,9})\s*", header.get("Grid dim", ""))
    if match is None:
        raise InputError(f"{name} has no usable entry 'Grid dim' in its header (such as \"30 x 30\"); the file is damaged.")
    return int(match[1]), int(match[2])


def _whole(header: dict[str, str], key: str, name: str) -> int:
    text = header.get(key, "")
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"{name} has no usable entry '{key}' in its header (a whole number is needed); the file is damaged.")
    return int(text)


def _measured_points(content: bytes, start: int, held: int, total: int, record: int, name: str) -> NDArray[np.float32]:
    """Return (total, record) values, NaN where the file ends or where the instrument padded with zeros."""
    whole = min(held // record, total) if record else 0
    if whole < 1:
        raise InputError(f"{name} holds a header but not one measured point; the file is cut off, so copy it again.")
    data = np.full((total, record), np.nan, dtype=np.float32)
    data[:whole] = np.frombuffer(content, ">f4", count=whole * record, offset=start).reshape(whole, record)
    data[(data == 0).all(axis=1)] = np.nan
    return data


def _points(header: dict[str, str], name: str, sides: tuple[int, int, int], held: int) -> tuple[int, tuple[str, ...]]:
    """Return the points of a spectrum, and warnings where the header gives two numbers or the file holds more values than it says.

    Args:
        header, name: of the file.
        sides: points of the grid, parameters of each, channels.
        held: values that follow the header.

    Raises:
        InputError: two numbers of points of which none fits the values in the file, or no channel.
    """
    total, parameters, channels = sides
    points, stated = _whole(header, "Points", name), header.get("Experiment size (bytes)", "")
    other = int(stated) / (4 * channels) if channels and re.fullmatch(r"\d{1,12}", stated) else points
    fitting = [n for n in (points, other) if n == int(n) and total * (parameters + channels * int(n)) == held]
    if not channels or (other != points and not fitting):
        raise InputError(
            f"{name} is damaged: its header states {channels} channels of {points} points, but {stated or 'no'} bytes a spectrum."
        )
    if other != points:
        sentence = (
            f"The header gives two sizes: {points} points a spectrum and {stated} bytes a spectrum, which are {other:.6g} points; "
            f"{fitting[0]:.0f} points were taken, as the values in the file are as many."
        )
        return int(fitting[0]), (sentence,)
    if held > total * (parameters + channels * points):
        sentence = (
            f"The header describes {total} points of {parameters + channels * points} values, but the file holds {held} values, more than "
            "that: the sizes in the header were taken, and the map may be wrong."
        )
        return points, (sentence,)
    return points, ()


def _parameters(header: dict[str, str], count: int) -> list[str]:
    listed = ";".join(header.get(key, "") for key in ("Fixed parameters", "Experiment parameters"))
    return [parameter.strip() for parameter in listed.split(";") if parameter.strip()][:count]


def _varies(values: NDArray[np.float32]) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size) and bool(finite.min() < finite.max())


def _unit(title: str) -> str:
    match = _UNIT.search(title)
    return match[1] if match else ""
