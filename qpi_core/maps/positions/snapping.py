"""Marks that were set by hand, moved onto the extremum next to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_positions

Array = NDArray[np.float64]

MAX_RADIUS_PX = 100
_BACKGROUND_RADII = 3
# Least-squares parabola a + b x + c y + d x^2 + e x y + f y^2 through 3 x 3 pixels.
_Y, _X = (grid.ravel() for grid in np.mgrid[-1:2, -1:2])
_PARABOLA = np.linalg.pinv(np.stack([np.ones(9), _X, _Y, _X**2, _X * _Y, _Y**2], axis=1))


def snap_to_extremum(observation: ArrayLike, positions: ArrayLike, radius_px: float = 3) -> Array:
    """Return positions (n, 2), each moved to the strongest maximum or minimum near it; unchanged where there is none.

    The strongest is the one that deviates most from the median of the surroundings (three times the radius). Maxima above it and
    minima below it count, with all eight neighbours measured; the place between the pixels is that of the least-squares parabola
    through the 3 x 3 pixels. Right for defects that look like spots; a kernel's centre need not be an extremum.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        radius_px: from a position to the pixel of the extremum, 1 to MAX_RADIUS_PX.

    Raises:
        InputError: bad observation or positions, or a radius outside its range.

    Example:
        >>> import numpy as np
        >>> import qpi_core
        >>> y, x = np.mgrid[:30, :30]
        >>> spot = np.exp(-((x - 12) ** 2 + (y - 17) ** 2) / 8)
        >>> qpi_core.snap_to_extremum(spot, [[11.0, 18.0]]).round(6).tolist()
        [[12.0, 17.0]]
    """
    if not 1 <= radius_px <= MAX_RADIUS_PX:
        raise InputError(f"radius_px must be between 1 and {MAX_RADIUS_PX}, but it is {radius_px!r}.")
    layer = require_observation(observation).astype(np.float64)
    points = require_positions(positions, (layer.shape[0], layer.shape[1]))
    extrema = _extrema(layer)
    return np.array([_snapped(layer, extrema, point, float(radius_px)) for point in points])


def _extrema(layer: Array) -> NDArray[np.int8]:
    """Return 1 at maxima among the eight neighbours, -1 at minima, 0 elsewhere, at the edge and next to unmeasured pixels."""
    inner = ~ndimage.binary_dilation(~np.isfinite(layer), np.ones((3, 3), bool), border_value=True)
    filled = np.where(np.isfinite(layer), layer, 0.0)
    highest, lowest = ndimage.maximum_filter(filled, 3), ndimage.minimum_filter(filled, 3)
    uneven = inner & (highest > lowest)
    return np.asarray((uneven & (filled == highest)).astype(np.int8) - (uneven & (filled == lowest)), dtype=np.int8)


def _snapped(layer: Array, extrema: NDArray[np.int8], point: Array, radius: float) -> Array:
    (left, top), (right, bottom) = (np.maximum(np.floor(point - _BACKGROUND_RADII * radius), 0), point + _BACKGROUND_RADII * radius + 1)
    rows, columns = slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
    values, kinds = layer[rows, columns], extrema[rows, columns]
    y, x = np.indices(values.shape) + np.array([rows.start, columns.start])[:, None, None]
    if not np.isfinite(values).any():
        return point
    deviation = (values - np.nanmedian(values)) * kinds
    near = (np.hypot(x - point[0], y - point[1]) <= radius) & (kinds != 0) & (deviation > 0)
    if not near.any():
        return point
    best = int(np.argmax(np.where(near, deviation, -np.inf)))
    row, column = int(y.flat[best]), int(x.flat[best])
    return np.array([column, row]) + _parabola_extremum(layer[row - 1 : row + 2, column - 1 : column + 2])


def _parabola_extremum(values: Array) -> Array:
    """Return (x, y) of the parabola's extremum from the middle of 3 x 3 values, within half a pixel; 0 where it has none."""
    _, b, c, d, e, f = _PARABOLA @ values.ravel()
    if 4 * d * f - e * e <= 0:
        return np.zeros(2)
    return np.clip(np.linalg.solve([[2 * d, e], [e, 2 * f]], [-b, -c]), -0.5, 0.5)
