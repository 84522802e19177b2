"""`defect_average`: the mean of the map's crops around the defects, what is done by hand today."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from qpi_core.base.validation import require_kernel_size, require_observation, require_positions, require_weights
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.convolution import ForwardOperator

NEIGHBOURS = Caution(
    "The average of crops also holds the patterns of neighbouring defects; use it for comparison only.", CautionKind.NEIGHBOURS
)


def solve_defect_average(
    observation: ArrayLike, positions: ArrayLike, kernel_size: int, *, weights: ArrayLike | None = None
) -> KernelSolution:
    """Average the crops around the defects (rounded to pixels); pixels outside the map or not measured do not count.

    The crops of neighbouring defects overlap, so the average also holds the neighbours' patterns: a baseline, not an estimate.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        kernel_size: side of the kernel in pixels.
        weights: amplitude of each defect; None is 1.

    Raises:
        InputError: bad observation, positions, kernel_size or weights.
    """
    map_ = require_observation(observation)
    points = np.rint(require_positions(positions, map_.shape))
    size = require_kernel_size(kernel_size, map_.shape)
    amplitudes = require_weights(weights, len(points))
    measured = np.isfinite(map_)
    centred = torch.from_numpy(np.where(measured, map_ - np.nanmean(map_), 0.0).astype(np.float32))
    operator = ForwardOperator(points, map_.shape, size, amplitudes)
    counting = ForwardOperator(points, map_.shape, size, amplitudes**2)
    seen = counting.adjoint(torch.from_numpy(measured.astype(np.float32))).numpy()
    sums = operator.adjoint(centred).numpy()
    # A defect of no amplitude shows nothing; what is below the rounding of the transform was not seen either.
    least = max(0.5 * float((amplitudes[amplitudes != 0] ** 2).min()), 1e-5 * float((amplitudes**2).sum()))
    kernel = np.where(seen > least, sums / np.maximum(seen, least), 0.0).astype(np.float32)
    prediction = operator(torch.from_numpy(kernel)).numpy()
    difference = map_ - prediction
    warnings = () if len(points) == 1 else (NEIGHBOURS,)
    return KernelSolution(
        kernel=kernel,
        wide_kernel=kernel,
        background=float(np.nanmean(difference)),
        noise_sigma=float(np.nanstd(difference)),
        warnings=warnings,
        details={"defects_averaged": len(points)},
    )
