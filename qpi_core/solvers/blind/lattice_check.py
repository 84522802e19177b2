"""Whether a map is the same again after a long translation: then it is a lattice, and every cell of it could be the defect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import maximum_filter

from qpi_core.solvers.blind.layers import Layers

_FAR, _FURTHEST = 0.25, 0.6
"""Translations that are looked at, as shares of the map's sides: nearer ones are the kernel's own waves, further ones hardly overlap."""
_SAME = 0.8
"""Correlation, the noise taken off, from which on the map is the same."""
_LEAST_SIGNAL = 0.1
"""Share of the variance beyond the noise below which there is too little to be repeated."""
_FEWEST_TRANSLATIONS, _APART = 3, 5
"""A lattice is the same after every one of its translations, a few defects after the one or two that take some onto others."""
LATTICE = (
    "The map repeats itself as a lattice does, so any of its cells could be a defect; take the lattice out first, "
    "by a step of the preparation."
)


def repeats_itself(layers: Layers) -> str | None:
    """Return the sentence where the layers are a lattice, else None."""
    signal = float(np.mean(1 - layers.noise))
    if signal < _LEAST_SIGNAL:
        return None
    correlations, inside = far_correlations(layers)
    peaks = inside & (correlations > _SAME * signal) & (correlations == maximum_filter(correlations, _APART, mode="wrap"))
    # Every translation is there twice, forth and back.
    return LATTICE if peaks.sum() >= 2 * _FEWEST_TRANSLATIONS else None


def far_correlations(layers: Layers) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the correlation of the layers with themselves by translation (wrapped), each part of the overlap of variance 1.

    And which of the translations are far, but leave enough of an overlap.
    """
    height, width = layers.shape
    period = (fft.next_fast_len(2 * height, real=True), fft.next_fast_len(2 * width, real=True))
    seen = fft.rfft2(layers.measured.astype(np.float64), s=period)
    pairs = fft.irfft2(np.abs(seen) ** 2, s=period)
    down, across = (np.abs(fft.fftfreq(side) * side) for side in period)
    share = np.hypot(down[:, None] / height, across / width)
    inside = (share >= _FAR) & (down[:, None] <= _FURTHEST * height) & (across <= _FURTHEST * width) & (pairs > 0.1 * layers.pixels)
    total = np.zeros(period)
    for layer in layers.values.astype(np.float64):
        moved = fft.rfft2(layer, s=period)
        products = fft.irfft2(np.abs(moved) ** 2, s=period)
        powers = fft.irfft2(fft.rfft2(layer**2, s=period) * seen.conj(), s=period)
        # The power of the part that is left in place, and of the part that came from beyond the translation.
        others = np.roll(powers[::-1, ::-1], (1, 1), axis=(0, 1))
        total += products / np.sqrt(np.maximum(powers * others, 1e-12))
    return total / len(layers.values), inside
