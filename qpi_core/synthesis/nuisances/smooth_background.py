"""Smooth background: a Gaussian random field, as drifting set points, strain and far-away scatterers leave one.

    <b(p) b(p + d)> = exp(-d^2 / (2 l^2))

Drawn as white noise filtered with a Gaussian of standard deviation l / sqrt(2), whose autocovariance this is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.bands.band_structures import require_in_range
from qpi_core.synthesis.nuisances.blurred_noise import BlurredNoise, draw_blurred_noise


@dataclass(frozen=True)
class SmoothBackground:
    """A Gaussian random field of one length.

    Attributes:
        level: standard deviation over the map, relative to that of the clean map.
        length_nm: l, the correlation length.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 1.0
    length_nm: float = 3.0

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")
        require_in_range("length_nm", self.length_nm, 0.1, 10.0, "nm")


def draw_background(
    background: SmoothBackground, shape: tuple[int, int], rng: np.random.Generator, pixel_size_nm: float = DEFAULT_PIXEL_SIZE_NM
) -> NDArray[np.float64]:
    """Return a field of unit variance on a (height, width) map; over one map it varies less, and its mean is not zero."""
    width_px = background.length_nm / pixel_size_nm / np.sqrt(2)
    return draw_blurred_noise(BlurredNoise(1.0, float(width_px)), shape, rng)
