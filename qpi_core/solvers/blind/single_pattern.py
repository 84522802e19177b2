"""Whether a whole map is the pattern of one defect: then nothing tells the kernel from a sum of kernels about other places.

About every pixel the map is averaged over rings, and over cos(n phi) and sin(n phi) on them: the share of its variance that these
explain about the best pixel is that of the best single pattern with n-fold symmetry, whatever its profile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.start.filter_bank import padded_period, wrapped

_ORDERS = (0, 2, 3, 4, 6)
_RADIUS, _RING = 40.0, 0.75
"""Largest ring, and the width of each, px."""
_WHOLE = 0.7
"""Share of what is not noise from which on one pattern is all that there is (tuning seed: one defect 0.83 or more, two 0.58 at most)."""
_LEAST_SIGNAL, _MOST_PIXELS = 0.1, 20_000
"""Share of the variance beyond the noise below which nothing is there to be explained; larger maps, which take seconds, are not tried."""


def is_single_pattern(layers: Layers) -> str | None:
    """Return the sentence where one defect explains the map, else None."""
    clearest = int(np.argmin(layers.noise))
    signal = 1 - float(layers.noise[clearest])
    if signal < _LEAST_SIGNAL or layers.pixels > _MOST_PIXELS:
        return None
    share, row, column = best_single_pattern(layers.values[clearest], layers.measured)
    if share < _WHOLE * signal:
        return None
    return (
        f"The whole map is one pattern about x = {column} px, y = {row} px: "
        "one defect is too few to tell the kernel from where the defects are."
    )


def best_single_pattern(layer: NDArray[np.float32], measured: NDArray[np.bool_]) -> tuple[float, int, int]:
    """Return the share of a layer's variance that rings about the best pixel explain beyond chance, and that pixel's row and column."""
    height, width = measured.shape
    half = int(min(_RADIUS, max(height, width) - 1))
    period = padded_period((height, width), half)
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    ring = np.rint(np.hypot(x, y) / _RING).astype(int)
    rings = np.arange(int(half / _RING) + 1)[:, None, None] == ring
    spectrum, mask = fft.rfft2(layer, s=period), fft.rfft2(measured.astype(np.float32), s=period)

    def explained(weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what one angular function on every ring explains about every pixel."""
        filters = fft.rfft2(wrapped((rings * weights).astype(np.float32), period)).conj()
        squares = fft.rfft2(wrapped((rings * weights**2).astype(np.float32), period)).conj()
        products = fft.irfft2(filters * spectrum, s=period)[:, :height, :width]
        counts = fft.irfft2(squares * mask, s=period)[:, :height, :width]
        # Noise of variance 1 puts 1 on every ring that is seen; that much is chance.
        return np.asarray(np.where(counts > 0.5, products**2 / np.maximum(counts, 0.5) - 1, 0).sum(axis=0))

    angle = np.arctan2(y, x)
    mean = explained(np.ones_like(angle))
    best = (-np.inf, 0)
    for order in _ORDERS:
        total = mean if order == 0 else mean + explained(np.cos(order * angle)) + explained(np.sin(order * angle))
        place = int(np.argmax(total))
        best = max(best, (float(total.flat[place]), place))
    return best[0] / float(measured.sum()), *divmod(best[1], width)
