"""Step 2: Encoder_Y aligned to the frozen Encoder_K (Eq. 6), in standardised latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qpi_core.networks.kernel_frame import CHANNELS, START_CHANNEL
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import ObservationEncoder
from qpi_core.training.recipes import Recipe

PairSource = Callable[[int, int], tuple[Tensor, Tensor]]
"""(first, count) -> inputs (count, channels, 64, 64), kernels (count, 1, 64, 64) on the networks' scale."""


class AlignmentTask:
    """Step 2 as the loop sees it: the latent distance, and beside it the distance of the decoded kernels."""

    def __init__(self, recipe: Recipe, source: PairSource, vae: KernelVAE, seed: int) -> None:
        torch.manual_seed(seed)
        shape = recipe.architecture
        kernel_frame = recipe.input_kind == "kernel_frame"
        encoder = ObservationEncoder(
            CHANNELS if kernel_frame else 2, recipe.input_kind, shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups
        )
        if kernel_frame:
            encoder.start_from(vae, START_CHANNEL)
        self.model = encoder
        self.vae = vae.requires_grad_(False).eval()
        self.recipe, self.source = recipe, source

    def batch(self, first: int, count: int) -> tuple[Tensor, ...]:
        """Return inputs and true kernels."""
        return self.source(first, count)

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], progress: float, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared distance of the latents plus the weighted one of the kernels."""
        inputs, kernel = batch
        self.vae.to(inputs.device)
        with torch.no_grad():
            target = self.vae.encode_kernel(kernel)
        latent = model(inputs)
        distance = (latent - target).square().mean()
        if not self.recipe.kernel_loss_weight:
            return distance, {"latent": distance}
        error = (self.vae.decode_kernel(latent) - kernel).square().mean()
        # The kernel's error is about a hundredth of the latent's at the same quality; 30 brings them to one scale.
        return distance + 30.0 * self.recipe.kernel_loss_weight * error, {"latent": distance, "mse": error}
