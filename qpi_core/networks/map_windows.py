"""(Y, M) inputs of the paper's networks: 64x64 windows of the map, as many as it takes to see the whole of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.networks.kernel_vae import KERNEL_SIZE
from qpi_core.solvers.least_squares.regularised import prepare_map
from qpi_core.synthesis.simulated_maps.scenes import activation_map

MAX_WINDOWS = 64


def map_windows(observation: NDArray[np.float32], positions: NDArray[np.float64]) -> Tensor:
    """Return (windows, 2, 64, 64): the standardised map and the activation map, window by window.

    A 64x64 map is one window. A larger one is covered by windows that overlap by at most half (at most MAX_WINDOWS of them, evenly
    spread); a smaller one is surrounded by zeros. Windows without a defect are left out unless there is none with one.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
    """
    shape = (observation.shape[0], observation.shape[1])
    both = np.stack([prepare_map(observation).values, activation_map(positions, shape)])
    missing = [max(0, KERNEL_SIZE - side) for side in shape]
    both = np.pad(both, ((0, 0), *((gap // 2, gap - gap // 2) for gap in missing)))
    corners = [(row, column) for row in _starts(both.shape[1]) for column in _starts(both.shape[2])]
    windows = np.stack([both[:, row : row + KERNEL_SIZE, column : column + KERNEL_SIZE] for row, column in corners])
    populated = windows[windows[:, 1].any(axis=(1, 2))]
    chosen = populated if len(populated) else windows
    if len(chosen) > MAX_WINDOWS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_WINDOWS).astype(int)]
    return torch.from_numpy(np.ascontiguousarray(chosen))


def _starts(side: int) -> list[int]:
    count = 1 if side == KERNEL_SIZE else int(np.ceil((side - KERNEL_SIZE) / (KERNEL_SIZE // 2))) + 1
    return [int(start) for start in np.unique(np.linspace(0, side - KERNEL_SIZE, count).astype(int))]
