"""Regularised least squares on a map: its scale, its unknown background, the prior's envelope, and the solve for kernels.

    minimise |Y - b - A*M|^2 + strength |A / envelope|^2,   envelope = exp(-r^2 / (2 width^2))

The operator may be of one class of defects or of several whose kernels lie below each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.base.grid import kernel_offsets
from qpi_core.operators.conjugate_gradients import multi_shift_cg
from qpi_core.operators.linear import LinearOperator

_LEAST_FREEDOM = 0.02
"""Share of the pixels that are left to the noise at least, however many unknowns a solve has taken."""


@dataclass(frozen=True)
class PreparedMap:
    """A map on the solver's scale: mean 0 and standard deviation 1 over the measured pixels, which `mask` marks."""

    values: NDArray[np.float32]
    mask: NDArray[np.float32]
    mean: float
    scale: float


def prepare_map(observation: NDArray[np.float32]) -> PreparedMap:
    """Standardise a map over its measured pixels; a constant map gets scale 1."""
    measured = np.isfinite(observation)
    mean = float(observation[measured].mean(dtype=np.float64))
    scale = float(observation[measured].std(dtype=np.float64))
    if scale <= 1e-6 * abs(mean) or scale == 0.0:
        scale = 1.0
    values = np.where(measured, (observation - mean) / scale, 0.0).astype(np.float32)
    return PreparedMap(values, measured.astype(np.float32), mean, scale)


def representative_part(
    prepared: PreparedMap, positions: NDArray[np.float64], weights: NDArray[np.float64], window: int, most: int
) -> tuple[PreparedMap, NDArray[np.float64], NDArray[np.float64]]:
    """Return a part of at most so many pixels a side around the median defect, with every defect that reaches into it."""
    starts, stops = [], []
    for axis, side in ((1, prepared.mask.shape[0]), (0, prepared.mask.shape[1])):
        extent = min(side, most)
        start = int(np.clip(round(float(np.median(positions[:, axis]))) - extent // 2, 0, side - extent))
        starts.append(start)
        stops.append(start + extent)
    rows, columns = slice(starts[0], stops[0]), slice(starts[1], stops[1])
    moved = positions - np.array([starts[1], starts[0]])
    reach = window // 2
    near = ((moved > -reach) & (moved < np.array([stops[1] - starts[1], stops[0] - starts[0]]) - 1 + reach)).all(axis=1)
    part = PreparedMap(prepared.values[rows, columns], prepared.mask[rows, columns], prepared.mean, prepared.scale)
    return part, moved[near], weights[near]


def solved_window(kernel_size: int, shape: tuple[int, int]) -> int:
    """Return the odd side of the window that is solved: twice the kernel, as far as the map can see."""
    return min(2 * kernel_size - 1, 2 * max(shape) - 1) | 1


def gaussian_envelope(size: int, width: float) -> Tensor:
    """Return exp(-r^2 / (2 width^2)) on a (size, size) window, width in pixels."""
    squared = kernel_offsets(size).astype(np.float64) ** 2
    return torch.from_numpy(np.exp(-(squared[:, None] + squared[None, :]) / (2 * width**2)).astype(np.float32))


def centred(image: Tensor, mask: Tensor) -> Tensor:
    """Return the image without its mean over the mask, zero outside: this projects the unknown background out."""
    mean = (image * mask).sum(dim=(-2, -1), keepdim=True) / mask.sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    return (image - mean) * mask


def solve_shifted(
    operator: LinearOperator, values: Tensor, mask: Tensor, envelope: Tensor, strengths: Tensor, iterations: int, tolerance: float = 0.0
) -> Tensor:
    """Return kernels (s, ..., k, k) for every strength, the background projected out.

    Args:
        operator: without a mask.
        values: (..., height, width).
        mask: (..., height, width), 1 where measured.
        envelope: (k, k), positive.
        strengths: (s,) or (s, ...), ascending.
        iterations, tolerance: of the conjugate gradients.
    """

    def normal(scaled: Tensor) -> Tensor:
        return envelope * operator.adjoint(centred(operator(envelope * scaled), mask))

    right = envelope * operator.adjoint(centred(values, mask))
    return envelope * multi_shift_cg(normal, right, strengths, iterations, tolerance)


def noise_of(squares: float, pixels: float, freedom: float) -> float:
    """Return the standard deviation of the noise from the sum of squares that a solve with so many degrees of freedom leaves."""
    return float((squares / max(pixels - freedom - 1, _LEAST_FREEDOM * pixels)) ** 0.5)
