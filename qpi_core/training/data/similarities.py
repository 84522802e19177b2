"""Training on a stored data set whose kernels are turned, mirrored and stretched anew for every sample.

A defect's pattern on another crystal axis, or at another energy, is the same pattern turned or stretched: with few kernels to learn from,
similarity transforms of them are the nearest thing to more kernels. The maps are superposed anew from the varied kernel and the
stored lists of defects, since a turned map would have no defects on the grid.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.training.data.dataset_source import DatasetKernels, DatasetPairs, place_in_epoch
from qpi_core.training.data.device_streams import batch_generator, superpose_on_grid

MOST_STRETCH = 1.3
"""Kernels are stretched by a factor between 1 / MOST_STRETCH and this, log-uniformly."""


def draw_similarities(kernels: Tensor, generator: torch.Generator) -> Tensor:
    """Return kernels turned about their centre by any angle, mirrored or not, and stretched by up to MOST_STRETCH either way.

    Args:
        kernels: (batch, 1, n, n), r = 0 at index n // 2; bicubic interpolation, and beyond the window the values of its edge.
        generator: on the device of the kernels.
    """
    count, n = len(kernels), kernels.shape[-1]

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=kernels.device)

    angle, mirror = 2 * torch.pi * uniform(), torch.where(uniform() < 0.5, -1.0, 1.0)
    factor = torch.exp((2 * uniform() - 1) * float(np.log(MOST_STRETCH)))
    offsets = torch.arange(n, device=kernels.device, dtype=torch.float32) - n // 2
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    cos, sin = (f(angle)[:, None, None] / factor[:, None, None] for f in (torch.cos, torch.sin))
    source_x = mirror[:, None, None] * (cos * x - sin * y)
    grid = torch.stack([source_x + n // 2, sin * x + cos * y + n // 2], dim=-1) * (2 / (n - 1)) - 1
    return torch.nn.functional.grid_sample(kernels.float(), grid, mode="bicubic", padding_mode="border", align_corners=True)


class VariedKernels:
    """Kernels of a data set's training part, each time another similarity transform of them; a batch depends on (seed, first)."""

    def __init__(self, dataset: KernelDataset, seed: int, device: torch.device) -> None:
        self.stored, self.seed, self.device = DatasetKernels(dataset, seed), seed, device

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return kernels (count, 1, 64, 64) on the networks' scale and symmetry orders (count,), which the transforms keep."""
        kernels, orders = (part.to(self.device) for part in self.stored(first, count))
        return normalise_kernel(draw_similarities(kernels, batch_generator(self.seed, first, self.device))), orders


class VariedPairs:
    """(Y, M) pairs whose lists come from the training observations and whose kernels are similarity transforms of the training kernels.

    The observations that `DatasetPairs` keeps back are kept back here too, and come as they are.
    """

    def __init__(self, dataset: KernelDataset, seed: int, device: torch.device) -> None:
        self.stored, self.seed, self.device = DatasetPairs(dataset, seed), seed, device
        self.kernels = self.stored.kernels.to(device)
        self.held_out = self.stored.held_out
        samples = [dataset[index] for index in self.stored.indices]
        self.rows = self.stored.rows(samples).to(device)
        lists = np.stack([sample.activation_map for sample in samples])
        self.activations = torch.from_numpy(lists.astype(np.uint8)).to(device)

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, 2, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        chosen = torch.tensor([place_in_epoch(self.seed, i, len(self.rows)) for i in range(first, first + count)], device=self.device)
        activation = self.activations[chosen].float()
        kernels = draw_similarities(self.kernels[self.rows[chosen]], batch_generator(self.seed, first, self.device))
        # The map's other end sees offsets up to 63 pixels; the window ends at 32, where the kernel has faded.
        half = KERNEL_SIZE // 2
        wide = torch.nn.functional.pad(kernels[:, 0], (half - 1, half, half - 1, half))
        maps = superpose_on_grid(wide, activation)
        centred = maps - maps.mean(dim=(1, 2), keepdim=True)
        standard = centred / centred.std(dim=(1, 2), correction=0, keepdim=True).clamp_min(1e-12)
        return torch.stack([standard, activation], dim=1), normalise_kernel(kernels)

    def held_out_pairs(self) -> tuple[Tensor, Tensor]:
        """Return inputs and places of the kernels of the observations that no step sees."""
        return self.stored.held_out_pairs()
