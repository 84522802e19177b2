"""E(q) along a path through points of high symmetry of a surface's Brillouin zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import fft_magnitude, q_axes
from qpi_core.qspace.surface_lattice import SurfaceLattice

Array = NDArray[np.float64]

_POINTS_A_STEP = 2


@dataclass(frozen=True)
class PathPoint:
    """A corner of a path: its name and its wave vector in rad/nm."""

    name: str
    q_x: float
    q_y: float


@dataclass(frozen=True, eq=False)
class PathMap:
    """|FFT| of the kernels along a path.

    Attributes:
        energies: (energies,) in mV.
        distance: (m,) rad/nm along the path, from 0.
        q_x, q_y: (m,) rad/nm.
        magnitude: (energies, m), NaN in layers without a kernel and beyond what the pixels resolve.
        corners: names of the path's corners and their distances.
    """

    energies: Array
    distance: Array
    q_x: Array
    q_y: Array
    magnitude: Array
    corners: tuple[tuple[str, float], ...]

    def table(self) -> bytes:
        """Return it as CSV: distance, q_x, q_y, and a column an energy."""
        lines = [",".join(["distance_rad_per_nm", "q_x_rad_per_nm", "q_y_rad_per_nm", *(f"{energy:.9g}_mv" for energy in self.energies)])]
        for index in range(self.distance.size):
            values = [self.distance[index], self.q_x[index], self.q_y[index], *self.magnitude[:, index]]
            lines.append(",".join(f"{value:.9g}" if np.isfinite(value) else "" for value in values))
        return ("\n".join(lines) + "\n").encode()


def high_symmetry_path(lattice: SurfaceLattice) -> tuple[PathPoint, ...]:
    """Return the path from the zone's centre to the middle of its nearest side, along it to a corner, and back to the centre.

    It is Γ M K Γ of a hexagonal lattice and Γ X M Γ of a square one; of others the two are called side and corner.
    """
    corners = lattice.brillouin_zone()
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    nearest = int(np.argmin(np.round(np.hypot(*middles.T), 9)))
    hexagonal = len(corners) == 6 and np.ptp(np.hypot(*corners.T)) < 1e-6 * np.hypot(*corners[0])
    square = len(corners) == 4 and np.ptp(np.hypot(*middles.T)) < 1e-6 * np.hypot(*middles[0])
    names = ("M", "K") if hexagonal else ("X", "M") if square else ("side", "corner")
    centre = PathPoint("Γ", 0.0, 0.0)
    points = [PathPoint(name, float(at[0]), float(at[1])) for name, at in zip(names, (middles[nearest], corners[nearest]), strict=True)]
    return (centre, *points, centre)


def path_map(
    kernels: ArrayLike, bias_mv: ArrayLike, pixel_size_nm: float | tuple[float, float], path: Sequence[PathPoint], window: str = "hann"
) -> PathMap:
    """Return |FFT| of every kernel along a path of straight pieces, bilinear between wave vectors.

    Args:
        kernels: (energies, k, k), layers without a kernel NaN.
        bias_mv: (energies,).
        pixel_size_nm: pitch, one number or (dy, dx).
        path: its corners, at least two, no two neighbours at one place.
        window: one of qpi_core.qspace.spectra.WINDOWS.

    Raises:
        InputError: shapes that do not fit, or a path that goes nowhere.
    """
    patterns, energies = np.asarray(kernels), np.asarray(bias_mv, dtype=np.float64)
    if patterns.ndim != 3 or energies.shape != (len(patterns),):
        raise InputError(
            f"kernels must have shape (energies, k, k) with one bias_mv each, but it is {patterns.shape} with {energies.shape}."
        )
    corners = np.array([[one.q_x, one.q_y] for one in path])
    lengths = np.hypot(*np.diff(corners, axis=0).T) if len(corners) > 1 else np.zeros(1)
    if not (lengths > 0).all():
        raise InputError("path must have at least two points, and no two neighbours at the same place.")
    q_y, q_x = q_axes((patterns.shape[1], patterns.shape[2]), pixel_size_nm)
    steps = float(q_y[1] - q_y[0]), float(q_x[1] - q_x[0])
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    distance = np.linspace(0.0, reached[-1], int(np.ceil(reached[-1] / min(steps) * _POINTS_A_STEP)) + 1)
    along_x, along_y = (np.interp(distance, reached, corners[:, axis]) for axis in (0, 1))
    places = np.stack([(along_y - q_y[0]) / steps[0], (along_x - q_x[0]) / steps[1]])
    rows = np.full((len(patterns), distance.size), np.nan)
    for row, pattern in zip(rows, patterns, strict=True):
        if np.isfinite(pattern).all():
            row[:] = map_coordinates(fft_magnitude(pattern, window), places, order=1, mode="constant", cval=np.nan)
    names = tuple((one.name, float(at)) for one, at in zip(path, reached, strict=True))
    return PathMap(energies, distance, along_x, along_y, rows, names)
