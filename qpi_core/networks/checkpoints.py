"""Released models: folders of diffusers-style `config.json` + safetensors, one sub-folder a network. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpi_core.base.errors import InputError
from qpi_core.base.places import shipped

if TYPE_CHECKING:
    from torch import nn

    from qpi_core.networks.kernel_vae import KernelVAE
    from qpi_core.networks.observation_encoder import ObservationEncoder
    from qpi_core.networks.one_step import OneStepNetwork

MODELS_FOLDER = shipped("models")
DEFAULT_MODEL = "qpi-compact"
NETWORKS = ("kernel_vae", "observation_encoder", "one_step")
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
MAX_WEIGHTS_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ModelInfo:
    """A model folder: its name, where it is, the first heading of its card, and what the benchmark measured."""

    name: str
    folder: Path
    title: str
    metrics: dict[str, Any]


@dataclass(frozen=True)
class LoadedModels:
    """The networks of one model, ready on a device; `sha256` covers all weights."""

    name: str
    folder: Path
    sha256: str
    vae: KernelVAE
    encoder: ObservationEncoder
    one_step: OneStepNetwork | None
    device: str


def list_models(root: Path = MODELS_FOLDER) -> list[ModelInfo]:
    """Return the released models, the default one first."""
    if not root.is_dir():
        return []
    found = [_describe(folder) for folder in sorted(root.iterdir()) if (folder / "kernel_vae" / CONFIG_NAME).is_file()]
    return sorted(found, key=lambda info: (info.name != DEFAULT_MODEL, info.name))


def resolve_model(name: str | Path | None, root: Path = MODELS_FOLDER) -> Path:
    """Return the folder of a model by its name or path; None is the default one.

    Raises:
        InputError: there is no such model.
    """
    if name is None:
        name = DEFAULT_MODEL
    candidates = [Path(name)] if os.sep in str(name) else [root / str(name), Path(name)]
    for folder in candidates:
        if (folder / "kernel_vae" / CONFIG_NAME).is_file():
            return folder
    known = ", ".join(info.name for info in list_models(root)) or "none"
    raise InputError(f"model {str(name)!r} was not found; the models here are: {known}. Train one with: python -m qpi_core train --help")


def load_models(name: str | Path | None = None, device: str = "cpu", root: Path = MODELS_FOLDER) -> LoadedModels:
    """Load the networks of a model.

    Args:
        name: of a folder under models/, or a path; None is the default model.
        device: a torch device.

    Raises:
        InputError: no such model, or a file of it is missing or damaged.
    """
    from qpi_core.networks.kernel_vae import KernelVAE
    from qpi_core.networks.observation_encoder import ObservationEncoder
    from qpi_core.networks.one_step import OneStepNetwork

    folder = resolve_model(name, root)
    has_baseline = (folder / "one_step" / CONFIG_NAME).is_file()
    return LoadedModels(
        name=folder.name,
        folder=folder,
        sha256=weights_hash(folder),
        vae=load_network(KernelVAE, folder / "kernel_vae", device),
        encoder=load_network(ObservationEncoder, folder / "observation_encoder", device),
        one_step=load_network(OneStepNetwork, folder / "one_step", device) if has_baseline else None,
        device=device,
    )


def load_network(kind: Any, folder: Path, device: str = "cpu") -> Any:
    """Return one network of a folder, in evaluation mode.

    Raises:
        InputError: config or weights are missing, damaged, or do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, weights = folder / CONFIG_NAME, folder / WEIGHTS_NAME
    label = f"{folder.parent.name}/{folder.name}"
    for path in (config, weights):
        if not path.is_file():
            raise InputError(f"the model file {label}/{path.name} is missing; restore the models folder or train again.")
    damaged = f"the model in {label} is damaged or was made by another version; restore the folder or train it again."
    if weights.stat().st_size > MAX_WEIGHTS_BYTES:
        raise InputError(f"the weights in {label} are larger than {MAX_WEIGHTS_BYTES // 2**20} MiB; this is no released model.")
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        if settings.get("_class_name") != kind.__name__:
            raise InputError(damaged)
        network = kind.from_config(settings)
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise InputError(damaged) from error
    return network.to(device).eval().requires_grad_(False)


def save_network(network: nn.Module, folder: Path) -> None:
    """Write config.json and the weights of a network."""
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]


def weights_hash(folder: Path) -> str:
    """Return the sha256 over the weights of all networks of a model, in a fixed order."""
    digest = hashlib.sha256()
    for network in NETWORKS:
        path = folder / network / WEIGHTS_NAME
        if path.is_file():
            digest.update(network.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _describe(folder: Path) -> ModelInfo:
    card, metrics = folder / "README.md", folder / "metrics.json"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    title = next((line.lstrip("# ").strip() for line in lines if line.startswith("# ")), folder.name)
    try:
        measured = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
    except json.JSONDecodeError:
        measured = {}
    return ModelInfo(folder.name, folder, title, measured)
