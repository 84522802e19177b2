"""Where the networks run: names of devices, checked before anything is loaded."""

from __future__ import annotations

import re

from qpi_core.base.errors import InputError


def require_device(device: str) -> str:
    """Return the device's name; a GPU that is asked for by name must be there.

    Raises:
        InputError: an unknown or missing device.
    """
    if not isinstance(device, str) or re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device) is None:
        raise InputError(f"device must be auto, cpu, mps, cuda or cuda:0 ..., but it is {device!r}.")
    if device in ("auto", "cpu"):
        return device
    import torch

    kind, _, number = device.partition(":")
    if kind == "mps":
        there = torch.backends.mps.is_available()
    else:
        there = torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    if not there:
        raise InputError(f"device {device!r} is not there on this machine; choose cpu, or auto to take what there is.")
    return device


def resolve_device(device: str) -> str:
    """Return the torch device for a checked name: `auto` is a CUDA GPU where there is one, else the CPU."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def training_precision(asked: str, cpu: bool) -> str:
    """Return the precision of the convolutions in training: no (float32), bf16 or fp16.

    "auto" is bf16 where the GPU, or the processor, has instructions for it: a processor without them needs fifteen times as long.

    Args:
        asked: auto, no, bf16 or fp16.
        cpu: stay on the CPU although there may be a GPU.
    """
    if asked != "auto":
        return asked
    import torch

    if not cpu and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _processor_has_bf16() else "no"


def _processor_has_bf16() -> bool:
    import torch

    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
