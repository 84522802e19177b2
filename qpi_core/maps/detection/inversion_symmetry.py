"""How well the surroundings of every pixel map onto themselves when turned by half a turn about it.

The waves around a point scatterer with 2-, 4- or 6-fold or full symmetry do, whatever their phase at the centre; so the centre of a
wave pattern shows even where it is no spot. Patterns of 3-fold symmetry do not.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

_REACH = 2.4
"""Radius of the window in units of its Gaussian sigma."""


def inversion_response(layer: NDArray[np.float64], measured: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Return c |c| / e at every pixel: c = sum w Y(+d) Y(-d), e = sum w (Y(+d)^2 + Y(-d)^2) / 2 over offsets d with Gaussian weights w.

    It is the energy of the surroundings times the square of their symmetry (1 perfect, 0 none, negative for odd patterns).

    Args:
        layer: (height, width) float64 without tilt.
        measured: (height, width); other pixels and those outside the map count as the median.
        sigma: width of the window in pixels.
    """
    height, width = layer.shape
    centred = np.where(measured, layer - np.median(layer[measured]), 0.0)
    scale = float(np.sqrt(np.mean(centred**2)))
    if scale == 0:
        return np.zeros_like(centred)
    reach = ceil(_REACH * sigma)
    padded = np.pad((centred / scale).astype(np.float32), reach)
    product, energy = np.zeros(layer.shape, np.float32), np.zeros(layer.shape, np.float32)
    for dy in range(reach + 1):
        for dx in range(-reach, reach + 1):
            squared = dy * dy + dx * dx
            if squared > reach * reach or (dy == 0 and dx <= 0):
                continue
            weight = np.float32(np.exp(-squared / (2 * sigma**2)))
            one = padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
            other = padded[reach - dy : reach - dy + height, reach - dx : reach - dx + width]
            product += weight * one * other
            energy += weight / 2 * (one**2 + other**2)
    return np.divide(product * np.abs(product), energy, out=np.zeros_like(energy), where=energy > 0).astype(np.float64)
