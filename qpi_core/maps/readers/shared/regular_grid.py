"""Points that were measured one after the other, put on the grid on which they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SAME = 0.01
_ON_GRID = 0.1
_LEAST_SIDE = 4


@dataclass(frozen=True, eq=False)
class RegularGrid:
    """A grid, turned by any angle, with its points.

    Attributes:
        cells: (points, 2) row and column of each point; the first row is the top (largest y), the first column the left one.
        shape: (rows, columns).
        pitch: (dy, dx) in the unit of the points.
    """

    cells: NDArray[np.int64]
    shape: tuple[int, int]
    pitch: tuple[float, float]


def find_regular_grid(points: NDArray[np.float64]) -> RegularGrid | None:
    """Return the grid on which (n, 2) points (x, y) lie that were visited row by row, each once or several times on end, else None.

    A last row that was not finished is allowed; x runs to the right and y upwards.
    """
    if len(points) < _LEAST_SIDE**2 or not np.isfinite(points).all():
        return None
    steps = np.hypot(*np.diff(points, axis=0).T)
    if not steps.max() > 0:
        return None
    step = points[1 + int(np.argmax(steps > _SAME * np.median(steps[steps > 0])))] - points[0]
    dx = float(np.hypot(*step))
    along = step / dx * (1.0 if step[0] >= 0 else -1.0)
    up = np.array([-along[1], along[0]])
    u, v = (points - points[0]) @ along / dx, (points - points[0]) @ up
    heights = np.unique(np.round(v / (_SAME * dx))) * _SAME * dx
    gaps = np.diff(heights)[np.diff(heights) > _ON_GRID * dx]
    if not gaps.size:
        return None
    dy = float(np.median(gaps))
    exact = np.stack([-v / dy, u], axis=1)
    cells = np.round(exact)
    if np.abs(exact - cells).max() > _ON_GRID or np.ptp(cells, axis=0).max() >= len(points):
        return None
    cells = (cells - cells.min(axis=0)).astype(np.int64)
    rows, columns = (int(side) + 1 for side in cells.max(axis=0))
    visited = len(np.unique(cells, axis=0))
    if min(rows, columns) < _LEAST_SIDE or visited <= (rows - 1) * columns:
        return None
    return RegularGrid(cells, (rows, columns), (dy, dx))
