"""How preparation moves positions: maps between the pixels of the layer before and after, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Points = NDArray[np.float64]

_ROUNDS = 50
_TOLERANCE_PX = 1e-9


class Movement(Protocol):
    """One change of coordinates between two layers; points are (n, 2) with the columns x and y in pixels."""

    def forward(self, points: Points) -> Points:
        """Return where points of the layer before lie in the layer after."""

    def backward(self, points: Points) -> Points:
        """Return where points of the layer after lie in the layer before."""


@dataclass(frozen=True, eq=False)
class AffineMovement:
    """p' = matrix p + offset, with p = (x, y) in pixels.

    Attributes:
        matrix: (2, 2), invertible.
        offset: (2,) px of the layer after.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def forward(self, points: Points) -> Points:
        """Return matrix p + offset."""
        moved: Points = points @ self.matrix.T + self.offset
        return moved

    def backward(self, points: Points) -> Points:
        """Return the inverse of forward."""
        moved = np.linalg.solve(self.matrix, (points - self.offset).T).T
        return np.asarray(moved, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class DisplacementMovement:
    """p' = p + u(p), with a smooth displacement u that is sampled at every pixel of the layer before.

    Attributes:
        displacement: (2, height, width): u_x and u_y in pixels. Beyond the edge the edge's value holds.
    """

    displacement: NDArray[np.float64]

    def forward(self, points: Points) -> Points:
        """Return p + u(p)."""
        return points + self._at(points)

    def backward(self, points: Points) -> Points:
        """Return the p with p + u(p) = p', by fixed-point rounds; they converge where u changes by less than a pixel a pixel."""
        found = points.copy()
        for _ in range(_ROUNDS):
            change = points - self._at(found) - found
            found += change
            if not len(change) or np.abs(change).max() < _TOLERANCE_PX:
                break
        return found

    def _at(self, points: Points) -> Points:
        rows_columns = points.T[::-1]
        return np.stack([ndimage.map_coordinates(part, rows_columns, order=1, mode="nearest") for part in self.displacement], axis=1)


@dataclass(frozen=True, eq=False)
class CoordinateMap:
    """Movements one after the other; without any, positions stay.

    Attributes:
        movements: in the order in which the steps were applied.
    """

    movements: tuple[Movement, ...] = ()

    def forward(self, positions: ArrayLike) -> Points:
        """Return (n, 2) positions of the raw layer, columns x and y in pixels, as pixels of the prepared layer.

        Positions outside of the prepared layer are kept; see `inside`.
        """
        points = _as_points(positions)
        for movement in self.movements:
            points = movement.forward(points)
        return points

    def backward(self, positions: ArrayLike) -> Points:
        """Return (n, 2) positions of the prepared layer, columns x and y in pixels, as pixels of the raw layer."""
        points = _as_points(positions)
        for movement in reversed(self.movements):
            points = movement.backward(points)
        return points

    def then(self, movements: Sequence[Movement]) -> CoordinateMap:
        """Return this map followed by further movements."""
        return CoordinateMap((*self.movements, *movements))


def inside(positions: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Say which of (n, 2) positions, columns x and y in pixels, lie on a layer of (height, width), half a pixel of edge included."""
    points = _as_points(positions)
    height, width = shape
    within: NDArray[np.bool_] = (points >= -0.5).all(axis=1) & (points[:, 0] <= width - 0.5) & (points[:, 1] <= height - 0.5)
    return within


def _as_points(positions: ArrayLike) -> Points:
    return np.array(positions, dtype=np.float64).reshape(-1, 2)
