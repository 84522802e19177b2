"""Training on a stored data set: the paper's fixed kernels, or kernels of one's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qpi_core.base.errors import InputError
from qpi_core.networks.kernel_frame import kernel_frame, network_window, turn
from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel
from qpi_core.networks.map_windows import map_windows
from qpi_core.solvers.least_squares.regularised import prepare_map
from qpi_core.synthesis.datasets.dataset_files import OUT_OF_DOMAIN, TRAIN
from qpi_core.synthesis.datasets.dataset_reader import DatasetSample, KernelDataset
from qpi_core.training.data.device_streams import batch_generator

HELD_OUT_SHARE = 0.02
"""Share of a kernel's training observations that is kept back from training."""
_NOISE_STREAM = 0x4E4F4953
_TURN_STREAM = 0x5455524E
ORIENTATIONS = 8
"""Quarter turns, and the same of the mirror image."""


def _require_network_size(shape: tuple[int, ...]) -> None:
    if shape != (KERNEL_SIZE, KERNEL_SIZE):
        raise InputError(f"the data set holds {shape[0]} x {shape[1]} images; training reads {KERNEL_SIZE} x {KERNEL_SIZE}.")


class DatasetKernels:
    """Kernels of the training part, in a new order every epoch; sample i depends on (seed, i) alone.

    Attributes:
        kernels: (n, 1, 64, 64) on the networks' scale; with turns each kernel in its eight orientations, one after the other.
        orders: (n,) orders of their rotational symmetry.
        turns: every sample comes in a random one of the eight orientations.
    """

    def __init__(self, dataset: KernelDataset, seed: int, turns: bool = False) -> None:
        shards = dataset.kernels(test=False)
        _require_network_size(shards[0].kernel.shape)
        self.kernels = normalise_kernel(torch.from_numpy(np.stack([shard.kernel for shard in shards]))[:, None])
        # Unknown symmetry counts as none: such kernels take no part in the symmetry loss.
        self.orders = torch.tensor([1 if shard.symmetry_order is None else shard.symmetry_order for shard in shards])
        self.seed, self.turns, self._distinct = seed, turns, len(self.kernels)
        if turns:
            self.kernels = turned_kernels(self.kernels)
            self.orders = self.orders.repeat_interleave(ORIENTATIONS)

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return kernels (count, 1, 64, 64) and symmetry orders (count,)."""
        chosen = [place_in_epoch(self.seed, index, self._distinct) for index in range(first, first + count)]
        if self.turns:
            chosen = [ORIENTATIONS * row + _orientation(self.seed, first + k) for k, row in enumerate(chosen)]
        return self.kernels[chosen], self.orders[chosen]


def turned_kernels(kernels: Tensor) -> Tensor:
    """Return even-sized kernels (n, 1, N, N) in their eight orientations, (8 n, 1, N, N), about the centre at index N // 2.

    The row and the column that a turn about this centre brings in from outside repeat the last ones inside.
    """
    odd = torch.nn.functional.pad(kernels, (0, 1, 0, 1), mode="replicate")
    size = kernels.shape[-1]
    return torch.stack([turn(odd, k)[..., :size, :size] for k in range(ORIENTATIONS)], dim=1).flatten(0, 1)


def _orientation(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, _TURN_STREAM, index]).integers(ORIENTATIONS))


class DatasetPairs:
    """(Y, M) inputs with their kernels, from the training observations of the training kernels.

    The last HELD_OUT_SHARE of each kernel's training observations are kept back: the loss on them says when training may stop, and
    neither test part is touched for that. With turns every sample, map and list and kernel alike, comes in a random orientation; those
    that are kept back come as they are.
    """

    def __init__(
        self, dataset: KernelDataset, seed: int, noise: float = 0.0, device: torch.device | None = None, turns: bool = False
    ) -> None:
        """Open the training part; with a device, all its maps are read at once and stay there."""
        self.dataset, self.seed, self.noise, self.turns = dataset, seed, noise, turns
        self.indices, self.held_out = _training_parts(dataset)
        _require_network_size(dataset[self.indices[0]].observation.shape)
        self.kernels = DatasetKernels(dataset, seed, turns).kernels
        numbers = [k for k in range(dataset.kernel_count) if dataset.shard(k).splits[0] != OUT_OF_DOMAIN]
        self._row = {kernel: row * (ORIENTATIONS if turns else 1) for row, kernel in enumerate(numbers)}
        self._held: tuple[Tensor, Tensor] | None = None
        if device is not None:
            parts = [[self.dataset[index] for index in self.indices[k : k + 512]] for k in range(0, len(self.indices), 512)]
            maps = torch.cat([map_pairs(part).to(device) for part in parts])
            self._held = maps, torch.cat([self.rows(part) for part in parts]).to(device)
            self.kernels = self.kernels.to(device)

    def samples(self, first: int, count: int) -> list[DatasetSample]:
        """Return samples first ... of the run."""
        return [self.dataset[self.indices[place_in_epoch(self.seed, i, len(self.indices))]] for i in range(first, first + count)]

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, 2, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        inputs, rows = self.numbered(first, count)
        return inputs, self.kernels[rows]

    def numbered(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs and, in place of the kernels, their places (count,) in `kernels`."""
        if self._held is not None:
            chosen = [place_in_epoch(self.seed, index, len(self.indices)) for index in range(first, first + count)]
            places = torch.tensor(chosen, device=self._held[0].device)
            return self._turned(first, self._noisy(first, self._held[0][places]), self._held[1][places])
        samples = self.samples(first, count)
        inputs = map_pairs(samples)
        if self.noise:
            for place, index in enumerate(range(first, first + count)):
                rng = np.random.default_rng([self.seed, _NOISE_STREAM, index])
                level = rng.uniform(0, self.noise)
                noisy = inputs[place, 0] + torch.from_numpy(level * rng.standard_normal(inputs.shape[2:], dtype=np.float32))
                inputs[place, 0] = (noisy - noisy.mean()) / noisy.std(correction=0).clamp_min(1e-6)
        return self._turned(first, inputs, self.rows(samples))

    def _noisy(self, first: int, inputs: Tensor) -> Tensor:
        """Return inputs with white noise in their maps, drawn where they lie."""
        if not self.noise:
            return inputs
        generator = batch_generator(self.seed ^ _NOISE_STREAM, first, inputs.device)
        level = self.noise * torch.rand((len(inputs), 1, 1), generator=generator, device=inputs.device)
        noisy = inputs[:, 0] + level * torch.randn(inputs[:, 0].shape, generator=generator, device=inputs.device)
        noisy -= noisy.mean(dim=(1, 2), keepdim=True)
        return torch.stack([noisy / noisy.std(dim=(1, 2), correction=0, keepdim=True).clamp_min(1e-6), inputs[:, 1]], dim=1)

    def _turned(self, first: int, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples first ... in the orientations that belong to them, and the rows of the kernels turned alike."""
        if not self.turns:
            return inputs, rows
        orientations = [_orientation(self.seed, first + k) for k in range(len(inputs))]
        turned = torch.stack([turn(pair, k) for pair, k in zip(inputs, orientations, strict=True)])
        return turned, rows + torch.tensor(orientations, device=rows.device)

    def held_out_pairs(self) -> tuple[Tensor, Tensor]:
        """Return inputs and places of the kernels of the observations that no step sees."""
        samples = [self.dataset[index] for index in self.held_out]
        return map_pairs(samples), self.rows(samples)

    def rows(self, samples: Sequence[DatasetSample]) -> Tensor:
        """Return the places (n,) in `kernels` of the samples' kernels."""
        return torch.tensor([self._row[sample.kernel_index] for sample in samples])


def map_pairs(samples: Sequence[DatasetSample]) -> Tensor:
    """Return what `map_windows` makes of 64x64 maps, (n, 2, 64, 64), for all of them at once."""
    maps = np.stack([sample.observation for sample in samples])
    if not np.isfinite(maps).all():
        return torch.cat([map_windows(sample.observation, sample.positions) for sample in samples])
    mean, scale = (f(maps, axis=(1, 2), keepdims=True, dtype=np.float64) for f in (np.mean, np.std))
    scale = np.where(scale <= 1e-6 * np.abs(mean), 1.0, scale)
    both = np.zeros((len(samples), 2, KERNEL_SIZE, KERNEL_SIZE), dtype=np.float32)
    both[:, 0] = (maps - mean) / scale
    for activation, sample in zip(both[:, 1], samples, strict=True):
        columns, rows = np.clip(np.rint(sample.positions), 0, KERNEL_SIZE - 1).astype(int).T
        np.add.at(activation, (rows, columns), 1.0)
    return torch.from_numpy(both)


def _training_parts(dataset: KernelDataset) -> tuple[list[int], list[int]]:
    """Return the numbers of the training samples, and of those that are kept back from training."""
    of_kernel: dict[int, list[int]] = defaultdict(list)
    for index in dataset.indices(TRAIN):
        of_kernel[dataset.place(index)[0]].append(index)
    used, kept_back = [], []
    for places in of_kernel.values():
        count = len(places) - int(HELD_OUT_SHARE * len(places))
        used += places[:count]
        kept_back += places[count:]
    return used, kept_back


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


def place_in_epoch(seed: int, index: int, total: int) -> int:
    """Return the place of sample `index` in its epoch's order; the order of one epoch is kept at a time."""
    epoch, place = divmod(index, total)
    key = (seed, epoch, total)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng([seed, epoch]).permutation(total).tolist()
    return _ORDERS[key][place]
