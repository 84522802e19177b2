"""Cores that are not alike: each defect adds a spot of its own, for the atoms that it is made of are not those of the next one.

    b(p) = sum_j c_j exp(-(|p - r_j| / R)^4),   c_j ~ N(0, (level peak)^2),   sum_j c_j = 0

The mean core belongs to the kernel, so the c_j sum to zero; peak is the largest absolute value of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class UnlikeCores:
    """A spot of a random height at every defect.

    Attributes:
        level: standard deviation of the heights, relative to the kernel's largest absolute value.
        radius_px: R, where a spot has fallen to 1 / e.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 1.0
    radius_px: float = 2.0

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the kernel's largest value")
        require_in_range("radius_px", self.radius_px, 0.3, 100.0, "px")


def draw_core_heights(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count,) heights of unit standard deviation as a process, the mean taken off."""
    heights = rng.standard_normal(count)
    return np.asarray(heights - heights.mean())


def core_spots(
    cores: UnlikeCores, heights: NDArray[np.float64], positions: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the spots at positions (n, 2), (x, y) in pixels, summed over a (height, width) map."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    total = np.zeros(shape)
    for (px, py), height in zip(positions, heights, strict=True):
        total += height * np.exp(-((((x - px) ** 2 + (y - py) ** 2) / cores.radius_px**2) ** 2))
    return total
