"""Step 1: Encoder_K and Decoder_K with L_MSE + alpha L_SYM + a small KL term (Eqs. 2 to 4)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qpi_core.networks.kernel_vae import LATENT_SHAPE, KernelVAE
from qpi_core.training.losses import divergence, symmetry_loss
from qpi_core.training.recipes import Recipe

KernelSource = Callable[[int, int], tuple[Tensor, Tensor]]
"""(first, count) -> kernels (count, 1, 64, 64) on the networks' scale, symmetry orders (count,)."""


class KernelVAETask:
    """Step 1 as the loop sees it."""

    def __init__(self, recipe: Recipe, source: KernelSource, seed: int, model: KernelVAE | None = None) -> None:
        torch.manual_seed(seed)
        shape = recipe.architecture
        self.model = model or KernelVAE(shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups)
        self.recipe, self.source, self.seed = recipe, source, seed

    def batch(self, first: int, count: int) -> tuple[Tensor, ...]:
        """Return kernels and symmetry orders."""
        return self.source(first, count)

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], progress: float, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return Eq. 4 plus the KL term."""
        kernel, orders = batch
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        noise = torch.randn((len(kernel), *LATENT_SHAPE), generator=generator).to(kernel.device)
        reconstruction, mean, logvar = model(kernel, noise)
        squared = (reconstruction - kernel).square().mean()
        alpha = self.recipe.symmetry_weight + (self.recipe.final_symmetry_weight - self.recipe.symmetry_weight) * progress
        symmetry = symmetry_loss(reconstruction, kernel, orders) if alpha > 0 else torch.zeros_like(squared)
        kl = divergence(mean, logvar)
        return squared + alpha * symmetry + self.recipe.divergence_weight * kl, {"mse": squared, "symmetry": symmetry, "kl": kl}
