"""Is anything left where the defects are? The residual of a map as a whole says nothing about these few pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from qpi_core.diagnostics.identifiability import NEGLIGIBLE_RESIDUAL
from qpi_core.estimates.caution import Caution, CautionKind

SIGMAS = 3.0
"""A residual at a defect that is larger than so many standard deviations of the noise is counted."""
_SHARE_OF_NOISE = 0.0027
"""Share of Gaussian values beyond 3 standard deviations."""
_SURE = 1e-4
"""Probability of so many by chance, below which they are told."""


def left_at_defects(residual: NDArray[np.float32], positions: NDArray[np.float64], noise_sigma: float) -> NDArray[np.float64]:
    """Return residual / noise_sigma at the pixel nearest to each defect, (n,), NaN where it was not measured or outside of the map.

    Args:
        residual: (height, width).
        positions: (n, 2) columns (x, y) in pixels.
        noise_sigma: standard deviation of the noise, units of the residual; 0 gives NaN.
    """
    columns, rows = np.rint(positions).astype(int).T
    inside = (columns >= 0) & (rows >= 0) & (columns < residual.shape[1]) & (rows < residual.shape[0])
    found = np.full(len(positions), np.nan)
    if noise_sigma > 0:
        found[inside] = residual[rows[inside], columns[inside]].astype(np.float64) / noise_sigma
    return found


def warn_about_defects(
    observation: NDArray[np.float32], residual: NDArray[np.float32], positions: NDArray[np.float64], noise_sigma: float
) -> list[Caution]:
    """Return a sentence where more is left at the defects than noise would leave, unless it is little beside the map's own variation."""
    z = left_at_defects(residual, positions, noise_sigma)
    least = max(SIGMAS, NEGLIGIBLE_RESIDUAL * float(np.nanstd(observation, dtype=np.float64)) / noise_sigma) if noise_sigma > 0 else SIGMAS
    count, beyond = int(np.isfinite(z).sum()), int((np.abs(z) > least).sum())
    if not beyond or bdtrc(beyond - 1, count, _SHARE_OF_NOISE) >= _SURE:
        return []
    return [
        Caution(
            f"At {beyond} of {count} defects the map differs from the reconstruction by more than {SIGMAS:.0f} times the noise at the "
            "defect itself: there the pattern is finer than the pixels or differs from defect to defect, so the kernel's centre is not to "
            "be trusted.",
            CautionKind.LEFT_AT_DEFECTS,
        )
    ]
