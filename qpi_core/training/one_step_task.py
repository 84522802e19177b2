"""The baseline: one network straight from (Y, M) to A, with the losses of step 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qpi_core.networks.kernel_vae import normalise_kernel
from qpi_core.networks.map_windows import map_windows
from qpi_core.networks.one_step import OneStepNetwork
from qpi_core.training.alignment_task import PairSource
from qpi_core.training.data.scene_stream import draw_training_scene
from qpi_core.training.data.streams import KernelShares
from qpi_core.training.recipes import Recipe


class OneStepTask:
    """The baseline as the loop sees it."""

    def __init__(self, recipe: Recipe, source: PairSource, seed: int, model: OneStepNetwork | None = None) -> None:
        torch.manual_seed(seed)
        shape = recipe.architecture
        self.model = model or OneStepNetwork(shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups)
        self.source = source

    def batch(self, first: int, count: int) -> tuple[Tensor, ...]:
        """Return (Y, M) and true kernels."""
        return self.source(first, count)

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], progress: float, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared error of the kernel."""
        inputs, kernel = batch
        error = (model(inputs) - kernel).square().mean()
        return error, {"mse": error}


def fresh_map_pairs(seed: int, shares: KernelShares) -> PairSource:
    """Return a source of (Y, M) pairs of the paper's kind: 64x64 maps, defects on the grid, drawn afresh."""

    def source(first: int, count: int) -> tuple[Tensor, Tensor]:
        inputs, kernels = [], []
        for index in range(first, first + count):
            scene = draw_training_scene(seed, index, (64, 64), shares, ideal_positions=True)
            inputs.append(map_windows(scene.observation, scene.positions))
            kernels.append(torch.from_numpy(scene.kernel)[None, None, :64, :64])
        return torch.cat(inputs), normalise_kernel(torch.cat(kernels))

    return source
