"""The values of a map along a straight line, and the length and direction of that line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_pixel_size

MOST_WIDTH_PX = 200.0
Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class LineProfile:
    """A map along a line.

    Attributes:
        distance: (n,) from the start, nm, or px without a pixel size.
        values: (n,) units of the map, NaN where no pixel across the line was measured.
        length: of the line, nm or px.
        angle: of the line, rad, from x towards y as stored (downwards).
    """

    distance: NDArray[np.float64]
    values: NDArray[np.float64]
    length: float
    angle: float


def line_profile(
    observation: ArrayLike, start: Point, end: Point, width_px: float = 1.0, pixel_size_nm: float | tuple[float, float] | None = None
) -> LineProfile:
    """Return the values along a line, bilinear between pixels, averaged over a width across it; a point a pixel.

    Args:
        observation: (height, width), NaN where not measured.
        start, end: (x, y) in pixels, on the map.
        width_px: over which to average, 1 is the line itself.
        pixel_size_nm: pitch, one number or (dy, dx); None gives lengths in px.

    Raises:
        InputError: not a map, a line without length or off the map, or a bad width or pixel size.
    """
    image = require_observation(observation).astype(np.float64)
    dy, dx = require_pixel_size(1.0 if pixel_size_nm is None else pixel_size_nm)
    ends = np.array([start, end], dtype=np.float64)
    limits = np.array([image.shape[1], image.shape[0]]) - 0.5
    if ends.shape != (2, 2) or not np.isfinite(ends).all() or (ends < -0.5).any() or (ends > limits).any():
        raise InputError(f"start and end must be two positions (x, y) on the map of {image.shape[1]} x {image.shape[0]} pixels.")
    if not 1 <= width_px <= MOST_WIDTH_PX:
        raise InputError(f"width_px must lie in 1 to {MOST_WIDTH_PX:g}, but it is {width_px!r}.")
    step = ends[1] - ends[0]
    pixels = float(np.hypot(*step))
    if pixels < 1e-6:
        raise InputError("start and end are the same place; a profile needs a line between two.")
    along = np.linspace(0.0, 1.0, max(2, int(np.ceil(pixels)) + 1))
    normal = np.array([-step[1], step[0]]) / pixels
    across = np.linspace(-(width_px - 1) / 2, (width_px - 1) / 2, max(1, int(np.ceil(width_px))))
    places = ends[0] + along[:, None, None] * step + across[None, :, None] * normal
    values = _mean_of_measured(_bilinear(image, places))
    physical = step * np.array([dx, dy])
    length = float(np.hypot(*physical))
    return LineProfile(along * length, values, length, float(np.arctan2(physical[1], physical[0])))


def _bilinear(image: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the image at places (..., 2); the outermost half pixel has the value of its pixel.

    NaN outside, and where pixels that were not measured have more than half of the weight; those that were share the rest.
    """
    height, width = image.shape
    x, y = places[..., 0], places[..., 1]
    inside = (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    where, known = [np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], np.isfinite(image)
    found = map_coordinates(np.where(known, image, 0.0), where, order=1, mode="nearest")
    share = map_coordinates(known.astype(np.float64), where, order=1, mode="nearest")
    return np.where(inside & (share > 0.5), found / np.maximum(share, 0.5), np.nan)


def _mean_of_measured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)
