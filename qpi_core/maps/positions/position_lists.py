"""What lists of positions look like: tables with a heading, JSON and NumPy arrays, with the classes of the defects where they have some."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import read_npy_array
from qpi_core.maps.readers.tables_and_images.text_grid import decode

UNITS = ("px", "nm", "scanner_nm")
"""What positions may count: pixels, nm from the first pixel, and nm in the scanner's own coordinates."""

_MAX_POSITIONS = 1_000_000
_HEADING = re.compile(r"^(x|y)[\s_]*(scanner)?[\s_]*[\[(]?\s*(px|nm|pixels?)\s*[\])]?$", re.IGNORECASE)
_CLASS_HEADINGS = ("class", "classes", "label")
_HOW_TO_HEAD = "begin the file with the line x_px,y_px or x_nm,y_nm (or x_scanner_nm,y_scanner_nm)"

Parsed = tuple[NDArray[np.float64], str, tuple[str, ...] | None]


def read_list(content: bytes, name: str, units: str | None) -> tuple[NDArray[np.float64], str, str, tuple[str, ...] | None]:
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
        for unit in UNITS:
            if all(f"x_{unit}" in entry and f"y_{unit}" in entry for entry in data):
                named = [entry.get("class") for entry in data]
                numbers = _numbers([[entry[f"x_{unit}"], entry[f"y_{unit}"]] for entry in data], name)
                return numbers, unit, None if all(label is None for label in named) else _names(named, name)
    elif isinstance(data, dict):
        listed = next((data[key] for key in _CLASS_HEADINGS if key in data), None)
        labels = None if listed is None else _names(listed, name)
        for unit in UNITS:
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
        if len(found) == 1 and found <= set(UNITS) and sorted(axes) == ["x", "y"]:
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
