"""Step 2: Encoder_Y aligned to the frozen Encoder_K (Eq. 6), in standardised latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from qpi_core.networks.kernel_frame import CHANNELS, START_CHANNEL
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import LOGVAR_RANGE, ObservationEncoder
from qpi_core.training.losses import uncertainty_loss
from qpi_core.training.recipes import Recipe

PairSource = Callable[[int, int], tuple[Tensor, Tensor]]
"""(first, count) -> inputs (count, channels, 64, 64), kernels (count, 1, 64, 64) on the networks' scale."""


@runtime_checkable
class NumberedPairs(Protocol):
    """A source of pairs with a few fixed kernels."""

    kernels: Tensor

    def numbered(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, channels, 64, 64) and places (count,) of their kernels in `kernels`."""


@torch.no_grad()
def latents_of(vae: KernelVAE, kernels: Tensor) -> Tensor:
    """Return Encoder_K's standardised latents (n, 4, 8, 8) of kernels (n, 1, 64, 64)."""
    vae.to(kernels.device)
    return torch.cat([vae.encode_kernel(part) for part in torch.split(kernels, 64)])


class AlignmentTask:
    """Step 2 as the loop sees it: the latent distance, and beside it the distance of the decoded kernels."""

    def __init__(self, recipe: Recipe, source: PairSource, vae: KernelVAE, seed: int) -> None:
        torch.manual_seed(seed)
        shape = recipe.architecture
        kernel_frame = recipe.input_kind == "kernel_frame"
        encoder = ObservationEncoder(
            CHANNELS if kernel_frame else 2,
            recipe.input_kind,
            shape.block_out_channels,
            shape.layers_per_block,
            shape.norm_num_groups,
            recipe.uncertainty_weight > 0,
        )
        if kernel_frame:
            encoder.start_from(vae, START_CHANNEL)
        self.model = encoder
        self.vae = vae.requires_grad_(False).eval()
        self.recipe, self.source = recipe, source
        # Encoder_K is frozen: where the kernels are few and fixed, and only their latents are compared, it runs once.
        self.targets = latents_of(vae, source.kernels) if isinstance(source, NumberedPairs) and not recipe.kernel_loss_weight else None

    def batch(self, first: int, count: int) -> tuple[Tensor, ...]:
        """Return inputs and true kernels, or inputs and the latents of the true kernels where these are known beforehand."""
        if self.targets is None or not isinstance(self.source, NumberedPairs):
            return self.source(first, count)
        inputs, rows = self.source.numbered(first, count)
        self.targets = self.targets.to(rows.device)
        return inputs, self.targets[rows]

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], progress: float, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared distance of the latents plus the weighted one of the kernels."""
        inputs, truth = batch
        if self.targets is None:
            self.vae.to(inputs.device)
            with torch.no_grad():
                target = self.vae.encode_kernel(truth)
        else:
            target = truth
        found = model(inputs, with_logvar=self.recipe.uncertainty_weight > 0)
        latent, logvar = found.chunk(2, dim=1) if self.recipe.uncertainty_weight else (found, None)
        distance = (latent - target).square().mean()
        loss, figures = distance, {"latent": distance}
        if logvar is not None:
            likelihood = uncertainty_loss(latent - target, logvar.clamp(*LOGVAR_RANGE))
            loss, figures = loss + self.recipe.uncertainty_weight * likelihood, figures | {"nll": likelihood}
        if self.recipe.kernel_loss_weight:
            error = (self.vae.decode_kernel(latent) - truth).square().mean()
            # The kernel's error is about a hundredth of the latent's at the same quality; 30 brings them to one scale.
            loss, figures = loss + 30.0 * self.recipe.kernel_loss_weight * error, figures | {"mse": error}
        return loss, figures
