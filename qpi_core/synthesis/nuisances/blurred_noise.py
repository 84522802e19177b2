"""Blurred noise: white noise that a filter (lock-in, smoothing) has seen, in place of white noise.

n = g * w,   g Gaussian of standard deviation s,   <n(p) n(p + d)> = exp(-d^2 / (4 s^2))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qpi_core.synthesis.bands.band_structures import require_in_range

_TRUNCATE = 5.0


@dataclass(frozen=True)
class BlurredNoise:
    """White noise after a Gaussian filter.

    Attributes:
        level: standard deviation after the filter, relative to that of the clean map.
        width_px: standard deviation of the filter.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 0.2
    width_px: float = 2.0

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")
        require_in_range("width_px", self.width_px, 0.3, 50.0, "px")


def draw_blurred_noise(noise: BlurredNoise, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return blurred noise of unit standard deviation on a (height, width) map."""
    margin = int(np.ceil(_TRUNCATE * noise.width_px))
    white = rng.standard_normal((shape[0] + 2 * margin, shape[1] + 2 * margin))
    filtered = ndimage.gaussian_filter(white, noise.width_px, truncate=_TRUNCATE)[margin:-margin, margin:-margin]
    # The filter's own weights, as it cut and sampled them, say what is left of a unit variance.
    impulse = np.zeros(2 * margin + 1)
    impulse[margin] = 1.0
    weights = ndimage.gaussian_filter1d(impulse, noise.width_px, truncate=_TRUNCATE)
    return np.asarray(filtered / np.sum(weights**2))
