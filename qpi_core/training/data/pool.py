"""The pool of step 2: scenes whose kernel-frame evidence is computed once and used in eight orientations.

Drawing a scene and solving it costs several times what the network costs, so it is done once, in files outside the repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from qpi_core.networks.kernel_frame import CHANNELS, FRAME_SIZE, ORIENTATIONS, kernel_frame, network_window, turn
from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel
from qpi_core.runtime.executor import InProcess, LocalProcesses
from qpi_core.runtime.progress import stop_when
from qpi_core.solvers.least_squares.regularised import prepare_map
from qpi_core.training.data.scene_stream import MAP_SHAPES, USUAL, SceneMix, draw_training_scene
from qpi_core.training.data.streams import KernelShares

CHUNK = 64


def chunk_path(folder: Path, chunk: int) -> Path:
    """Return the file of one chunk."""
    return folder / f"chunk-{chunk:05d}.npy"


def build_chunk(
    folder: Path, seed: int, chunk: int, shares: KernelShares, size: int = CHUNK, nuisance_share: float = 0.0, mix: SceneMix = USUAL
) -> None:
    """Draw, solve and write one chunk, (size, CHANNELS + 1, FRAME_SIZE, FRAME_SIZE) float16, the kernel last; skip if it is there."""
    path = chunk_path(folder, chunk)
    if path.exists():
        return
    shape = MAP_SHAPES[int(np.random.default_rng([seed, 10**6 + chunk]).integers(len(MAP_SHAPES)))]
    scenes = [draw_training_scene(seed, chunk * CHUNK + i, shape, shares, nuisance_share=nuisance_share, mix=mix) for i in range(size)]
    parts = []
    for start in range(0, size, 16):
        some = scenes[start : start + 16]
        maps = [prepare_map(scene.observation) for scene in some]
        values, mask = (torch.from_numpy(np.stack(arrays)) for arrays in ([m.values for m in maps], [m.mask for m in maps]))
        inputs = kernel_frame(values, mask, [scene.positions for scene in some]).inputs
        truth = torch.from_numpy(np.stack([scene.kernel for scene in some]))[:, None]
        parts.append(torch.cat([inputs, truth], dim=1).half())
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".tmp{os.getpid()}")
    with temporary.open("wb") as file:
        np.save(file, torch.cat(parts).numpy())
    os.replace(temporary, path)


@dataclass(frozen=True)
class Chunk:
    """One chunk of a pool, as a process is told to write it."""

    folder: Path
    seed: int
    number: int
    shares: KernelShares
    size: int
    nuisance_share: float = 0.0
    mix: SceneMix = USUAL

    def write(self) -> None:
        """Write the chunk where it is missing."""
        build_chunk(self.folder, self.seed, self.number, self.shares, self.size, self.nuisance_share, self.mix)


@dataclass(frozen=True)
class PoolPlan:
    """What a pool holds.

    Attributes:
        folder: where it is written.
        seed: of its scenes.
        scenes: their number.
        shares: kinds of kernels.
        nuisance_share: share of the scenes with what measured maps add.
        mix: how many defects, and how wrong the lists are.
    """

    folder: Path
    seed: int
    scenes: int
    shares: KernelShares
    nuisance_share: float = 0.0
    mix: SceneMix = USUAL

    def chunks(self) -> list[Chunk]:
        """Return all chunks, written already or not."""
        sizes = [min(CHUNK, self.scenes - number * CHUNK) for number in range(-(-self.scenes // CHUNK))]
        return [
            Chunk(self.folder, self.seed, number, self.shares, size, self.nuisance_share, self.mix) for number, size in enumerate(sizes)
        ]


def build_pool(plan: PoolPlan, cancelled: Callable[[], bool] = lambda: False, processes: int = 1) -> None:
    """Write every chunk that is missing, with a progress bar, in so many processes; stop between two chunks when cancelled."""
    missing = [chunk for chunk in plan.chunks() if not chunk_path(plan.folder, chunk.number).exists()]
    executor = InProcess() if processes == 1 else LocalProcesses(processes)
    outcomes = executor.map(Chunk.write, missing, stop_when(cancelled))
    for outcome in tqdm(outcomes, total=len(missing), desc="pool", unit="chunk", mininterval=5):
        if outcome.error is not None:
            raise outcome.error


class PoolSource:
    """Samples of a pool, in memory as float16; sample i is one scene in one orientation."""

    def __init__(self, folder: Path, scenes: int, seed: int, device: torch.device | None = None) -> None:
        """Read the pool, to a device where one is given."""
        parts = [np.load(chunk_path(folder, chunk), allow_pickle=False) for chunk in range(-(-scenes // CHUNK))]
        self.frames = torch.from_numpy(np.concatenate(parts)).to(device)
        self.seed = seed
        self._epoch, self._order, self._orientations = -1, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if self.frames.shape[1:] != (CHANNELS + 1, FRAME_SIZE, FRAME_SIZE):
            raise ValueError(f"the pool in {folder} was made by another version; remove it and build it again.")

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, CHANNELS, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        drawn = np.array([self._place(index) for index in range(first, first + count)])
        batch = torch.empty((count, CHANNELS + 1, KERNEL_SIZE, KERNEL_SIZE), device=self.frames.device)
        for orientation in np.unique(drawn[:, 1]):
            rows = np.nonzero(drawn[:, 1] == orientation)[0]
            chosen = self.frames[torch.from_numpy(drawn[rows, 0]).to(self.frames.device)]
            batch[torch.from_numpy(rows).to(self.frames.device)] = network_window(turn(chosen.float(), int(orientation)))
        return batch[:, :CHANNELS], normalise_kernel(batch[:, CHANNELS:])

    def _place(self, index: int) -> tuple[int, int]:
        """Return scene and orientation of a sample; every epoch has its own order."""
        epoch, place = divmod(index, len(self.frames))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.frames))
            self._orientations = np.random.default_rng([self.seed, epoch, 1]).integers(ORIENTATIONS, size=len(self.frames))
        return int(self._order[place]), int(self._orientations[place])
