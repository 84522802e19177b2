"""The coordinates of the harmonic solver: pixels made square, then perhaps stretched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SolverFrame:
    """From pixels to the solver's unit of length (a square pixel of the mean area is 1).

    Attributes:
        aspect: (dy, dx) of a pixel in that unit.
        stretch: symmetric (2, 2) that (x, y) are multiplied by in the end; None is nothing.
    """

    aspect: tuple[float, float]
    stretch: Array | None = None

    @cached_property
    def matrix(self) -> Array:
        """The matrix, (2, 2), that (x, y) in px are multiplied by."""
        square = np.diag([self.aspect[1], self.aspect[0]])
        return square if self.stretch is None else np.asarray(self.stretch @ square)

    def coordinates(self, points: Array) -> Array:
        """Return the solver's coordinates, (..., 2), of (x, y) in px."""
        return np.asarray(points @ self.matrix.T)

    def pixels(self, coordinates: Array) -> Array:
        """Return (x, y) in px, (..., 2), from the solver's coordinates."""
        return np.asarray(coordinates @ np.linalg.inv(self.matrix).T)

    def by_pixel(self, by_x: Array, by_y: Array) -> tuple[Array, Array]:
        """Return derivatives by x and y in px from those by the solver's coordinates."""
        m = self.matrix
        return m[0, 0] * by_x + m[1, 0] * by_y, m[0, 1] * by_x + m[1, 1] * by_y

    def reach(self, radius: float) -> int:
        """Return the half side in px of the window that holds a radius of the solver in every direction."""
        return int(np.floor(radius / np.linalg.svd(self.matrix, compute_uv=False)[-1]))

    def grid(self, size: int) -> KernelGrid:
        """Return the offsets of a window of size px, centre at index size // 2."""
        return KernelGrid.of_size(size, self.aspect, self.stretch)


def stretch_matrix(numbers: Array) -> Array:
    """Return exp([[a, b], [b, -a]]), (2, 2), for numbers (a, b)."""
    size = float(np.hypot(*numbers))
    generator = np.array([[numbers[0], numbers[1]], [numbers[1], -numbers[0]]])
    return np.asarray(np.cosh(size) * np.eye(2) + np.sinc(1j * size / np.pi).real * generator)
