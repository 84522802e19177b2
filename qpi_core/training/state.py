"""Training state on disk: weights, averaged weights and optimiser moments as safetensors, the step beside them. No pickles.

Batches and noise are drawn from (seed, step), so the step is the whole random state.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from qpi_core.base.errors import InputError

STATE_NAME = "state.safetensors"


def save_state(folder: Path, model: nn.Module, kept: nn.Module, optimiser: Any, step: int) -> None:
    """Write the state atomically: a reader finds the old file or the new one, never half of one."""
    tensors: dict[str, Tensor] = {f"model/{name}": value for name, value in model.state_dict().items()}
    if kept is not model:
        tensors |= {f"kept/{name}": value for name, value in kept.state_dict().items()}
    inner = getattr(optimiser, "optimizer", optimiser)
    for index, slots in inner.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{slot}": value for slot, value in slots.items()}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    temporary = folder / (STATE_NAME + ".tmp")
    save_file(tensors, temporary, metadata={"step": json.dumps(step)})
    os.replace(temporary, folder / STATE_NAME)


def load_state(folder: Path, model: nn.Module, kept: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Load the state of a run and return its step; 0 where the folder holds none.

    Raises:
        InputError: the state is damaged or belongs to another architecture.
    """
    path = folder / STATE_NAME
    if not path.exists():
        return 0
    from safetensors import safe_open

    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as reader:
            step = int(json.loads(reader.metadata()["step"]))
        model.load_state_dict(_part(tensors, "model/"))
        if kept is not model:
            kept.load_state_dict(_part(tensors, "kept/"))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"the training state in {folder} is damaged or of another network; start afresh in another folder.") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser/").items():
        index, slot = name.split("/")
        state.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return step


def saved_step(folder: Path) -> int:
    """Return how many steps the state in a folder has made, without reading its weights; 0 where there is none, or no whole one."""
    from safetensors import safe_open

    path = folder / STATE_NAME
    if not path.is_file():
        return 0
    try:
        with safe_open(path, framework="pt") as reader:
            return int(json.loads(reader.metadata()["step"]))
    except (SafetensorError, KeyError, TypeError):
        return 0


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
