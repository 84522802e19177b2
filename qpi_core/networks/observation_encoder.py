"""Encoder_Y: same structure as Encoder_K (Sec. 2.2 of the paper), aligned to its standardised latents.

Two kinds of input: "map" is the paper's (Y, M) pair on 64x64 maps; "kernel_frame" is the evidence brought into the 64x64 window
around one defect (see kernel_frame), which makes the network independent of the map's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from qpi_core.networks.kernel_vae import KernelVAE, make_autoencoder

LOGVAR_RANGE = (-14.0, 4.0)
"""Limits of a log-variance, in units of the spread of the latents: a thousandth of it, and more than all of it."""
FIRST_LOGVAR = -3.0
InputKind = Literal["map", "kernel_frame"]


class ObservationEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Encoder_Y: (batch, in_channels, 64, 64) -> standardised latents (batch, 4, 8, 8)."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 2,
        input_kind: InputKind = "map",
        block_out_channels: Sequence[int] = (16, 32, 64, 128),
        layers_per_block: int = 1,
        norm_num_groups: int = 8,
        uncertainty: bool = False,
    ) -> None:
        """Make an untrained encoder; `uncertainty` says whether its log-variances are trained and mean something."""
        super().__init__()
        autoencoder = make_autoencoder(in_channels, block_out_channels, layers_per_block, norm_num_groups)
        self.encoder = autoencoder.encoder
        self.quant_conv = autoencoder.quant_conv

    def forward(self, inputs: Tensor, with_logvar: bool = False) -> Tensor:
        """Return the standardised latent mean; with_logvar appends its log-variance, (batch, 8, 8, 8), channels 0-3 and 4-7."""
        moments: Tensor = self.quant_conv(self.encoder(inputs)).float()
        return moments if with_logvar else moments[:, : moments.shape[1] // 2]

    def distribution(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the latent mean and its standard deviation, both (batch, 4, 8, 8); None where the network was not taught it."""
        if not self.config["uncertainty"]:
            mean: Tensor = self(inputs)
            return mean, None
        mean, logvar = self(inputs, with_logvar=True).chunk(2, dim=1)
        return mean, torch.exp(0.5 * logvar.clamp(*LOGVAR_RANGE))

    @torch.no_grad()
    def start_from(self, vae: KernelVAE, kernel_channel: int) -> None:
        """Copy Encoder_K's weights, reading the kernel from one input channel; the other channels start with no influence.

        Encoder_Y then begins as Encoder_K applied to the best linear estimate of the kernel, and learns to correct it. The output
        layer takes over the standardisation of the latents.
        """
        source = vae.autoencoder
        first = self.encoder.conv_in.weight.clone()
        own = self.encoder.state_dict()
        own.update({name: value for name, value in source.encoder.state_dict().items() if name != "conv_in.weight"})
        self.encoder.load_state_dict(own)
        first.zero_()
        first[:, kernel_channel] = source.encoder.conv_in.weight[:, 0]
        self.encoder.conv_in.weight.copy_(first)
        self._standardise(source.quant_conv.state_dict(), vae)

    @torch.no_grad()
    def copy_encoder(self, encoder: dict[str, Tensor], quant_conv: dict[str, Tensor], vae: KernelVAE) -> None:
        """Copy the encoder of a pretrained autoencoder with this one's inputs; latents leave on the scale of the VAE's."""
        self.encoder.load_state_dict(encoder)
        self._standardise(quant_conv, vae)

    def _standardise(self, quant_conv: dict[str, Tensor], vae: KernelVAE) -> None:
        count = vae.latent_mean.shape[0]
        self.quant_conv.load_state_dict(quant_conv)
        scale = vae.latent_std.view(-1)
        self.quant_conv.weight[:count] /= scale.view(-1, 1, 1, 1)
        self.quant_conv.bias[:count] = (self.quant_conv.bias[:count] - vae.latent_mean.view(-1)) / scale
        if self.config["uncertainty"]:
            # An autoencoder's log-variance is that of its own noise; how far an observation leaves the latent open is learned anew.
            self.quant_conv.weight[count:] = 0.0
            self.quant_conv.bias[count:] = FIRST_LOGVAR
