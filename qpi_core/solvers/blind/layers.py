"""A map, or a stack of energies with the same defects, as the blind search sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.long_waves import LongWaves

_CORNERS = 0.5
"""Spatial frequency in cycles a pixel, beyond the Nyquist circle, where the patterns of defects have died out."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Layers without their long waves, in units of their own spread.

    Attributes:
        values: (energies, height, width) float32, centred, of standard deviation 1, and 0 where not measured.
        measured: (height, width) true where every layer was measured.
        scales: (energies,) standard deviation of each layer, units of the observation.
        noise: (energies,) variance of white noise by the corners of each layer's spectrum, as a share of the layer's own.
        long_waves: takes them out of whatever is fitted to the layers.
    """

    values: NDArray[np.float32]
    measured: NDArray[np.bool_]
    scales: NDArray[np.float64]
    noise: NDArray[np.float64]
    long_waves: LongWaves

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width)."""
        return self.measured.shape[0], self.measured.shape[1]

    @property
    def pixels(self) -> int:
        """Number of pixels that were measured."""
        return int(self.measured.sum())


def prepare_layers(stack: NDArray[np.float32]) -> Layers:
    """Return the layers of a stack, (energies, height, width) with NaN where not measured; no layer may be constant."""
    measured: NDArray[np.bool_] = np.asarray(np.isfinite(stack).all(axis=0))
    long_waves = LongWaves(measured)
    left = long_waves.removed(np.where(measured, stack, 0).astype(np.float64))
    scales = left[:, measured].std(axis=1)
    values = (left / scales[:, None, None]).astype(np.float32)
    return Layers(values, measured, scales, np.array([noise_in_corners(layer, measured) for layer in values]), long_waves)


def clearest_layers(stack: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Return at most so many layers of a stack, in their order: of each of as many spans of energies the one with the least noise.

    The defects are the same at every energy, and the work of a search grows with the number of layers.
    """
    if len(stack) <= most:
        return stack
    measured: NDArray[np.bool_] = np.asarray(np.isfinite(stack).all(axis=0))
    filled = np.where(measured, stack, 0).astype(np.float64)
    means = filled[:, measured].mean(axis=1)[:, None, None]
    spreads = np.maximum(filled[:, measured].std(axis=1), 1e-300)[:, None, None]
    noise = np.array([noise_in_corners(layer.astype(np.float32), measured) for layer in measured * (filled - means) / spreads])
    return stack[[int(span[np.argmin(noise[span])]) for span in np.array_split(np.arange(len(stack)), most)]]


def noise_in_corners(layer: NDArray[np.float32], measured: NDArray[np.bool_]) -> float:
    """Return the variance of white noise in a layer by the median power of its highest spatial frequencies.

    The power of white noise is exponentially distributed, and the median of that is its mean times log 2.
    """
    taper = np.outer(np.hanning(layer.shape[0] + 2)[1:-1], np.hanning(layer.shape[1] + 2)[1:-1]) * measured
    power = np.abs(np.fft.fft2(layer * taper)) ** 2 / np.sum(taper**2)
    frequency = np.hypot(np.fft.fftfreq(layer.shape[0])[:, None], np.fft.fftfreq(layer.shape[1]))
    return float(np.median(power[frequency > _CORNERS]) / np.log(2))
