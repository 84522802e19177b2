"""A kernel with the correction that the data justify: its sum, its error bars, and what is left of its symmetry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from qpi_core.base.grid import central_crop
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.solution import KernelSolution
from qpi_core.solvers.refined.correction import Corrections, Judgement

MOST_WIDENING = 100.0
SYMMETRY_LOST = 0.1
"""Size of a correction, as a share of the kernel, from which the prior's symmetry order is no longer reported."""
NO_LONGER_SYMMETRIC = Caution(
    "The map shows much that a kernel with one rotation symmetry does not explain; it is in the kernel, so no symmetry order is given, "
    "and the parameters describe the symmetric part only.",
    CautionKind.SYMMETRY,
)


def with_correction(
    prior: KernelSolution,
    found: Corrections,
    place: int,
    judgement: Judgement,
    scale: float,
    error: float | None = None,
    reference: NDArray[np.float32] | None = None,
) -> KernelSolution:
    """Return the solution with its correction in it; background, noise and superposition are left to who knows them.

    Args:
        prior: the kernel before.
        found: the corrections of all classes.
        place: of this class among them.
        judgement: what held-out pixels said of this one.
        scale: of the prepared map.
        error: mean squared error on held-out pixels; None is that of the judgement.
        reference: (k, k) kernel whose distance stands for error bars where the prior has none.
    """
    size, change = len(prior.kernel), found.changes[place] * np.float32(scale)
    wide = sum_of_windows(prior.wide_kernel, change)
    kernel = central_crop(wide, size).copy()
    own = prior.uncertainty
    if own is None:
        own = disagreement(kernel, kernel if reference is None else reference)
    # A posterior that predicts unseen pixels worse than it says is widened until it says so.
    worse = (judgement.error if error is None else error) / found.predicted
    widening = float(np.clip(worse, 1.0, MOST_WIDENING)) if np.isfinite(found.predicted) else 1.0
    variance = widening * (central_crop(found.deviations[place], size) * scale) ** 2
    # Where the data left the correction open, the prior's own uncertainty is still there.
    deviation = np.sqrt(variance + central_crop(found.unsettled[place], size) * own**2)
    moved = float(np.linalg.norm(central_crop(change, size)) / max(float(np.linalg.norm(kernel)), 1e-300))
    # A change this large is no detail: what the prior said about the symmetry no longer describes the kernel.
    symmetric = moved < SYMMETRY_LOST
    return replace(
        prior,
        kernel=kernel,
        wide_kernel=wide,
        symmetry_order=prior.symmetry_order if symmetric else None,
        warnings=prior.warnings if symmetric else (*prior.warnings, NO_LONGER_SYMMETRIC),
        uncertainty=deviation.astype(np.float32),
        details={
            **prior.details,
            "correction": "solved",
            "correction_strength": float(judgement.strength or 0.0),
            "correction_width_px": judgement.width,
            "correction_share": moved,
            "widening": widening,
        },
    )


def disagreement(kernel: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the local root mean square of the difference of two kernels."""
    return np.asarray(np.sqrt(gaussian_filter((kernel - other).astype(np.float64) ** 2, 2.0)), dtype=np.float32)


def sum_of_windows(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of two square windows, centre onto centre, on an odd window that holds both."""
    size = max(len(one), len(other)) | 1
    total = np.zeros((size, size), dtype=np.float32)
    for window in (one, other):
        start = size // 2 - len(window) // 2
        total[start : start + len(window), start : start + len(window)] += window
    return total
