"""The defects between pixels that an activation map with amplitudes stands for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

Array = NDArray[np.float64]

_FAINT, _STRONG = 0.3, 0.5
"""Amplitudes below the first share of a strong one are none; strong are those above the second share of the strongest."""


def amplitude_points(activation: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return positions (n, 2) as (x, y) in px and weights of mean 1 of the peaks of an activation map (height, width); n may be 0.

    A peak counts with all that lies on its eight neighbours, and its place is the middle of that.
    """
    peaks = (activation == maximum_filter(activation, 3)) & (activation > 0)
    if not peaks.any():
        return np.zeros((0, 2)), np.zeros(0)
    values = activation.astype(np.float64)
    rows, columns = np.nonzero(peaks)
    # Beyond the border there is nothing, so the indices may count from anywhere.
    down, across = np.indices(activation.shape)
    weights, by_row, by_column = (9 * uniform_filter(values * factor, 3, mode="constant")[rows, columns] for factor in (1, down, across))
    positions = np.stack([by_column, by_row], axis=1) / weights[:, None]
    kept = weights >= _FAINT * np.median(weights[weights >= _STRONG * weights.max()])
    return positions[kept], weights[kept] / weights[kept].mean()
