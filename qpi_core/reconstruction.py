"""The map that a kernel predicts: A*M + background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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

    from qpi_core.forward import ForwardOperator

    operator = ForwardOperator(positions, (shape[0], shape[1]), wide_kernel.shape[0], weights)
    with torch.inference_mode():
        prediction = operator(torch.from_numpy(np.ascontiguousarray(wide_kernel, dtype=np.float32))).numpy()
    return np.asarray(prediction + np.float32(background), dtype=np.float32)
