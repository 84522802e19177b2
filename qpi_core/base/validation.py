"""Checks of what comes in from outside, shared by every solver; each failure is one plain sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError

MAX_PIXELS = 2**26
"""Largest map that is accepted (8192 x 8192 pixels)."""

MIN_KERNEL_SIZE = 3


def require_observation(observation: ArrayLike) -> NDArray[np.float32]:
    """Return the observation as a 2-D float32 array; NaN marks pixels that were not measured, as does the mask of a masked array.

    Raises:
        InputError: not numeric, not 2-D, smaller than 4 x 4, larger than MAX_PIXELS, infinite, or without any finite pixel.
    """
    try:
        array: NDArray[Any] = np.asarray(observation)
    except ValueError:
        raise InputError("observation must be one layer, 2-D (height, width), but its rows have different lengths.") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"observation must be an array of real numbers, but it holds {array.dtype}.")
    if array.ndim != 2:
        raise InputError(f"observation must be one layer, 2-D (height, width), but it has shape {array.shape}; choose one layer.")
    if min(array.shape) < 4:
        raise InputError(f"observation is {array.shape[1]} x {array.shape[0]} pixels; at least 4 x 4 are needed.")
    if array.size > MAX_PIXELS:
        raise InputError(f"observation has {array.size} pixels; at most {MAX_PIXELS} are accepted, so crop or resample it first.")
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    if isinstance(observation, np.ma.MaskedArray):
        values[np.ma.getmaskarray(observation)] = np.nan
    if np.isinf(values).any():
        raise InputError("observation holds infinite values (or values beyond single precision); mark unmeasured pixels as NaN instead.")
    if not np.isfinite(values).any():
        raise InputError("observation holds no measured pixel: every value is NaN.")
    return values


EFFORTS = ("full", "fast")
NOISE_MODELS = ("auto", "white")


def require_noise_model(name: str) -> str:
    """Return the name of a noise model.

    Raises:
        InputError: there is no such noise model.
    """
    if name not in NOISE_MODELS:
        raise InputError(f"noise_model must be one of {', '.join(NOISE_MODELS)}, but it is {name!r}.")
    return name


def require_effort(effort: str) -> str:
    """Return an effort.

    Raises:
        InputError: there is no such effort.
    """
    if effort not in EFFORTS:
        raise InputError(f"effort must be one of {', '.join(EFFORTS)}, but it is {effort!r}.")
    return effort


def is_constant(values: NDArray[np.float32]) -> bool:
    """Tell whether a map with at least one measured pixel varies by no more than single precision does."""
    return float(np.nanstd(values, dtype=np.float64)) <= 1e-6 * float(np.nanmax(np.abs(values)))


def require_positions(positions: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return defect positions as an (n, 2) float64 array of (x, y) in pixels of a map of the given (height, width).

    A position counts as on the map up to half a pixel beyond the centres of its edge pixels.

    Raises:
        InputError: no positions, a wrong shape, not finite, or outside the map.
    """
    try:
        array = np.ma.filled(np.ma.asarray(positions, dtype=np.float64), np.nan)
    except (TypeError, ValueError):
        raise InputError("positions must be numbers: an (n, 2) array with the columns x and y in pixels.") from None
    if array.size == 0:
        raise InputError("positions is empty; mark at least one defect position.")
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"positions must have shape (n, 2) with the columns x and y in pixels, but it has shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"positions holds {int((~np.isfinite(array)).any(axis=1).sum())} rows that are not finite; remove them.")
    height, width = shape
    outside = (array < -0.5).any(axis=1) | (array[:, 0] > width - 0.5) | (array[:, 1] > height - 0.5)
    if outside.any():
        x, y = array[outside][0]
        raise InputError(
            f"positions holds {int(outside.sum())} outside the map, the first at x = {x:.6g} px, y = {y:.6g} px; "
            f"the map spans x from 0 to {width - 1} and y from 0 to {height - 1}."
        )
    return array


def require_kernel_size(kernel_size: int, shape: tuple[int, int]) -> int:
    """Return the side of the kernel window in pixels, at most the shorter side of the map.

    Raises:
        InputError: not a whole number, below MIN_KERNEL_SIZE, or larger than the map.
    """
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, (int, np.integer)):
        raise InputError(f"kernel_size must be a whole number of pixels, but it is {kernel_size!r}.")
    if kernel_size < MIN_KERNEL_SIZE:
        raise InputError(f"kernel_size is {kernel_size}; at least {MIN_KERNEL_SIZE} pixels are needed.")
    if kernel_size > min(shape):
        raise InputError(
            f"kernel_size is {kernel_size} pixels, larger than the map of {shape[1]} x {shape[0]} pixels; choose at most {min(shape)}."
        )
    return int(kernel_size)


def require_weights(weights: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Return one amplitude a defect as float64; None means 1 for each.

    Raises:
        InputError: a wrong shape, not finite, or all zero.
    """
    if weights is None:
        return np.ones(count)
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        raise InputError("weights must be numbers, one a defect.") from None
    if array.shape != (count,):
        raise InputError(f"weights must have shape ({count},), one amplitude a defect, but it has shape {array.shape}.")
    if not np.isfinite(array).all() or not array.any():
        raise InputError("weights must be finite numbers that are not all zero.")
    return array


def require_pixel_size(pixel_size_nm: float | tuple[float, float]) -> tuple[float, float]:
    """Return the pixel size as (dy, dx) in nm; one number stands for both.

    Raises:
        InputError: not one or two positive finite numbers.
    """
    try:
        pair = np.broadcast_to(np.asarray(pixel_size_nm, dtype=np.float64), (2,))
    except (OverflowError, TypeError, ValueError):
        raise InputError(f"pixel_size_nm must be one number or (dy, dx) in nm, but it is {pixel_size_nm!r}.") from None
    if not (np.isfinite(pair).all() and (pair > 0).all()):
        raise InputError(f"pixel_size_nm must be positive and finite, but it is {pixel_size_nm!r}.")
    return float(pair[0]), float(pair[1])


def require_problem(
    observation: ArrayLike, positions: ArrayLike, kernel_size: int, weights: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.float64], int, NDArray[np.float64]]:
    """Return the checked (observation, positions, kernel_size, weights) that every solver starts from.

    Raises:
        InputError: as the four checks of the single arguments.
    """
    image = require_observation(observation)
    shape = (image.shape[0], image.shape[1])
    points = require_positions(positions, shape)
    return image, points, require_kernel_size(kernel_size, shape), require_weights(weights, len(points))


def require_real_image(image: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a real picture without gaps, (height, width) of at least 2 x 2, as float64.

    Raises:
        InputError: it has another shape or type, or holds values that are not finite; name is the argument's.
    """
    array = np.asarray(image)
    if array.ndim != 2 or min(array.shape) < 2 or array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be a real 2-D array of at least 2 x 2, but it has shape {array.shape} and holds {array.dtype}.")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds {int((~np.isfinite(values)).sum())} values that are not finite numbers.")
    return values
