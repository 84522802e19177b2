"""Reading a layer between its pixels, with gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qpi_core.maps.preparation.coordinates import AffineMovement, DisplacementMovement

Image = NDArray[np.float64]

_ROUNDING_PX = 1e-6


def filled(values: Image) -> Image:
    """Return a copy whose NaN pixels hold the value of the nearest measured pixel; an image without any measured pixel becomes 0."""
    missing = ~np.isfinite(values)
    if not missing.any():
        return values.copy()
    if missing.all():
        return np.zeros_like(values)
    rows, columns = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    nearest: Image = values[rows, columns]
    return nearest


def sample(values: Image, x: Image, y: Image) -> Image:
    """Return an image at fractional pixels by cubic splines; NaN outside, and where most of the neighbourhood was not measured.

    Args:
        values: (height, width).
        x, y: pixels to read, of any one shape, 0 at the centre of the first pixel.
    """
    height, width = values.shape
    where = np.stack([y, x])
    # Mirrored edges keep the spline from overshooting at the border; points outside are blanked below.
    result: Image = ndimage.map_coordinates(filled(values), where, order=3, mode="mirror")
    missing = ~np.isfinite(values)
    if missing.any():
        result[ndimage.map_coordinates(missing.astype(np.float64), where, order=1, mode="nearest") > 0.5] = np.nan
    edge = 0.5 + _ROUNDING_PX
    result[(x < -edge) | (y < -edge) | (x > width - 1 + edge) | (y > height - 1 + edge)] = np.nan
    return result


def smoothed(values: Image, sigma_px: tuple[float, float]) -> Image:
    """Return a Gaussian average over measured pixels only, sigma (y, x) in pixels; NaN pixels stay NaN."""
    measured = np.isfinite(values)
    total = ndimage.gaussian_filter(np.where(measured, values, 0.0), sigma_px, mode="nearest")
    if measured.all():
        averaged: Image = total
        return averaged
    weight = ndimage.gaussian_filter(measured.astype(np.float64), sigma_px, mode="nearest")
    return np.where(measured, total / np.where(measured, weight, 1.0), np.nan)


def read_moved(values: Image, moved: AffineMovement | DisplacementMovement, shape: tuple[int, int]) -> Image:
    """Return the moved layer of (height, width): every new pixel is read where it lay before."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    points = moved.backward(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
    return sample(values, points[:, 0], points[:, 1]).reshape(shape)
