"""Taking out tilt, bow and line offsets; NaN pixels take no part in any fit and stay NaN. What a step removed is input - output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation

_MAX_ORDER = 5


def level(observation: ArrayLike, kind: str = "plane", order: int = 2) -> NDArray[np.float64]:
    """Return the levelled layer.

    Args:
        observation: (height, width); NaN = not measured.
        kind: "none"; "plane" (least squares); "lines" (median of every row); "line_means"; "lines_linear" (straight line in every row);
            "line_differences" (median step from row to row, which keeps terraces); "polynomial" (of the given total order).
        order: total order of the polynomial, 1 to 5.

    Raises:
        InputError: no such kind, an order outside 1 to 5, or an observation that is not a 2-D layer.
    """
    require_observation(observation)
    layer = np.array(observation, dtype=np.float64)
    if kind == "none":
        return layer
    if kind == "polynomial":
        return subtract_polynomial(layer, order)
    if kind not in _KINDS:
        raise InputError(f"kind must be one of {', '.join(repr(name) for name in LEVELLING_KINDS)}, but it is {kind!r}.")
    return _KINDS[kind](layer)


def tilt_share(observation: ArrayLike) -> float:
    """Return the share of a layer's variance that its least-squares plane makes up, from 0 to 1; 0 for a constant layer.

    Args:
        observation: (height, width); NaN = not measured.
    """
    layer = np.array(observation, dtype=np.float64)
    variance = float(np.nanvar(layer))
    if variance == 0.0:
        return 0.0
    return min(1.0, max(0.0, 1.0 - float(np.nanvar(level(layer, "plane"))) / variance))


def subtract_plane(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the least-squares plane."""
    return subtract_polynomial(layer, 1)


def subtract_polynomial(layer: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Subtract the least-squares polynomial of all terms x^i y^j with i + j <= order, 1 <= order <= 5.

    Raises:
        InputError: an order outside 1 to 5.
    """
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or not 1 <= order <= _MAX_ORDER:
        raise InputError(f"order must be a whole number from 1 to {_MAX_ORDER}, but it is {order!r}.")
    height, width = layer.shape
    # Legendre polynomials on [-1, 1] keep the normal equations well conditioned; the span of functions is the same.
    along_y = np.polynomial.legendre.legvander(np.linspace(-1, 1, height), order)
    along_x = np.polynomial.legendre.legvander(np.linspace(-1, 1, width), order)
    terms = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    measured = np.isfinite(layer)
    weights = measured.astype(np.float64)
    centre = float(layer[measured].mean())
    filled = np.where(measured, layer - centre, 0.0)
    normal = np.empty((len(terms), len(terms)))
    right = np.empty(len(terms))
    for a, (i, j) in enumerate(terms):
        right[a] = along_y[:, i] @ filled @ along_x[:, j]
        for b, (k, m) in enumerate(terms[: a + 1]):
            normal[a, b] = normal[b, a] = (along_y[:, i] * along_y[:, k]) @ weights @ (along_x[:, j] * along_x[:, m])
    # A few measured rows cannot tell all terms apart: the pseudo-inverse then takes the smallest surface.
    coefficients = np.linalg.pinv(normal, rcond=1e-12, hermitian=True) @ right
    surface = np.zeros_like(layer)
    for (i, j), coefficient in zip(terms, coefficients, strict=True):
        surface += coefficient * np.outer(along_y[:, i], along_x[:, j])
    return layer - surface - centre


def subtract_line_medians(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract from every row its median."""
    return layer - _row_medians(layer)[:, np.newaxis]


def subtract_line_means(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract from every row the mean of its measured pixels."""
    measured = np.isfinite(layer)
    totals = np.where(measured, layer, 0.0).sum(axis=1)
    result: NDArray[np.float64] = layer - (totals / np.maximum(measured.sum(axis=1), 1))[:, np.newaxis]
    return result


def subtract_line_slopes(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract from every row its least-squares straight line (the mean where a row has one measured pixel)."""
    measured = np.isfinite(layer)
    count = np.maximum(measured.sum(axis=1), 1)
    x = np.where(measured, np.arange(layer.shape[1], dtype=np.float64), 0.0)
    filled = np.where(measured, layer, 0.0)
    mean_x, mean = x.sum(axis=1) / count, filled.sum(axis=1) / count
    off_x = np.where(measured, x - mean_x[:, np.newaxis], 0.0)
    spread = (off_x**2).sum(axis=1)
    slope = np.divide((off_x * filled).sum(axis=1), spread, out=np.zeros_like(spread), where=spread > 0)
    every_x = np.arange(layer.shape[1]) - mean_x[:, np.newaxis]
    result: NDArray[np.float64] = layer - mean[:, np.newaxis] - slope[:, np.newaxis] * every_x
    return result


def subtract_line_differences(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove offsets between rows: the median difference of neighbouring rows becomes 0, then the overall median."""
    steps = _row_medians(np.diff(layer, axis=0, prepend=layer[:1]))
    result: NDArray[np.float64] = layer - np.cumsum(np.nan_to_num(steps))[:, np.newaxis]
    return result - float(np.median(result[np.isfinite(result)]))


def _row_medians(layer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of every row's measured pixels, NaN for rows without any."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in layer])


_KINDS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "plane": subtract_plane,
    "lines": subtract_line_medians,
    "line_means": subtract_line_means,
    "lines_linear": subtract_line_slopes,
    "line_differences": subtract_line_differences,
}

LEVELLING_KINDS = ("none", *_KINDS, "polynomial")
"""The names that level takes."""
