"""Encoder_K and Decoder_K: the kernel VAE (Sec. 2.1 of the paper), diffusers' AutoencoderKL on one channel.

Kernels enter and leave on the network's own scale: divided by their largest absolute value. Latents leave standardised: the
mean and standard deviation of the training stream are stored with the weights, so distances between latents have a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers import AutoencoderKL
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

KERNEL_SIZE = 64
"""Side of the kernel window that the networks see, in pixels."""
LATENT_CHANNELS = 4
LATENT_SHAPE = (4, 8, 8)


def make_autoencoder(in_channels: int, block_out_channels: Sequence[int], layers_per_block: int, norm_num_groups: int) -> AutoencoderKL:
    """Return diffusers' AutoencoderKL for 64x64 windows with a 4x8x8 latent and one output channel."""
    levels = len(block_out_channels)
    return AutoencoderKL(
        in_channels=in_channels,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(block_out_channels),
        layers_per_block=layers_per_block,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=norm_num_groups,
        sample_size=KERNEL_SIZE,
    )


class KernelVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Encoder_K and Decoder_K. Kernels are (batch, 1, 64, 64), latents (batch, 4, 8, 8)."""

    latent_mean: Tensor
    latent_std: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, block_out_channels: Sequence[int] = (16, 32, 64, 128), layers_per_block: int = 1, norm_num_groups: int = 8) -> None:
        super().__init__()
        self.autoencoder = make_autoencoder(1, block_out_channels, layers_per_block, norm_num_groups)
        self.register_buffer("latent_mean", torch.zeros(LATENT_CHANNELS, 1, 1))
        self.register_buffer("latent_std", torch.ones(LATENT_CHANNELS, 1, 1))

    def forward(self, kernel: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (reconstruction, mean, log-variance) with the latent mean + std * noise; raw latents, for training."""
        posterior = self.posterior(kernel)
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        return self.decode_raw(mean + torch.exp(0.5 * logvar) * noise), mean, logvar

    def posterior(self, kernel: Tensor) -> DiagonalGaussianDistribution:
        """Return Encoder_K's distribution over raw (not standardised) latents."""
        return self.autoencoder.encode(kernel).latent_dist

    def encode_kernel(self, kernel: Tensor) -> Tensor:
        """Return Encoder_K's standardised latent mean, (batch, 4, 8, 8), of kernels (batch, 1, 64, 64)."""
        mean: Tensor = self.posterior(kernel).mean.float()
        return (mean - self.latent_mean) / self.latent_std

    def decode_kernel(self, latent: Tensor) -> Tensor:
        """Return Decoder_K's kernels, (batch, 1, 64, 64), of standardised latents (batch, 4, 8, 8)."""
        return self.decode_raw(latent * self.latent_std + self.latent_mean)

    def decode_raw(self, latent: Tensor) -> Tensor:
        """Return Decoder_K's kernels of latents on Encoder_K's own scale (used while it is trained)."""
        return cast(Tensor, self.autoencoder.decode(latent).sample).float()

    @torch.no_grad()
    def store_latent_statistics(self, kernels: Tensor) -> None:
        """Set the mean and standard deviation of each latent channel from training kernels (batch, 1, 64, 64)."""
        means = torch.cat([self.posterior(part).mean.float() for part in torch.split(kernels, 64)])
        self.latent_mean.copy_(means.mean(dim=(0, 2, 3)).view(-1, 1, 1))
        self.latent_std.copy_(means.std(dim=(0, 2, 3)).view(-1, 1, 1))


def normalise_kernel(kernel: Tensor) -> Tensor:
    """Return kernels (..., 64, 64) divided by their largest absolute value: the scale on which the networks work."""
    return kernel / kernel.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
