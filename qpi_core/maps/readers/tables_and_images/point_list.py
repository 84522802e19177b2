"""Tables of one point a line (x, y, z, dI/dV ...): maps on the grid on which the points lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import unique_name
from qpi_core.maps.readers.shared.regular_grid import RegularGrid, find_regular_grid
from qpi_core.maps.readers.shared.stack_axes import BIAS_NAMES
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.readers.tables_and_images.point_layers import find_layers
from qpi_core.maps.scan_map import MapArray, MapContent

_HEADING = re.compile(r"([^\s()\[\],;]+)(?:[ _]*[(\[]([^)\]]*)[)\]])?")
_WHOLE_HEADING = re.compile(r"([^()\[\]]+?)[ _]*(?:[(\[]([^)\]]*)[)\]])?")
_UNIT_SUFFIX = re.compile(r"(.+)[_/]([a-zµμåÅ]{1,3})", re.IGNORECASE)
_LONGEST_HEADING = 1000
_LEAST_POINTS = 16
_MOST_COLUMNS = 12
_ON_GRID = 0.1
_LEAST_FILLED_NAMED, _LEAST_FILLED_UNNAMED = 0.25, 0.9
_LARGEST_STEP_M = 1e-6
_METRES = "The list does not give the unit of x and y; as its steps are below a millionth, they were read as metres."
_Y_UPWARDS = "One point a line, put on its grid of {} x {} with y upwards: the first row is that of the largest y."


@dataclass(frozen=True)
class _Column:
    name: str
    unit: str


def headings(line: str, columns: int) -> list[tuple[str, str]]:
    """Return (name, unit) of each column from a line such as "x (m), y (m), dI/dV (S)" or "x_nm,y_nm,z", [] where it has others."""
    text = line.strip("#%/ ")
    if len(text) > _LONGEST_HEADING:
        return []
    cells = [match for cell in re.split(r"[\t;,]", text) if (match := _WHOLE_HEADING.fullmatch(cell.strip()))]
    found = [(match[1].strip(), match[2] or "") for match in cells] if len(cells) == columns else _HEADING.findall(text)
    return [_with_unit(name, unit.strip()) for name, unit in found] if len(found) == columns else []


def _with_unit(name: str, unit: str) -> tuple[str, str]:
    """Return name and unit, also where they are written as one: x_nm, x/nm."""
    match = _UNIT_SUFFIX.fullmatch(name)
    if match is None or unit:
        return name, unit
    # "bias_mV" has a unit, "I/V" none: it is a ratio.
    of_energy = match[1].lower() in BIAS_NAMES and not np.isnan(mv_per_unit(match[2]))
    return (match[1], match[2]) if of_energy or not np.isnan(nm_per_unit(match[2])) else (name, unit)


def names_points(found: Sequence[tuple[str, str]]) -> bool:
    """Say whether two of the columns are x and y, and a third is there."""
    return len(found) > 2 and {"x", "y"} <= {name.lower() for name, _ in found}


def read_points(table: NDArray[np.float64], found: Sequence[tuple[str, str]], name: str) -> MapContent | None:
    """Return the map of a table of points, None where the table is none: an ordinary grid of numbers.

    It is one where two of its columns are named x and y, or where the first two run over a grid. Points that are listed several times
    are a stack where a column sweeps through the same values at each of them, else they are averaged, and a warning says so.

    Args:
        table: (points, columns).
        found: (name, unit) of the columns, [] where they have no names.
        name: of the file, for messages.

    Raises:
        InputError: the columns are named x and y, but the points lie on no grid.
    """
    named = names_points(found)
    if named:
        names = [name.lower() for name, _ in found]
        order = [names.index("x"), names.index("y")]
        order += [k for k in range(len(found)) if k not in order]
        table, found = table[:, order], [found[k] for k in order]
    if not named and not (3 <= table.shape[1] <= _MOST_COLUMNS and len(table) >= _LEAST_POINTS):
        return None
    grid = _grid(table[:, :2])
    filled = 0.0 if grid is None else len(np.unique(grid.cells, axis=0)) / (grid.shape[0] * grid.shape[1])
    if grid is None or filled < (_LEAST_FILLED_NAMED if named else _LEAST_FILLED_UNNAMED):
        if named:
            raise InputError(f"{name} lists points x, y that lie on no regular grid; interpolate them onto one, for example with Gwyddion.")
        return None
    columns = [_Column(*pair) for pair in found] if named else [_Column(f"column {k + 1}", "") for k in range(table.shape[1])]
    return _content(table, columns, grid, name)


def _content(table: NDArray[np.float64], columns: list[_Column], grid: RegularGrid, name: str) -> MapContent:
    layers = find_layers(table, [(column.name, column.unit) for column in columns], grid.cells[:, 0] * grid.shape[1] + grid.cells[:, 1])
    bias, energies, layer = layers.column, layers.bias_mv, layers.layer
    shape = (1 if energies is None else len(energies), *grid.shape)
    require_plausible_size(name, (len(columns), *shape), table.size)
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    for number, column in enumerate(columns):
        if number > 1 and number != bias:
            title = unique_name(f"{column.name} ({column.unit})" if column.unit else column.name, values)
            values[title], units[title] = _on_grid(table[:, number], layer, grid, shape), column.unit
    units_of_length = [columns[axis].unit for axis in (1, 0)]
    metres = units_of_length == ["", ""] and max(grid.pitch) < _LARGEST_STEP_M
    pitch = [nm_per_unit("m" if metres else unit) * step for unit, step in zip(units_of_length, grid.pitch, strict=True)]
    return MapContent(
        values=values,
        units=units,
        bias_mv=energies,
        pixel_size_nm=(float(pitch[0]), float(pitch[1])) if np.isfinite(pitch).all() else None,
        notes=(_Y_UPWARDS.format(grid.shape[1], grid.shape[0]), *([_METRES] if metres else [])),
        warnings=layers.warnings,
    )


def _on_grid(values: NDArray[np.float64], layer: NDArray[np.int64], grid: RegularGrid, shape: tuple[int, int, int]) -> MapArray:
    """Return (layers, rows, columns), the mean where there are several values, NaN where there is none."""
    cells = (layer * shape[1] + grid.cells[:, 0]) * shape[2] + grid.cells[:, 1]
    there = np.isfinite(values)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums.reshape(-1), cells[there], values[there])
    np.add.at(counts.reshape(-1), cells[there], 1)
    means: MapArray = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return means


def _grid(points: NDArray[np.float64]) -> RegularGrid | None:
    """Return the grid of points in any order along the axes, or row by row along others."""
    if not np.isfinite(points).all() or len(points) < _LEAST_POINTS:
        return None
    x, y = _axis(points[:, 0]), _axis(points[:, 1])
    if x is None or y is None:
        return find_regular_grid(points)
    (across, dx), (up, dy) = x, y
    shape = int(up.max()) + 1, int(across.max()) + 1
    return RegularGrid(np.stack([up.max() - up, across], axis=1), shape, (dy, dx))


def _axis(coordinates: NDArray[np.float64]) -> tuple[NDArray[np.int64], float] | None:
    """Return the number of each coordinate on an even axis, from 0 at the smallest, and the step; None where they lie on none."""
    ordered = np.sort(coordinates)
    gaps = np.diff(ordered)
    if not np.isfinite(gaps).all() or not gaps.max() > 0:
        return None
    step = float(np.median(gaps[gaps > _ON_GRID * gaps.max()]))
    exact = (coordinates - ordered[0]) / step
    if not exact.max() < len(coordinates):
        return None
    cells = np.round(exact)
    if np.abs(exact - cells).max() > _ON_GRID:
        return None
    return cells.astype(np.int64), float((ordered[-1] - ordered[0]) / cells.max())
