"""Lists of defect positions, with the classes of the defects where there are several: reading CSV, TXT, NPY and JSON, writing CSV."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import nm_to_px, px_to_nm
from qpi_core.base.validation import require_positions
from qpi_core.maps.positions.position_lists import UNITS, read_list
from qpi_core.maps.positions.scanner_frame import ScannerFrame
from qpi_core.maps.readers.shared.source import FileSource, read_source

_MOST_CLASSES = 64
_LONGEST_CLASS = 40

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

    Example:
        >>> import qpi_core
        >>> listed = qpi_core.load_positions(b"x_px,y_px,class\\n3.5,7,A\\n10,2,B\\n", "defects.csv")
        >>> listed.positions_px.tolist(), listed.labels
        ([[3.5, 7.0], [10.0, 2.0]], ('A', 'B'))
    """
    if units is not None and units not in UNITS:
        raise InputError(f"units must be 'px', 'nm' or 'scanner_nm', but it is {units!r}.")
    content, name = read_source(source, filename, unnamed="the list of positions")
    numbers, found_units, kind, labels = read_list(content, name, units)
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


def _require_labels(labels: tuple[str, ...] | None, count: int, name: str) -> None:
    if labels is None:
        return
    if len(labels) != count:
        raise InputError(f"{name} has {len(labels)} classes for {count} positions; every position needs one.")
    if any(not label or len(label) > _LONGEST_CLASS for label in labels):
        raise InputError(f"{name} has a position whose class is empty or longer than {_LONGEST_CLASS} letters; name it shortly.")
    if len(set(labels)) > _MOST_CLASSES:
        raise InputError(f"{name} has {len(set(labels))} classes; at most {_MOST_CLASSES} are told apart.")


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
