"""The paper's start: weights of a pretrained three-channel AutoencoderKL, from a local folder."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import load_network


def load_pretrained(folder: Path, target: AutoencoderKL) -> None:
    """Copy pretrained weights into an autoencoder of the same widths, adapting the first and last layer to its channels.

    One input channel gets the mean of the pretrained first convolution over its channels; two inputs get the first two, times 3/2;
    the last convolution becomes the mean over its outputs. This is what the authors' public code does. Weights that were trained on
    grey pictures are shared evenly between the inputs.

    Args:
        folder: holds config.json and a safetensors file in diffusers' format; nothing is downloaded.
        target: network to fill.

    Raises:
        InputError: no such folder, or another architecture.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"--pretrained {folder} holds no config.json; give the folder of a downloaded AutoencoderKL (safetensors).")
    try:
        source = AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"--pretrained {folder} could not be read as an AutoencoderKL in safetensors format.") from error
    weights: dict[str, Tensor] = dict(source.state_dict())
    own = target.state_dict()
    channels = own["encoder.conv_in.weight"].shape[1]
    first = weights["encoder.conv_in.weight"]
    if first.shape[1] == 1:
        weights["encoder.conv_in.weight"] = first.expand(-1, channels, -1, -1) / channels
    else:
        weights["encoder.conv_in.weight"] = first.mean(dim=1, keepdim=True) if channels == 1 else 1.5 * first[:, :channels]
    weights["decoder.conv_out.weight"] = weights["decoder.conv_out.weight"].mean(dim=0, keepdim=True)
    weights["decoder.conv_out.bias"] = weights["decoder.conv_out.bias"].mean(dim=0, keepdim=True)
    differing = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    if differing:
        raise InputError(f"--pretrained {folder} has another architecture than the preset: {differing[0]} differs; use the preset `paper`.")
    target.load_state_dict({name: weights[name] for name in own})


def start_from(network: nn.Module, folder: Path) -> None:
    """Copy the weights of a network of one of our own models into a new one of the same architecture.

    Raises:
        InputError: the folder holds no such network, or one of another architecture.
    """
    source = load_network(type(network), folder)
    own, weights = network.state_dict(), source.state_dict()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise InputError(f"--start-from: {folder.parent.name}/{folder.name} has another architecture than the preset.")
    network.load_state_dict(weights)
