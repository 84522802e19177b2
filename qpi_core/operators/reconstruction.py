"""The map that a kernel predicts: A*M + background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution


def reconstruct(
    wide_kernel: NDArray[np.float32],
    background: float,
    positions: NDArray[np.float64],
    weights: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return A*M + background on the whole map, (height, width) float32.

    Args:
        wide_kernel: (K, K), all of the kernel that is known, centre at index K // 2.
        background: the constant b.
        positions: (n, 2) columns (x, y) in pixels, fractions allowed.
        weights: (n,) amplitude of each defect.
        shape: (height, width).
    """
    import torch

    from qpi_core.operators.convolution import ForwardOperator

    operator = ForwardOperator(positions, (shape[0], shape[1]), wide_kernel.shape[0], weights)
    with torch.inference_mode():
        prediction = operator(torch.from_numpy(np.ascontiguousarray(wide_kernel, dtype=np.float32))).numpy()
    return np.asarray(prediction + np.float32(background), dtype=np.float32)


def superposition_of(
    solution: KernelSolution, positions: NDArray[np.float64], weights: NDArray[np.float64], measured: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return A*M of a solution on the whole map, (height, width) float32: the solver's own where it evaluates its model.

    Between pixels the sampled kernel is less exact than the model that it came from, most of all at the defects themselves: a pattern
    with a cusp at its centre is not band-limited. Pixels that were not measured take the sampled kernel's, which is all there is.

    Args:
        solution: of the solver.
        positions: (n, 2) columns (x, y) in pixels.
        weights: (n,).
        measured: (height, width).
    """
    sampled = None
    if solution.superposition is None or not measured.all():
        sampled = reconstruct(solution.wide_kernel, 0.0, positions, weights, measured.shape)
    if solution.superposition is None:
        assert sampled is not None
        return sampled
    return solution.superposition if sampled is None else np.where(measured, solution.superposition, sampled)
