"""Peaks of a response that was computed for every pixel: local maxima, thinned out, between the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_PEAKS = 10_000


def in_deviations(response: NDArray[np.floating[Any]], measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the response minus its median, in units of its robust standard deviation; zero where it is the same everywhere."""
    values = response[measured]
    centre = np.median(values)
    # 1.4826 makes the median absolute deviation the standard deviation of a normal distribution.
    deviation = 1.4826 * float(np.median(np.abs(values - centre))) or float(values.std())
    return ((response - centre) / deviation if deviation > 0 else np.zeros_like(response)).astype(np.float64)


def local_maxima(signed: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Return (n, 2) pixels (y, x) of local maxima above the threshold, strongest first."""
    maxima = (signed == ndimage.maximum_filter(signed, size=3, mode="nearest")) & (signed > threshold)
    pixels = np.argwhere(maxima)
    order = np.argsort(-signed[maxima], kind="stable")[:MAX_PEAKS]
    return pixels[order]


def thin_out(peaks: NDArray[np.int64], min_distance: float) -> list[tuple[int, int]]:
    """Return the peaks in order, leaving out those closer than min_distance to one that was kept."""
    cells: dict[tuple[int, int], list[tuple[int, int]]] = {}
    kept: list[tuple[int, int]] = []
    for y, x in peaks.tolist():
        row, column = int(y // min_distance), int(x // min_distance)
        near = (other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in cells.get((row + i, column + j), ()))
        if all((y - v) ** 2 + (x - u) ** 2 >= min_distance**2 for v, u in near):
            cells.setdefault((row, column), []).append((y, x))
            kept.append((y, x))
    return kept


def parabola_top(signed: NDArray[np.float64], y: int, x: int) -> tuple[float, float]:
    """Return (x, y) of the top of the parabola through a maximum and its neighbours along each axis, within half a pixel."""
    height, width = signed.shape
    return (
        x + (_offset(signed[y, x - 1], signed[y, x], signed[y, x + 1]) if 0 < x < width - 1 else 0.0),
        y + (_offset(signed[y - 1, x], signed[y, x], signed[y + 1, x]) if 0 < y < height - 1 else 0.0),
    )


def _offset(before: float, top: float, after: float) -> float:
    curvature = before - 2 * top + after
    return float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
