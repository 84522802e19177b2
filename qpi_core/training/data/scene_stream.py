"""Scenes for training: every kernel, defect list and noise field drawn afresh from (seed, index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.networks.kernel_frame import FRAME_SIZE
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose
from qpi_core.training.data.scene_nuisances import measured_map
from qpi_core.training.data.streams import KernelShares, draw_pattern, sample_on_window

MAP_SHAPES = ((64, 64), (64, 64), (64, 64), (48, 80), (56, 72), (96, 96))
NOISE_RANGE = (0.01, 1.5)
"""Relative to the standard deviation of the clean map, log-uniform; a fifth of the scenes has none."""
FEW_DEFECTS = 5
_NUISANCE_STREAM = 0x4E554953


@dataclass(frozen=True)
class SceneMix:
    """How defects and their lists are drawn.

    Attributes:
        few: share of the scenes with 1 to FEW_DEFECTS defects, beside the log-uniform numbers of the others.
        jittered: share of the lists whose positions are off, by a standard deviation of up to max_jitter_px.
        max_jitter_px: in pixels.
        incomplete: share of the lists (of at least ten defects) in which some are missing, up to most_missing of them.
        most_missing: largest share of the defects that is missing; the usual tenth where it is 0.1.
        invented: share of the lists with entries where there is no defect, up to a tenth of the list and at least one.
    """

    few: float = 0.0
    jittered: float = 0.2
    max_jitter_px: float = 0.7
    incomplete: float = 0.15
    most_missing: float = 0.1
    invented: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.few, self.jittered, self.incomplete, self.most_missing, self.invented)
        if not all(0 <= share <= 1 for share in shares) or not self.max_jitter_px >= 0:
            raise InputError(f"the shares of a scene mix must lie between 0 and 1 and the jitter at or above 0, but they are {self}.")


USUAL = SceneMix()


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
    seed: int,
    index: int,
    shape: tuple[int, int],
    shares: KernelShares,
    ideal_positions: bool = False,
    nuisance_share: float = 0.0,
    mix: SceneMix = USUAL,
) -> TrainingScene:
    """Draw scene `index`: 1 to 300 defects (log-uniform), noise log-uniform or none, half of the scenes off the pixel grid.

    Args:
        seed, index: name the scene.
        shape: of the map.
        shares: of the kernel families.
        ideal_positions: defects on the pixel grid and told exactly, as in the paper.
        nuisance_share: probability that a scene has what measured maps add; the other scenes are the same with any share.
        mix: how many defects, and how wrong the lists are.
    """
    rng = np.random.default_rng([seed, index])
    drawn = draw_pattern(rng, shares)
    count = int(np.exp(rng.uniform(0, np.log(100 if ideal_positions else 300))))
    if mix.few and rng.random() < mix.few:
        count = int(rng.integers(1, FEW_DEFECTS + 1))
    on_grid = ideal_positions or bool(rng.random() < 0.5)
    positions = draw_positions(rng, count, shape, on_grid)
    clean = superpose(drawn.pattern, positions, shape, DEFAULT_PIXEL_SIZE_NM)
    level = 0.0 if rng.random() < 0.2 else float(np.exp(rng.uniform(*np.log(NOISE_RANGE))))
    noise, kernel = rng.standard_normal(shape), sample_on_window(drawn.pattern, FRAME_SIZE)
    observation = clean + level * clean.std() * noise
    if nuisance_share > 0 and np.random.default_rng([seed, index, _NUISANCE_STREAM]).random() < nuisance_share:
        measured = measured_map((seed, index), drawn, positions, noise, level, shares)
        observation, positions, kernel = measured.observation, measured.positions, np.float32(measured.sign) * kernel
    told = positions if ideal_positions else _as_told(rng, positions, shape, mix)
    return TrainingScene(observation.astype(np.float32), told, kernel)


def _as_told(rng: np.random.Generator, positions: NDArray[np.float64], shape: tuple[int, int], mix: SceneMix) -> NDArray[np.float64]:
    """Return the list a user would give: mostly right, sometimes off, incomplete, or with entries that are no defects."""
    told = positions
    if rng.random() < mix.jittered:
        told = told + rng.normal(0, rng.uniform(0, mix.max_jitter_px), told.shape)
        told = np.clip(told, 0, np.array([shape[1] - 1, shape[0] - 1]))
    if len(told) >= 10 and rng.random() < mix.incomplete:
        missing = USUAL.most_missing if mix.most_missing == USUAL.most_missing else rng.uniform(0, mix.most_missing)
        told = told[rng.random(len(told)) > missing]
    if mix.invented and rng.random() < mix.invented:
        count = int(rng.integers(1, max(2, len(told) // 10 + 1)))
        told = np.concatenate([told, rng.uniform(0, [shape[1] - 1, shape[0] - 1], (count, 2))])
    return told
