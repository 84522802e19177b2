"""Noise that differs from pixel to pixel: spikes, and noise that follows the signal.

Spikes:            n(p) = +- h sigma in a share of the pixels, either sign alike
Follows signal:    n(p) = sigma(p) z(p),  sigma(p) = level |Y(p)| / rms(Y),  z ~ N(0, 1)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class Spikes:
    """Single wrong pixels: jumps of the tip, sparks, hits of the converter.

    Attributes:
        share: of the pixels.
        height: in standard deviations of the noise around them.

    Raises:
        InputError: a value outside its range.
    """

    share: float = 0.01
    height: float = 10.0

    def __post_init__(self) -> None:
        require_in_range("share", self.share, 0.0, 0.5, "of the pixels")
        require_in_range("height", self.height, 0.0, 1e6, "of the noise's standard deviation")


@dataclass(frozen=True)
class SignalNoise:
    """Noise of a strength proportional to the signal, on top of the other noise.

    Attributes:
        level: root mean square over the map, relative to the standard deviation of the clean map.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 0.3

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")


def draw_spikes(spikes: Spikes, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return +- height in the share of the pixels asked for (to the nearest pixel), 0 elsewhere."""
    pixels = shape[0] * shape[1]
    field = np.zeros(pixels)
    hit = rng.permutation(pixels)[: round(spikes.share * pixels)]
    field[hit] = spikes.height * rng.choice([-1.0, 1.0], len(hit))
    return field.reshape(shape)


def draw_signal_noise(signal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise of unit mean square whose local strength is |signal| / rms(signal), (height, width)."""
    return np.asarray(np.abs(signal) / np.sqrt(np.mean(signal**2)) * rng.standard_normal(signal.shape))
