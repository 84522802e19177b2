"""The pool of step 2: scenes whose kernel-frame evidence is computed once and used in eight orientations.

Drawing a scene and solving it costs several times what the network costs, so it is done once, in files outside the repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from qpi_core.networks.kernel_frame import CHANNELS, FRAME_SIZE, kernel_frame, network_window, turn
from qpi_core.networks.kernel_vae import normalise_kernel
from qpi_core.solvers.tikhonov import prepare_map
from qpi_core.training.scene_stream import MAP_SHAPES, draw_training_scene
from qpi_core.training.streams import KernelShares

CHUNK = 64


def chunk_path(folder: Path, chunk: int) -> Path:
    """Return the file of one chunk."""
    return folder / f"chunk-{chunk:05d}.npy"


def build_chunk(folder: Path, seed: int, chunk: int, shares: KernelShares, size: int = CHUNK, nuisance_share: float = 0.0) -> None:
    """Draw, solve and write one chunk, (size, CHANNELS + 1, FRAME_SIZE, FRAME_SIZE) float16, the kernel last; skip if it is there."""
    path = chunk_path(folder, chunk)
    if path.exists():
        return
    shape = MAP_SHAPES[int(np.random.default_rng([seed, 10**6 + chunk]).integers(len(MAP_SHAPES)))]
    scenes = [draw_training_scene(seed, chunk * CHUNK + i, shape, shares, nuisance_share=nuisance_share) for i in range(size)]
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


def build_pool(
    folder: Path,
    seed: int,
    scenes: int,
    shares: KernelShares,
    cancelled: Callable[[], bool] = lambda: False,
    nuisance_share: float = 0.0,
) -> None:
    """Write every chunk that is missing, with a progress bar; stop between two chunks when cancelled."""
    chunks = -(-scenes // CHUNK)
    for chunk in tqdm(range(chunks), desc="pool", unit="chunk", mininterval=5):
        if cancelled():
            return
        build_chunk(folder, seed, chunk, shares, min(CHUNK, scenes - chunk * CHUNK), nuisance_share)


class PoolSource:
    """Samples of a pool, in memory as float16; sample i is one scene in one orientation."""

    def __init__(self, folder: Path, scenes: int, seed: int) -> None:
        parts = [np.load(chunk_path(folder, chunk), allow_pickle=False) for chunk in range(-(-scenes // CHUNK))]
        self.frames = torch.from_numpy(np.concatenate(parts))
        self.seed = seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)
        if self.frames.shape[1:] != (CHANNELS + 1, FRAME_SIZE, FRAME_SIZE):
            raise ValueError(f"the pool in {folder} was made by another version; remove it and build it again.")

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, CHANNELS, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        total = len(self.frames)
        samples = []
        for index in range(first, first + count):
            epoch, place = divmod(index, total)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(total)
            orientation = int(np.random.default_rng([self.seed, 1, index]).integers(8))
            samples.append(network_window(turn(self.frames[int(self._order[place])].float(), orientation)))
        batch = torch.stack(samples)
        return batch[:, :CHANNELS], normalise_kernel(batch[:, CHANNELS:])
