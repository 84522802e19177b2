"""Training on a stored data set: the paper's fixed kernels, or kernels of one's own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qpi_core.errors import InputError
from qpi_core.networks.kernel_frame import kernel_frame, network_window
from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel
from qpi_core.networks.map_windows import map_windows
from qpi_core.solvers.tikhonov import prepare_map
from qpi_core.synthesis.dataset_files import TRAIN
from qpi_core.synthesis.dataset_reader import DatasetSample, KernelDataset


def _require_network_size(shape: tuple[int, ...]) -> None:
    if shape != (KERNEL_SIZE, KERNEL_SIZE):
        raise InputError(f"the data set holds {shape[0]} x {shape[1]} images; training reads {KERNEL_SIZE} x {KERNEL_SIZE}.")


class DatasetKernels:
    """Kernels of the training part, in a new order every epoch; sample i depends on (seed, i) alone."""

    def __init__(self, dataset: KernelDataset, seed: int) -> None:
        shards = dataset.kernels(test=False)
        _require_network_size(shards[0].kernel.shape)
        self.kernels = normalise_kernel(torch.from_numpy(np.stack([shard.kernel for shard in shards]))[:, None])
        # Unknown symmetry counts as none: such kernels take no part in the symmetry loss.
        self.orders = torch.tensor([1 if shard.symmetry_order is None else shard.symmetry_order for shard in shards])
        self.seed = seed

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return kernels (count, 1, 64, 64) and symmetry orders (count,)."""
        chosen = [_shuffled(self.seed, index, len(self.kernels)) for index in range(first, first + count)]
        return self.kernels[chosen], self.orders[chosen]


class DatasetPairs:
    """(Y, M) inputs with their kernels, from the training observations of the training kernels."""

    def __init__(self, dataset: KernelDataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        self.indices = dataset.indices(TRAIN)
        _require_network_size(dataset[self.indices[0]].observation.shape)

    def samples(self, first: int, count: int) -> list[DatasetSample]:
        """Return samples first ... of the run."""
        return [self.dataset[self.indices[_shuffled(self.seed, i, len(self.indices))]] for i in range(first, first + count)]

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, 2, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        samples = self.samples(first, count)
        inputs = torch.cat([map_windows(sample.observation, sample.positions) for sample in samples])
        kernels = torch.from_numpy(np.stack([sample.kernel for sample in samples]))[:, None]
        return inputs, normalise_kernel(kernels)


class DatasetFrames:
    """Kernel-frame inputs with their kernels, from the same observations, solved when they are asked for."""

    def __init__(self, dataset: KernelDataset, seed: int) -> None:
        self.pairs = DatasetPairs(dataset, seed)

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, CHANNELS, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        samples = self.pairs.samples(first, count)
        maps = [prepare_map(sample.observation) for sample in samples]
        values, mask = (torch.from_numpy(np.stack(arrays)) for arrays in ([m.values for m in maps], [m.mask for m in maps]))
        inputs = network_window(kernel_frame(values, mask, [sample.positions for sample in samples]).inputs)
        return inputs, normalise_kernel(torch.from_numpy(np.stack([sample.kernel for sample in samples]))[:, None])


_ORDERS: dict[tuple[int, int, int], list[int]] = {}


def _shuffled(seed: int, index: int, total: int) -> int:
    """Return the place of sample `index` in its epoch's order; the order of one epoch is kept at a time."""
    epoch, place = divmod(index, total)
    key = (seed, epoch, total)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng([seed, epoch]).permutation(total).tolist()
    return _ORDERS[key][place]
