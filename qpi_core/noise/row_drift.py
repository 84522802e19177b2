"""The drift of the scan lines: their level walks at random along the slow axis y, the same for a whole line.

    d(y) = sum_k s a_k cos(pi k (y + 1/2) / H) / (sqrt(2 H) sin(pi k / 2 H)),    a_k ~ N(0, 1),  k = 1 ... K,

H rows, s the standard deviation of the step from one line to the next. With K = H - 1 this is the random walk less its mean: its
covariance is the inverse of the second difference with free ends, whose eigenvectors are these cosines with the eigenvalues
4 sin^2(pi k / 2 H) (Strang 1999, The discrete cosine transform). What waves beyond K would add varies from line to line and is left to
the row offsets.

Creep of the tip's height and slow changes of the set point look like this. Without it a smooth background in the plane has to follow the
lines, and then follows the pattern around a single defect as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_WAVES = 32
"""K: on larger maps the shorter waves count as offsets of the rows (see `left_to_rows`)."""


def drift_columns(shape: tuple[int, int]) -> Array:
    """Return the waves for a map of (height, width): (height, width, K), K at most MOST_WAVES and below the height."""
    height, width = shape
    order = np.arange(1, min(height - 1, MOST_WAVES) + 1)
    waves = np.cos(np.pi * np.outer(np.arange(height) + 0.5, order) / height) * np.sqrt(2 * _variances(height)[: len(order)])
    return np.broadcast_to(waves[:, None, :], (height, width, len(order))).copy()


def drift_variance(height: int) -> float:
    """Return the variance over the rows that the waves have together for s = 1."""
    return float(_variances(height)[:MOST_WAVES].sum())


def left_to_rows(height: int) -> float:
    """Return the variance over the rows of the waves beyond K for s = 1."""
    return float(_variances(height)[MOST_WAVES:].sum())


def _variances(height: int) -> Array:
    """Return the mean square of every wave over the rows for s = 1, (height - 1,)."""
    return 1 / (4 * height * np.sin(np.pi * np.arange(1, height) / (2 * height)) ** 2)
