"""Averaging a picture over rotations and a mirror, and what that takes away.

    S f(p) = mean of f(g p) over the elements g of the group that keep p inside the picture

about the centre pixel n // 2 of both axes. The original is the sum of what is kept and what is removed. Symmetrising makes the
symmetry that it assumes; only what it removes says whether it was there (Mann, arXiv 1509.07807).

Rotations by 180 degrees, mirrors along the axes, and with square pixels also those by 90 degrees and along the diagonals map pixels
onto pixels: S is then a projector to rounding (twice is once). Every other element falls between the pixels, where a quintic spline
stands for the picture: twice is once as far as the picture is smooth on the scale of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates, spline_filter

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size, require_real_image

ROTATION_ORDERS = (1, 2, 3, 4, 6)
_SPLINE_ORDER = 5
_LEAST_ANGULAR_SHARE = 1e-12

Picture = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Symmetrised:
    """A picture taken apart.

    Attributes:
        kept: (height, width) the symmetric part.
        removed: (height, width) picture - kept.
        removed_share: of the sum of squares of the picture, 0 to 1; 0 for a picture of zeros.
    """

    kept: Picture
    removed: Picture
    removed_share: float


@dataclass(frozen=True)
class MirrorAxis:
    """The axis about which a picture is most nearly even.

    Attributes:
        angle: of the axis, rad from +x towards +y (downwards), from 0 to below pi / order.
        even_share: of the angular power that is even about it; 1 is a perfect mirror, 0.5 is none.
        angular_share: of the power within the largest circle that depends on the angle at all; near 0 every axis is as good.
    """

    angle: float
    even_share: float
    angular_share: float


def symmetrise(
    picture: ArrayLike, order: int = 1, mirror_angle: float | None = None, pixel_size: float | tuple[float, float] = 1.0
) -> Symmetrised:
    """Average a picture over n-fold rotations, and over a mirror where an axis is given.

    Args:
        picture: (height, width) real and finite, centre at index n // 2.
        order: n, one of ROTATION_ORDERS; 1 is no rotation.
        mirror_angle: direction of the mirror axis, rad from +x towards +y (downwards); None for no mirror.
        pixel_size: pitch, one number or (dy, dx), in any unit: only their ratio counts.

    Raises:
        InputError: not a finite 2-D array, an unknown order, an angle that is not finite, or a bad pixel size.
    """
    values = require_real_image(picture, "picture")
    if order not in ROTATION_ORDERS or isinstance(order, bool):
        raise InputError(f"order must be one of {', '.join(map(str, ROTATION_ORDERS))}, but it is {order!r}.")
    if mirror_angle is not None and not np.isfinite(mirror_angle):
        raise InputError(f"mirror_angle must be a finite angle in rad or None, but it is {mirror_angle!r}.")
    elements = _group(order, mirror_angle)
    total, count = values.copy(), np.ones(values.shape)
    if len(elements) > 1:
        sample = _Sampler(values, pixel_size)
        x, y = sample.coordinates()
        for (xx, xy), (yx, yy) in elements[1:]:
            moved, inside = sample(xx * x + xy * y, yx * x + yy * y)
            total += np.where(inside, moved, 0.0)
            count += inside
    kept = total / count
    removed = values - kept
    power = float((values**2).sum())
    return Symmetrised(kept, removed, float((removed**2).sum()) / power if power > 0 else 0.0)


def find_mirror_axis(picture: ArrayLike, order: int = 1, pixel_size: float | tuple[float, float] = 1.0) -> MirrorAxis:
    """Return the mirror axis of a picture, or of its n-fold part where an order is given.

    With f = sum of c_m(r) exp(i m t) on a circle, the correlation of f with its mirror image about the axis a is the integral over
    r dr of sum c_m^2 exp(2 i m a); the axis is where it is largest.

    Args:
        picture, pixel_size: as `symmetrise`.
        order: n, one of ROTATION_ORDERS; only angular orders that are multiples of it take part.

    Raises:
        InputError: as `symmetrise`.
    """
    values = require_real_image(picture, "picture")
    if order not in ROTATION_ORDERS or isinstance(order, bool):
        raise InputError(f"order must be one of {', '.join(map(str, ROTATION_ORDERS))}, but it is {order!r}.")
    sample = _Sampler(values, pixel_size)
    radii = np.arange(0.5, sample.reach / sample.finer)[:, None] * sample.finer
    directions = max(64, 2 ** int(np.ceil(np.log2(2 * np.pi * len(radii)))))
    angles = 2 * np.pi * np.arange(directions) / directions
    circles, _ = sample(radii * np.cos(angles), radii * np.sin(angles))
    waves = np.fft.rfft(circles, axis=1)[:, : directions // 2] / directions
    kept = np.arange(directions // 2) % order == 0
    kept[0] = False
    squares = (radii * waves**2).sum(axis=0) * kept
    power = (radii * np.abs(waves) ** 2).sum(axis=0)
    angular = float((power * kept).sum())
    total = float(power[0] / 2 + power[1:].sum())
    if total == 0 or angular <= _LEAST_ANGULAR_SHARE * total:
        return MirrorAxis(0.0, 0.5, 0.0)
    fine = 8 * directions
    # exp(2 i m a) at a = pi j / fine is exp(2 pi i m j / fine), and the sum is real: an inverse transform of real values.
    correlation = np.fft.irfft(squares, n=fine) * fine / 2
    best = int(np.argmax(correlation[: fine // order]))
    before, top, after = (float(correlation[(best + step) % fine]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    angle = np.pi * (best + (0.5 * (before - after) / bend if bend < 0 else 0.0)) / fine
    return MirrorAxis(float(angle % (np.pi / order)), (1 + top / angular) / 2, angular / total)


class _Sampler:
    """A picture between its pixels, in physical coordinates from its centre."""

    def __init__(self, values: Picture, pixel_size: float | tuple[float, float]) -> None:
        self._shape = values.shape
        self._step = require_pixel_size(pixel_size)
        self._centre = values.shape[0] // 2, values.shape[1] // 2
        self._coefficients = spline_filter(values, _SPLINE_ORDER, mode="mirror")
        self.finer = min(self._step)
        self.reach = min((side - 1 - centre) * step for side, centre, step in zip(self._shape, self._centre, self._step, strict=True))

    def coordinates(self) -> tuple[Picture, Picture]:
        """Return (x, y) of every pixel."""
        y, x = ((np.arange(side) - centre) * step for side, centre, step in zip(self._shape, self._centre, self._step, strict=True))
        return x[None, :] + 0 * y[:, None], y[:, None] + 0 * x[None, :]

    def __call__(self, x: Picture, y: Picture) -> tuple[Picture, NDArray[np.bool_]]:
        """Return the values at points, and which of them lie inside; rounding must not push a pixel of the edge outside."""
        places = np.round([y / self._step[0] + self._centre[0], x / self._step[1] + self._centre[1]], 9)
        inside = (places >= 0).all(axis=0) & (places[0] <= self._shape[0] - 1) & (places[1] <= self._shape[1] - 1)
        return map_coordinates(self._coefficients, places, order=_SPLINE_ORDER, mode="mirror", prefilter=False), inside


def _group(order: int, mirror_angle: float | None) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the matrices of the group as rows, the identity first."""
    turns = 2 * np.pi * np.arange(order) / order
    elements = [((np.cos(t), -np.sin(t)), (np.sin(t), np.cos(t))) for t in turns]
    if mirror_angle is not None:
        elements += [((np.cos(t), np.sin(t)), (np.sin(t), -np.cos(t))) for t in turns + 2 * mirror_angle]
    return elements
