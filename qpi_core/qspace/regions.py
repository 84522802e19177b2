"""Regions of q-space: discs and rings in rad/nm, as masks on the q grid of a kernel's spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import q_axes

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Disc:
    """All q within `radius` of a centre, and of its copies under rotations by 2 pi / copies.

    Attributes:
        qx, qy: centre in rad/nm (2 pi included), y downwards as the map is stored.
        radius: rad/nm, > 0.
        copies: number of discs around q = 0; 2 adds the one at -q, which a real kernel makes equal.

    Raises:
        InputError: a radius or a number of copies that is not positive.
    """

    qx: float
    qy: float
    radius: float
    copies: int = 2

    def __post_init__(self) -> None:
        if not self.radius > 0 or self.copies < 1:
            raise InputError(f"radius and copies of a disc must be positive, but they are {self.radius!r} and {self.copies!r}.")

    def contains(self, qx: NDArray[np.float64], qy: NDArray[np.float64]) -> Mask:
        """Return which wave vectors lie inside."""
        inside = np.zeros(np.broadcast_shapes(qx.shape, qy.shape), dtype=bool)
        for turn in 2 * np.pi * np.arange(self.copies) / self.copies:
            x, y = self.qx * np.cos(turn) - self.qy * np.sin(turn), self.qx * np.sin(turn) + self.qy * np.cos(turn)
            inside |= np.hypot(qx - x, qy - y) <= self.radius
        return inside


@dataclass(frozen=True)
class Ring:
    """All q with q_min <= |q| <= q_max, rad/nm.

    Raises:
        InputError: not 0 <= q_min < q_max.
    """

    q_min: float
    q_max: float

    def __post_init__(self) -> None:
        if not 0 <= self.q_min < self.q_max:
            raise InputError(f"a ring needs 0 <= q_min < q_max, but they are {self.q_min!r} and {self.q_max!r}.")

    def contains(self, qx: NDArray[np.float64], qy: NDArray[np.float64]) -> Mask:
        """Return which wave vectors lie inside."""
        length = np.hypot(qx, qy)
        return np.asarray((length >= self.q_min) & (length <= self.q_max))


Region = Disc | Ring


def region_mask(region: Region | Sequence[Region] | ArrayLike, size: int, pixel_size_nm: float | tuple[float, float]) -> Mask:
    """Return a region on the q grid of a (size, size) kernel, q = 0 at index size // 2.

    Args:
        region: a disc, a ring, several of them together, or a mask (size, size) of True and False.
        size: side of the kernel in px.
        pixel_size_nm: pitch, one number or (dy, dx).

    Raises:
        InputError: a mask of another shape or type, or a region that holds no q of the grid or reaches beyond it.
    """
    given = region if isinstance(region, (list, tuple)) else (region,)
    parts = [part for part in given if isinstance(part, (Disc, Ring))]
    if parts and len(parts) == len(given):
        qy, qx = q_axes((size, size), pixel_size_nm)
        mask = np.zeros((size, size), dtype=bool)
        for part in parts:
            mask |= part.contains(qx[None, :], qy[:, None])
    else:
        mask = np.asarray(region)
        if mask.dtype != np.bool_ or mask.shape != (size, size):
            raise InputError(
                f"region must be Disc, Ring, several of them, or a mask of {size} x {size} True and False, "
                f"but it has shape {mask.shape} and holds {mask.dtype}."
            )
    if not mask.any():
        raise InputError(f"region holds no wave vector of the q grid of {size} x {size} pixels; choose a larger one or a larger window.")
    return mask
