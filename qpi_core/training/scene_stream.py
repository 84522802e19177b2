"""Scenes for training: every kernel, defect list and noise field drawn afresh from (seed, index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.networks.kernel_frame import FRAME_SIZE
from qpi_core.synthesis.scenes import draw_positions, superpose
from qpi_core.training.scene_nuisances import measured_map
from qpi_core.training.streams import KernelShares, draw_pattern, sample_on_window

MAP_SHAPES = ((64, 64), (64, 64), (64, 64), (48, 80), (56, 72), (96, 96))
NOISE_RANGE = (0.01, 1.5)
"""Relative to the standard deviation of the clean map, log-uniform; a fifth of the scenes has none."""
MAX_JITTER_PX = 0.7
_NUISANCE_STREAM = 0x4E554953


@dataclass(frozen=True)
class TrainingScene:
    """A map with the defect list that the network is given.

    Attributes:
        observation: (height, width) float32.
        positions: (n, 2), as told: jittered or incomplete in a part of the scenes.
        kernel: (FRAME_SIZE, FRAME_SIZE) float32 truth on the networks' scale.
    """

    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    kernel: NDArray[np.float32]


def draw_training_scene(
    seed: int, index: int, shape: tuple[int, int], shares: KernelShares, ideal_positions: bool = False, nuisance_share: float = 0.0
) -> TrainingScene:
    """Draw scene `index`: 1 to 300 defects (log-uniform), noise log-uniform or none, half of the scenes off the pixel grid.

    Args:
        seed, index: name the scene.
        shape: of the map.
        shares: of the kernel families.
        ideal_positions: defects on the pixel grid and told exactly, as in the paper.
        nuisance_share: probability that a scene has what measured maps add; the other scenes are the same with any share.
    """
    rng = np.random.default_rng([seed, index])
    drawn = draw_pattern(rng, shares)
    count = int(np.exp(rng.uniform(0, np.log(100 if ideal_positions else 300))))
    on_grid = ideal_positions or bool(rng.random() < 0.5)
    positions = draw_positions(rng, count, shape, on_grid)
    clean = superpose(drawn.pattern, positions, shape, DEFAULT_PIXEL_SIZE_NM)
    level = 0.0 if rng.random() < 0.2 else float(np.exp(rng.uniform(*np.log(NOISE_RANGE))))
    noise, kernel = rng.standard_normal(shape), sample_on_window(drawn.pattern, FRAME_SIZE)
    observation = clean + level * clean.std() * noise
    if nuisance_share > 0 and np.random.default_rng([seed, index, _NUISANCE_STREAM]).random() < nuisance_share:
        measured = measured_map((seed, index), drawn, positions, noise, level, shares)
        observation, positions, kernel = measured.observation, measured.positions, np.float32(measured.sign) * kernel
    told = positions if ideal_positions else _as_told(rng, positions, shape)
    return TrainingScene(observation.astype(np.float32), told, kernel)


def _as_told(rng: np.random.Generator, positions: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the list a user would give: mostly right, sometimes jittered, sometimes with a tenth missing."""
    told = positions
    if rng.random() < 0.2:
        told = told + rng.normal(0, rng.uniform(0, MAX_JITTER_PX), told.shape)
        told = np.clip(told, 0, np.array([shape[1] - 1, shape[0] - 1]))
    if len(told) >= 10 and rng.random() < 0.15:
        told = told[rng.random(len(told)) > 0.1]
    return told
