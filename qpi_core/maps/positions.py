"""Lists of defect positions, with the classes of the defects where there are several: reading CSV, TXT, NPY and JSON, writing CSV."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.errors import InputError
from qpi_core.grid import nm_to_px, px_to_nm
from qpi_core.maps.arrays import read_npy_array
from qpi_core.maps.scanner_frame import ScannerFrame
from qpi_core.maps.source import FileSource, read_source
from qpi_core.maps.text_grid import decode
from qpi_core.validation import require_positions

_MAX_POSITIONS = 1_000_000
_UNITS = ("px", "nm", "scanner_nm")
_HEADING = re.compile(r"^(x|y)[\s_]*(scanner)?[\s_]*[\[(]?\s*(px|nm|pixels?)\s*[\])]?$", re.IGNORECASE)
_CLASS_HEADINGS = ("class", "classes", "label")
_MOST_CLASSES = 64
_LONGEST_CLASS = 40
_HOW_TO_HEAD = "begin the file with the line x_px,y_px or x_nm,y_nm (or x_scanner_nm,y_scanner_nm)"

_HOW_READ = {
    "px": "in pixels, 0 at the centre of the first pixel",
    "nm": "in nm, turned into pixels with the map's pixel size",
    "scanner_nm": "in the scanner's coordinates, turned into pixels with the frame's offset and angle",
}


@dataclass(frozen=True, eq=False)
class LoadedPositions:
    """Positions in pixels of the map and a sentence on how the list was read.

    Attributes:
        positions_px: (n, 2) float64, columns x and y, 0 at the centre of the first pixel.
        description: how the list was read, for the user to check.
        labels: the class of each defect, or None where the list has no classes.
    """

    positions_px: NDArray[np.float64]
    description: str
    labels: tuple[str, ...] | None = None


def load_positions(
    source: FileSource,
    filename: str | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
    units: str | None = None,
    frame: ScannerFrame | None = None,
) -> LoadedPositions:
    """Read a list of positions: CSV or TXT with a heading x_px,y_px or x_nm,y_nm or x_scanner_nm,y_scanner_nm; NPY (pixels); JSON.

    JSON is {"positions_px": [[x, y], ...]}, {"x_px": [...], "y_px": [...]} or [{"x_px": x, "y_px": y}, ...], each also with nm.
    A third column "class" in a table, "class" beside a position or as a list in JSON, names the kind of each defect.

    Args:
        source: a path, or the content as bytes.
        filename: the name that goes with bytes.
        pixel_size_nm: (dy, dx) of the map, needed for positions in nm.
        shape: (height, width) of the map; with it, positions outside the map are refused.
        units: "px", "nm" or "scanner_nm" for a list without a heading; columns are then x, y. It must agree with a heading that is there.
        frame: where the map lies (`ScanMap.scanner_frame`), needed for positions in the scanner's coordinates.

    Raises:
        InputError: one plain sentence on what is wrong with the list and what would be right.
    """
    if units is not None and units not in _UNITS:
        raise InputError(f"units must be 'px', 'nm' or 'scanner_nm', but it is {units!r}.")
    content, name = read_source(source, filename, unnamed="the list of positions")
    numbers, found_units, kind, labels = _read(content, name, units)
    if units is not None and found_units != units:
        raise InputError(
            f"{name} says that its positions are in {found_units}, but units is {units!r}; leave units out or correct the file."
        )
    _require_pairs(numbers, name)
    _require_labels(labels, len(numbers), name)
    if found_units == "nm":
        if pixel_size_nm is None:
            raise InputError(
                f"{name} holds positions in nm, but the pixel size of the map is not known; give it, or give positions in pixels."
            )
        positions = nm_to_px(numbers, pixel_size_nm)
        _require_pairs(positions, name)
    elif found_units == "scanner_nm":
        if frame is None:
            raise InputError(f"{name} holds positions in the scanner's coordinates, but the map's file does not say where its frame lies.")
        positions = frame.to_pixels(numbers)
        _require_pairs(positions, name)
    else:
        positions = numbers
    if shape is not None:
        _require_inside(positions, numbers, found_units, shape, name)
    how = _HOW_READ[found_units]
    counts = "" if labels is None else " Classes: " + ", ".join(f"{label} ({n})" for label, n in Counter(labels).items()) + "."
    return LoadedPositions(positions, f"{len(positions)} positions (x, y) from {name}, {kind}, {how}.{counts}", labels)


def save_positions(
    positions_px: ArrayLike,
    path: str | PathLike[str] | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    labels: Sequence[object] | None = None,
    frame: ScannerFrame | None = None,
) -> str:
    """Return a CSV list of positions that load_positions reads, and write it where a path is given.

    Args:
        positions_px: (n, 2) columns x and y in pixels.
        path: file to write, or None.
        pixel_size_nm: (dy, dx); with it the list is in nm (x_nm,y_nm), without it in pixels (x_px,y_px).
        labels: the class of each defect; None leaves the column out.
        frame: where the map lies; with it the list is in the scanner's coordinates (x_scanner_nm,y_scanner_nm).

    Raises:
        InputError: positions that are not (n, 2) finite numbers, or labels that a list cannot hold.
    """
    numbers = (
        np.asarray(positions_px, dtype=np.float64).reshape(-1, 2) if np.size(positions_px) == 0 else np.asarray(positions_px, np.float64)
    )
    if numbers.ndim != 2 or numbers.shape[1] != 2 or not np.isfinite(numbers).all():
        raise InputError(f"positions must be finite numbers of shape (n, 2), but they have shape {numbers.shape}.")
    unit = "px" if pixel_size_nm is None else "nm"
    if frame is not None:
        numbers, unit = frame.to_scanner(numbers), "scanner_nm"
    elif pixel_size_nm is not None:
        numbers = px_to_nm(numbers, pixel_size_nm)
    lines = [f"x_{unit},y_{unit}", *(f"{float(x)!r},{float(y)!r}" for x, y in numbers)]
    if labels is not None:
        named = tuple(str(label).strip() for label in labels)
        _require_labels(named, len(numbers), "the list")
        if any(re.search(r'[,;\t\n\r"#]', label) for label in named):
            raise InputError('labels must be names without commas, semicolons, tabs, line breaks, " and #.')
        lines = [f"{line},{label}" for line, label in zip(lines, ("class", *named), strict=True)]
    text = "".join(f"{line}\n" for line in lines)
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


Parsed = tuple[NDArray[np.float64], str, tuple[str, ...] | None]


def _read(content: bytes, name: str, units: str | None) -> tuple[NDArray[np.float64], str, str, tuple[str, ...] | None]:
    """Return (n, 2) numbers, their unit, what kind of file it was, and the classes."""
    if content.startswith(b"\x93NUMPY"):
        array = read_npy_array(content, name)
        if array.ndim != 2 or array.shape[1] != 2:
            raise InputError(f"{name} has shape {array.shape}; positions need shape (n, 2) with the columns x and y.")
        return array.astype(np.float64), units or "px", "a NumPy array", None
    if name.lower().endswith(".npy"):
        raise InputError(f"{name} is named .npy but is no NumPy array; it is damaged, cut off or renamed.")
    text = decode(content, name)
    if text.lstrip()[:1] in ("{", "["):
        numbers, found, labels = _from_json(text, name, units)
        return numbers, found, "a JSON file", labels
    numbers, found, labels = _from_table(text, name, units)
    return numbers, found, "a table", labels


def _from_json(text: str, name: str, units: str | None) -> Parsed:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} begins as JSON but is not complete JSON; check its brackets and commas.") from error
    if isinstance(data, list) and data and all(isinstance(entry, dict) for entry in data):
        for unit in _UNITS:
            if all(f"x_{unit}" in entry and f"y_{unit}" in entry for entry in data):
                named = [entry.get("class") for entry in data]
                numbers = _numbers([[entry[f"x_{unit}"], entry[f"y_{unit}"]] for entry in data], name)
                return numbers, unit, None if all(label is None for label in named) else _names(named, name)
    elif isinstance(data, dict):
        listed = next((data[key] for key in _CLASS_HEADINGS if key in data), None)
        labels = None if listed is None else _names(listed, name)
        for unit in _UNITS:
            if f"positions_{unit}" in data:
                return _numbers(data[f"positions_{unit}"], name), unit, labels
            if f"x_{unit}" in data and f"y_{unit}" in data:
                x, y = _column(data[f"x_{unit}"], name), _column(data[f"y_{unit}"], name)
                if len(x) != len(y):
                    raise InputError(f"{name} has {len(x)} values of x and {len(y)} of y; every position needs both.")
                return np.stack([x, y], axis=1), unit, labels
    elif isinstance(data, list) and units is not None:
        return _numbers(data, name), units, None
    raise InputError(f'{name} does not say what its numbers are; write {{"positions_px": [[x, y], ...]}} or {{"positions_nm": ...}}.')


def _from_table(text: str, name: str, units: str | None) -> Parsed:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line.lstrip("# ") if index == 0 else line) for index, (number, line) in enumerate(lines) if line]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(f"{name} holds no positions; {_HOW_TO_HEAD}, then one position a line.")
    heading = [cell.strip().strip('"').strip() for cell in _cells(lines[0][1])]
    classed = len(heading) == 3 and heading[2].lower() in _CLASS_HEADINGS
    unit, swapped = _heading_units(heading[:2] if classed else heading, name, units)
    rows = lines if unit is None else lines[1:]
    if not rows:
        raise InputError(f"{name} holds a heading but no positions; write one position a line below it.")
    if len(rows) > _MAX_POSITIONS:
        raise InputError(f"{name} holds {len(rows)} lines; at most {_MAX_POSITIONS} positions are read.")
    labels = None
    if classed:
        split = [_class_of(line, number, name) for number, line in rows]
        labels = tuple(label for _, label in split)
        rows = [(number, line) for (number, _), (line, _) in zip(rows, split, strict=True)]
    numbers = np.array([_row(line, number, name) for number, line in rows], dtype=np.float64)
    return (numbers[:, ::-1] if swapped else numbers), unit or units or "px", labels


def _class_of(line: str, number: int, name: str) -> tuple[str, str]:
    """Return a line without its last column, and that column."""
    cells = re.split(r"([;\t,]|\s+)", line.rstrip())
    delimiter = next((d for d in (";", "\t", ",") if d in line), None)
    head, _, label = line.rpartition(delimiter) if delimiter else ("".join(cells[:-2]), "", cells[-1])
    if not head:
        raise InputError(f"{name}, line {number} has one column; a position needs x, y and its class here.")
    return head, label.strip().strip('"').strip()


def _names(data: Any, name: str) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(label, (str, int)) and not isinstance(label, bool) for label in data):
        raise InputError(f"{name} must give the classes as a list of names or whole numbers, one a position.")
    return tuple(str(label).strip() for label in data)


def _require_labels(labels: tuple[str, ...] | None, count: int, name: str) -> None:
    if labels is None:
        return
    if len(labels) != count:
        raise InputError(f"{name} has {len(labels)} classes for {count} positions; every position needs one.")
    if any(not label or len(label) > _LONGEST_CLASS for label in labels):
        raise InputError(f"{name} has a position whose class is empty or longer than {_LONGEST_CLASS} letters; name it shortly.")
    if len(set(labels)) > _MOST_CLASSES:
        raise InputError(f"{name} has {len(set(labels))} classes; at most {_MOST_CLASSES} are told apart.")


def _heading_units(heading: list[str], name: str, units: str | None) -> tuple[str | None, bool]:
    """Return (unit, whether y comes first) from the first line's cells; (None, False) for a list without heading and stated units."""
    if all(_is_number(cell) for cell in heading):
        if len(heading) != 2:
            raise InputError(f"{name} has {len(heading)} columns; positions need two, so {_HOW_TO_HEAD} and leave out the others.")
        if units is None:
            raise InputError(f"{name} has no heading, so pixels and nm cannot be told apart; {_HOW_TO_HEAD}.")
        return None, False
    matches = [_HEADING.match(cell) for cell in heading]
    if len(heading) == 2 and matches[0] and matches[1]:
        axes = [match[1].lower() for match in matches if match]
        found = {_heading_unit(match) for match in matches if match}
        if len(found) == 1 and found <= set(_UNITS) and sorted(axes) == ["x", "y"]:
            return found.pop(), axes == ["y", "x"]
    shown = ", ".join(heading)[:60]
    if len(heading) != 2:
        raise InputError(f"{name} has {len(heading)} columns ({shown}); positions need two, so {_HOW_TO_HEAD} and leave out the others.")
    if {cell.lower() for cell in heading} & {"row", "col", "column", "i", "j"}:
        raise InputError(f"{name} is headed {shown!r}; rows and columns are y and x here, so {_HOW_TO_HEAD} with x (the column) first.")
    raise InputError(f"{name} is headed {shown!r}, which does not say pixels or nm; {_HOW_TO_HEAD}.")


def _heading_unit(match: re.Match[str]) -> str:
    unit = "nm" if match[3].lower() == "nm" else "px"
    return f"scanner_{unit}" if match[2] else unit


def _cells(line: str) -> list[str]:
    for delimiter in (";", "\t", ","):
        if delimiter in line:
            return [cell.strip() for cell in line.split(delimiter)]
    return line.split()


def _row(line: str, number: int, name: str) -> list[float]:
    cells = _cells(line)
    if ";" in line or "\t" in line:
        cells = [cell.replace(",", ".") for cell in cells]
    if len(cells) != 2:
        raise InputError(f"{name}, line {number} has {len(cells)} columns; a position needs two, x and y.")
    for cell in cells:
        if not _is_number(cell):
            raise InputError(f"{name}, line {number} holds {cell[:24]!r} where a number should be; correct or remove that line.")
    return [float(cell) for cell in cells]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _numbers(data: Any, name: str) -> NDArray[np.float64]:
    """Return (n, 2) numbers from nested JSON lists; strings and booleans are no numbers here."""
    if not isinstance(data, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in data):
        raise InputError(f"{name} must hold positions as pairs [[x, y], ...].")
    flat = _column([value for pair in data for value in pair], name)
    return flat.reshape(-1, 2)


def _column(data: Any, name: str) -> NDArray[np.float64]:
    if not isinstance(data, list):
        raise InputError(f"{name} must hold its coordinates as a list of numbers.")
    for value in data:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{name} holds {str(value)[:24]!r} where a number should be.")
    try:
        return np.array(data, dtype=np.float64)
    except OverflowError:
        raise InputError(f"{name} holds a number that is too large for a position.") from None


def _require_pairs(numbers: NDArray[np.float64], name: str) -> None:
    if len(numbers) == 0:
        raise InputError(f"{name} holds no positions; give at least one.")
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise InputError(
            f"{name} holds {int(bad.sum())} positions that are not finite numbers, the first is number {int(bad.argmax()) + 1}."
        )


def _require_inside(positions: NDArray[np.float64], numbers: NDArray[np.float64], unit: str, shape: tuple[int, int], name: str) -> None:
    try:
        require_positions(positions, shape)
    except InputError:
        height, width = shape
        outside = ((positions < -0.5) | (positions > np.array([width, height]) - 0.5)).any(axis=1)
        x, y = numbers[outside.argmax()]
        raise InputError(
            f"{name} holds {int(outside.sum())} of {len(positions)} positions outside the map of {width} x {height} pixels, "
            f"the first at x = {x:.6g} {_spoken(unit)}, y = {y:.6g} {_spoken(unit)}; check the units and the order of the columns."
        ) from None


def _spoken(unit: str) -> str:
    return "nm in the scanner" if unit == "scanner_nm" else unit
