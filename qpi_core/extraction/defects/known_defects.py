"""Which of the places that a search for a pattern proposes are defects that are marked already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.signal import fftconvolve
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

_ALIKE = 0.7
"""Correlation of a pattern with itself, moved, down to which the two are taken for one: the matched filter is as flat there.

The filter of a broad depression, on a measured scan, has its maximum up to 21 px beside the mark (24 px at this value); of Eq. 7 the value
is reached at 2 px.
"""


def same_place_radius(template: NDArray[np.floating]) -> float:
    """Return the distance in px up to which a pattern, (k, k), cannot be told from itself moved.

    That is where its autocorrelation, averaged over directions and the level of its border taken off, falls below _ALIKE of its maximum;
    of a constant pattern 0.

    Example:
        >>> import numpy as np
        >>> y, x = np.mgrid[-20:21, -20:21]
        >>> round(same_place_radius(np.exp(-(x**2 + y**2) / 2 / 5.0**2)))
        6
    """
    values = np.asarray(template, dtype=np.float64)
    values = values - np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]]).mean()
    correlation = fftconvolve(values, values[::-1, ::-1])
    middle = len(values) - 1
    if not correlation[middle, middle] > 0:
        return 0.0
    rings = np.rint(np.hypot(*np.meshgrid(*2 * [np.arange(-middle, middle + 1)]))).astype(int).ravel()
    profile = np.bincount(rings, correlation.ravel()) / np.bincount(rings) / correlation[middle, middle]
    below = int(np.argmax(profile < _ALIKE))
    return float(np.interp(-_ALIKE, -profile[below - 1 : below + 1], [below - 1, below]))


def at_their_marks(found: Array, marks: Array, radius_px: float) -> Array:
    """Return the places that were found, (n, 2) px, those that are marked defects at their marks.

    Every mark is one of the places at most, no more than radius_px away, such that the sum of all distances is least: of two places beside
    one mark the other is another defect.

    Example:
        >>> import numpy as np
        >>> at_their_marks(np.array([[10.0, 4.0], [13.0, 4.0]]), np.array([[9.0, 4.0]]), radius_px=5.0).tolist()
        [[9.0, 4.0], [13.0, 4.0]]
    """
    if not len(found) or not len(marks):
        return found
    distances = cdist(found, marks)
    # A pair that is too far apart costs no more than the radius: else a place would be led off its mark to make room for another one.
    rows, columns = linear_sum_assignment(np.minimum(distances, radius_px))
    near = distances[rows, columns] <= radius_px
    placed = found.copy()
    placed[rows[near]] = marks[columns[near]]
    return placed
