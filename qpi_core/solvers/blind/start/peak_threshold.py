"""Which peaks of a filtered map are defects: the cut that splits their heights into two Gaussian classes best.

A fixed share of the highest peak fails: heights of true peaks spread by noise, neighbours and the border.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

FEWEST = 5
_FLOOR = 1e-4
"""Least variance of a class, as a share of the square of the highest peaks."""
_HIGHEST = 10
_BACKGROUND = 3


def cut_peaks(response: NDArray[np.float32], most: int, fewest: int = FEWEST) -> NDArray[np.float32]:
    """Return 1 at the peaks of a response (height, width) that the cut keeps, else 0; between fewest and most of them."""
    peaks = (response == maximum_filter(response, 3)) & (response > 0)
    heights = np.sort(response[peaks].astype(np.float64))[::-1]
    count = _kept(heights, fewest, min(most, len(heights) - _BACKGROUND))
    if count is None:
        return np.asarray(peaks, dtype=np.float32)
    return np.asarray(peaks & (response > 0.5 * (heights[count - 1] + heights[count])), dtype=np.float32)


def cut_activation(activation: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Return the same for an activation map of amplitudes: a peak counts with all that lies on its eight neighbours."""
    peaks = (activation == maximum_filter(activation, 3)) & (activation > 0)
    return cut_peaks(np.where(peaks, 9 * uniform_filter(activation, 3), np.float32(0)), most)


def _kept(heights: NDArray[np.float64], fewest: int, most: int) -> int | None:
    """Return how many of the falling heights make the upper class; None where there are too few to tell."""
    if most <= fewest:
        return None
    count = len(heights)
    sums, squares = np.cumsum(heights), np.cumsum(heights**2)
    upper = np.arange(fewest, most)
    lower = count - upper
    mean_above, mean_below = sums[upper - 1] / upper, (sums[-1] - sums[upper - 1]) / lower
    above = squares[upper - 1] / upper - mean_above**2
    below = (squares[-1] - squares[upper - 1]) / lower - mean_below**2
    least = _FLOOR * heights[:_HIGHEST].mean() ** 2
    likelihood = upper * np.log(above + least) + lower * np.log(below + least)
    shares = upper * np.log(upper / count) + lower * np.log(lower / count)
    return int(upper[np.argmin(likelihood - 2 * shares)])
