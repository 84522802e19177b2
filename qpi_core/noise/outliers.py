"""Single pixels that do not belong: spikes of the tip or the electronics, found in what a fit leaves of a map.

Hampel's identifier: a pixel is an outlier where it differs from the median of its neighbours, and from zero, by more than a number of
robust standard deviations (1.4826 median absolute deviations). Spots of several pixels, as a core of a defect leaves them, are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

Array = NDArray[np.float64]

_GAUSSIAN = 1.4826


@dataclass(frozen=True)
class OutlierOptions:
    """Numbers of the identifier.

    Attributes:
        deviations: robust standard deviations beyond which a pixel is an outlier; by chance 6e-7 a pixel for Gaussian noise.
        most: share of the map beyond which the residual is taken for something else.
        connected: pixels that may belong together: two neighbours hit by one spike along the fast axis.
    """

    deviations: float = 5.0
    most: float = 0.05
    connected: int = 2


def find_outliers(residual: Array, options: OutlierOptions | None = None) -> NDArray[np.bool_]:
    """Return (height, width) which pixels of a residual, NaN where not measured, are outliers."""
    chosen = options or OutlierOptions()
    measured = np.isfinite(residual)
    padded = np.pad(residual, 1, constant_values=np.nan)
    height, width = residual.shape
    shifts = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2) if (dy, dx) != (1, 1)]
    around = np.stack([padded[dy : dy + height, dx : dx + width] for dy, dx in shifts])
    known = np.isfinite(around).any(axis=0)
    neighbours = np.zeros(residual.shape)
    neighbours[known] = np.nanmedian(around[:, known], axis=0)
    local = np.where(measured, residual - neighbours, 0.0)
    centred = np.where(measured, residual - np.nanmedian(residual), 0.0)
    found = measured.copy()
    for image in (local, centred):
        spread = _GAUSSIAN * float(np.median(np.abs(image[measured])))
        found &= np.abs(image) > chosen.deviations * spread
    groups, count = label(found, structure=np.ones((3, 3)))
    sizes = np.bincount(groups.ravel(), minlength=count + 1)
    found &= sizes[groups] <= chosen.connected
    return found if found.sum() <= chosen.most * measured.sum() else np.zeros_like(found)
