"""Text files of numbers (.csv, .txt): one line a row of the map, any usual delimiter, decimal point or comma."""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import MAX_VALUES
from qpi_core.maps.readers.shared.units import nm_per_unit
from qpi_core.maps.readers.tables_and_images.point_list import headings, names_points, read_points
from qpi_core.maps.scan_map import MapContent

_COMMENT_MARKS = ("#", "%", "//")
_MISSING = {"", "nan", "-nan", "na", "n/a", "null", "none", "--"}
_SIZE_COMMENT = re.compile(r"(width|height)\s*[:=]\s*([-+0-9.,eE]+)\s*([a-zA-ZµμåÅ]+)", re.IGNORECASE)
_MAX_TEXT_BYTES = 2**29


def read_text(content: bytes, name: str) -> MapContent:
    """Read a grid of numbers, or a list of points x, y, z ... on a grid.

    Comment lines may hold "Width: 10 nm" and "Height: 10 nm", as Gwyddion's export has them, or name the columns of the points.

    Raises:
        InputError: not text, text among the numbers, lines of different length, or no numbers.
    """
    comments, lines = _lines(decode(content, name))
    if not lines:
        raise InputError(f"{name} holds no numbers; it must hold one line of numbers for each row of the map.")
    lines, heading = _without_heading(lines, comments)
    first_number, first_line = lines[0]
    delimiter, decimal_comma = _delimiter([line for _, line in lines[:50]])
    if len(lines) * max(1, len(_split(first_line, delimiter))) > MAX_VALUES:
        raise InputError(f"{name} holds more than {MAX_VALUES} numbers; crop or resample the map first.")
    grid, labelled = _without_labels(_parse(lines, delimiter, decimal_comma, name))
    if prod(grid.shape) == 0 or first_number < 1:
        raise InputError(f"{name} holds no numbers; it must hold one line of numbers for each row of the map.")
    listed = read_points(grid, headings(heading, grid.shape[1]), name)
    if listed is not None:
        return replace(listed, notes=(*listed.notes, *(["Commas were read as decimal commas."] if decimal_comma else [])))
    notes = ["Commas were read as decimal commas."] if decimal_comma else []
    notes += ["The first line and the first column only number the others and were left out."] if labelled else []
    return MapContent(values={"data": grid[np.newaxis]}, pixel_size_nm=_pixel_size(comments, grid.shape), notes=tuple(notes))


def _without_heading(lines: list[tuple[int, str]], comments: list[str]) -> tuple[list[tuple[int, str]], str]:
    """Return the lines of numbers, and the line that names the columns of a list of points: the first one, or a comment."""
    first = lines[0][1]
    sample = [line for _, line in lines[1:50]] or [first]
    columns = len(_split(sample[-1], _delimiter(sample)[0]))
    if len(lines) > 1 and names_points(headings(first, columns)):
        return lines[1:], first
    return lines, next((comment for comment in reversed(comments) if names_points(headings(comment, columns))), "")


def decode(content: bytes, name: str) -> str:
    """Return text from UTF-8, UTF-16 with its mark, or Latin-1 bytes.

    Raises:
        InputError: binary content, or longer than 512 MiB.
    """
    if len(content) > _MAX_TEXT_BYTES:
        raise InputError(f"{name} is a text file of more than {_MAX_TEXT_BYTES // 2**20} MiB; save the map as .npy instead.")
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        head = content[:4096]
        if b"\0" in head or sum(byte < 9 or 13 < byte < 32 for byte in head) > len(head) // 50:
            raise InputError(f"{name} is neither a text file nor a file of a known format; it may be damaged or renamed.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _lines(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """Return the comment lines, and the other lines that are not blank with their numbers from 1."""
    comments: list[str] = []
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.replace('"', "").strip(" \r\n\f\v\0")
        if bare.lstrip("\t").startswith(_COMMENT_MARKS):
            comments.append(bare)
        elif bare.strip():
            lines.append((number, bare))
    return comments, lines


def _delimiter(sample: list[str]) -> tuple[str | None, bool]:
    """Return (delimiter, None for blanks; whether commas are decimal) from the first lines."""
    joined = "\n".join(sample)
    for delimiter in (";", "\t"):
        if delimiter in joined:
            return delimiter, "," in joined and "." not in joined
    if "," not in joined:
        return None, False
    words = [line.split() for line in sample]
    decimal = "." not in joined and all(len(row) > 1 and all(word.count(",") <= 1 and word[-1] != "," for word in row) for row in words)
    return (None, True) if decimal else (",", False)


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    cells = [cell.strip() for cell in line.split(delimiter)]
    return cells[:-1] if len(cells) > 1 and cells[-1] == "" else cells


def _parse(lines: list[tuple[int, str]], delimiter: str | None, decimal_comma: bool, name: str) -> NDArray[np.float64]:
    width = len(_split(lines[0][1], delimiter))
    grid = np.empty((len(lines), width))
    for row, (number, line) in enumerate(lines):
        cells = _split(line.replace(",", ".") if decimal_comma else line, delimiter)
        if len(cells) != width:
            raise InputError(
                f"{name}, line {number} has {len(cells)} values where the lines before have {width}; every row needs the same number."
            )
        try:
            grid[row] = np.array(cells, dtype=np.float64)
        except ValueError:
            grid[row] = [_cell(cell, number, name) for cell in cells]
    return grid


def _without_labels(grid: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return the grid without the numbers of its columns and rows, as pandas writes them: an empty corner, then 0, 1, 2 ..."""
    if min(grid.shape) < 2 or not np.isnan(grid[0, 0]):
        return grid, False
    counted = all(np.array_equal(labels, np.arange(len(labels))) for labels in (grid[0, 1:], grid[1:, 0]))
    return (grid[1:, 1:], True) if counted else (grid, False)


def _cell(text: str, line: int, name: str) -> float:
    if text.lower() in _MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        shown = text if len(text) <= 24 else text[:24] + "..."
        raise InputError(f"{name}, line {line} holds {shown!r} where a number should be; put # before lines that are no data.") from None


def _pixel_size(comments: list[str], shape: tuple[int, ...]) -> tuple[float, float] | None:
    sizes: dict[str, float] = {}
    for comment in comments:
        match = _SIZE_COMMENT.search(comment)
        if match and not np.isnan(nm_per_unit(match[3])):
            try:
                sizes[match[1].lower()] = float(match[2].replace(",", ".")) * nm_per_unit(match[3])
            except ValueError:
                continue
    if not sizes.keys() >= {"width", "height"} or min(sizes.values()) <= 0:
        return None
    return sizes["height"] / shape[0], sizes["width"] / shape[1]
