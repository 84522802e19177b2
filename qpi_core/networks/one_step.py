"""The one-step baseline of the paper: a single autoencoder straight from (Y, M) to A."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from qpi_core.networks.kernel_vae import make_autoencoder


class OneStepNetwork(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """(Y, M) of shape (batch, 2, 64, 64) -> kernels (batch, 1, 64, 64) on the networks' scale."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, block_out_channels: Sequence[int] = (16, 32, 64, 128), layers_per_block: int = 1, norm_num_groups: int = 8) -> None:
        super().__init__()
        self.autoencoder = make_autoencoder(2, block_out_channels, layers_per_block, norm_num_groups)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the kernels; the latent is the mean, not a sample."""
        latent = self.autoencoder.encode(inputs).latent_dist.mean
        return cast(Tensor, self.autoencoder.decode(latent).sample).float()
