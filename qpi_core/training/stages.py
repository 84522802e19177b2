"""The three stages of a model: what each trains on, in what order, and where its network ends up.

A run lives in one folder outside the repository:

    kernel-vae/ observation-encoder/ one-step/   state.safetensors, loss.jsonl
    pool/                                        kernel-frame evidence for step 2
    model/                                       the finished networks, in the format of models/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import load_network, save_network, weights_hash
from qpi_core.networks.kernel_vae import KernelVAE, make_autoencoder
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.training.alignment_task import AlignmentTask, PairSource
from qpi_core.training.data.dataset_source import DatasetFrames, DatasetKernels, DatasetPairs
from qpi_core.training.data.device_streams import DeviceKernels, DevicePairs
from qpi_core.training.data.photographs import PhotographCrops
from qpi_core.training.data.pool import PoolPlan, PoolSource, build_pool
from qpi_core.training.data.similarities import VariedKernels, VariedPairs
from qpi_core.training.data.streams import kernel_batch
from qpi_core.training.kernel_vae_task import KernelSource, KernelVAETask
from qpi_core.training.loop import HeldOut, train
from qpi_core.training.one_step_task import OneStepTask, fresh_map_pairs
from qpi_core.training.pretrained import load_pretrained, start_from
from qpi_core.training.recipes import Recipe, Stage, StageRecipe

STATISTICS_KERNELS = 2048
STOCK_KERNELS = 8192
"""Kernels of the families other than Eq. 7 that are drawn beforehand where training draws on its own device."""
PHOTOGRAPH_CODEC = "autoencoder"
HELD_OUT_TIMES = 25
"""How often a stage is measured on pairs that are kept back from it."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        folder: where state, losses and the finished model are kept.
        recipe: all numbers.
        seed: of kernels, scenes, noise and initial weights.
        dataset: folder of a stored data set to train on; None draws kernels and scenes afresh.
        pretrained: folder of a pretrained AutoencoderKL to start from; None starts from random weights.
        start_from: folder of a model (ours, same architecture) whose networks the stages go on from with a new schedule.
        stop_after: stop each stage after this many steps, with its state saved; None runs to the end.
        processes: that draw kernels and scenes on the CPU.
    """

    folder: Path
    recipe: Recipe
    seed: int = 7
    dataset: Path | None = None
    pretrained: Path | None = None
    start_from: Path | None = None
    stop_after: int | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.recipe.name.startswith("paper") and self.dataset is None:
            raise InputError(
                f"the preset `{self.recipe.name}` trains on the paper's fixed kernels; "
                "write them with `python -m qpi_core dataset` and give --dataset."
            )

    @property
    def model_folder(self) -> Path:
        """Where the finished networks go."""
        return self.folder / "model"


def run_stage(run: Run, stage: Stage, accelerator: Accelerator, cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Train one stage to its end (or to where it is told to stop) and save its network; true when the stage is finished.

    A cancelled stage keeps its state, but no network: the next stage would take it for a finished one.

    Raises:
        InputError: an earlier stage is missing, or the folder holds something else.
    """
    {"kernel-vae": _kernel_vae, "observation-encoder": _observation_encoder, "one-step": _one_step}[stage](run, accelerator, cancelled)
    return not cancelled() and (run.stop_after is None or run.stop_after >= run.recipe.stage(stage).steps)


def train_on_photographs(
    recipe: Recipe, folder: Path, seed: int, accelerator: Accelerator, cancelled: Callable[[], bool] = lambda: False
) -> bool:
    """Train the codec that the networks of the paper's experiment start from; true when it is finished.

    Args:
        recipe: with `photographs`.
        folder: receives the state and the logs, and in `autoencoder` the finished AutoencoderKL in diffusers' format.
        seed: of the crops and the initial weights.
        accelerator: device, precision and processes.
        cancelled: asked once a step; true saves the state and stops.
    """
    assert recipe.photographs is not None
    task = KernelVAETask(replace(recipe, symmetry_weight=0.0, final_symmetry_weight=0.0), PhotographCrops(seed), seed)
    kept = train(task, recipe.photographs, folder, accelerator=accelerator, cancelled=cancelled)
    if cancelled():
        return False
    if accelerator.is_main_process:
        assert isinstance(kept, KernelVAE)
        save_network(kept.cpu().autoencoder, folder / PHOTOGRAPH_CODEC)
    accelerator.wait_for_everyone()
    return True


def _kernel_vae(run: Run, accelerator: Accelerator, cancelled: Callable[[], bool]) -> None:
    source = _kernels(run, accelerator)
    task = KernelVAETask(run.recipe, source, run.seed)
    if run.pretrained is not None:
        load_pretrained(run.pretrained, task.model.autoencoder)
    if run.start_from is not None:
        start_from(task.model, run.start_from / "kernel_vae")
    kept = train(
        task, run.recipe.kernel_vae, run.folder / "kernel-vae", accelerator=accelerator, stop_after=run.stop_after, cancelled=cancelled
    )
    if accelerator.is_main_process and not cancelled():
        vae = kept.cpu().eval()
        assert isinstance(vae, KernelVAE)
        vae.store_latent_statistics(source(0, min(STATISTICS_KERNELS, 64 * run.recipe.kernel_vae.steps))[0].cpu())
        _save(vae, run, "kernel_vae")
    accelerator.wait_for_everyone()


def _observation_encoder(run: Run, accelerator: Accelerator, cancelled: Callable[[], bool]) -> None:
    if not (run.model_folder / "kernel_vae").is_dir():
        raise InputError(f"step 2 needs the kernel VAE, which is not in {run.folder}; train the stage kernel-vae first.")
    vae = load_network(KernelVAE, run.model_folder / "kernel_vae")
    prepare_pool(run, accelerator, cancelled)
    if cancelled():
        return
    task = AlignmentTask(run.recipe, _pairs(run, accelerator), vae, run.seed)
    if run.pretrained is not None and run.recipe.input_kind == "map":
        _start_encoder(run.pretrained, task, vae)
    if run.start_from is not None:
        start_from(task.model, run.start_from / "observation_encoder")
    kept = train(
        task,
        run.recipe.observation_encoder,
        run.folder / "observation-encoder",
        accelerator=accelerator,
        stop_after=run.stop_after,
        held_out=_held_out(task.source, run.recipe.observation_encoder, vae),
        cancelled=cancelled,
    )
    if accelerator.is_main_process and not cancelled():
        _save(kept, run, "observation_encoder")
    accelerator.wait_for_everyone()


def _one_step(run: Run, accelerator: Accelerator, cancelled: Callable[[], bool]) -> None:
    device = _device(run, accelerator)
    source: PairSource
    if run.dataset is not None:
        source = _stored_pairs(run, run.dataset, run.seed + 6, device, accelerator)
    elif device is not None:
        source = DevicePairs(run.seed + 6, device)
    else:
        source = fresh_map_pairs(run.seed + 6, run.recipe.shares)
    task = OneStepTask(run.recipe, source, run.seed + 6)
    if run.pretrained is not None:
        load_pretrained(run.pretrained, task.model.autoencoder)
    if run.start_from is not None:
        start_from(task.model, run.start_from / "one_step")
    kept = train(
        task,
        run.recipe.one_step,
        run.folder / "one-step",
        accelerator=accelerator,
        stop_after=run.stop_after,
        held_out=_held_out(source, run.recipe.one_step, None),
        cancelled=cancelled,
    )
    if accelerator.is_main_process and not cancelled():
        _save(kept, run, "one_step")
    accelerator.wait_for_everyone()


def prepare_pool(run: Run, accelerator: Accelerator, cancelled: Callable[[], bool]) -> None:
    """Write the kernel-frame evidence of fresh scenes, where step 2 trains on it."""
    if run.dataset is None and run.recipe.input_kind == "kernel_frame" and accelerator.is_main_process:
        recipe = run.recipe
        pool = PoolPlan(run.folder / "pool", run.seed + 4, recipe.pool_scenes, recipe.shares, recipe.nuisance_share, recipe.mix)
        build_pool(pool, cancelled, run.processes)
    accelerator.wait_for_everyone()


def _device(run: Run, accelerator: Accelerator) -> torch.device | None:
    """Return where samples are drawn; None is the CPU, one by one."""
    device: torch.device = accelerator.device
    return device if run.recipe.on_device else None


def _kernels(run: Run, accelerator: Accelerator) -> KernelSource:
    if run.dataset is not None:
        stored = KernelDataset(run.dataset)
        if run.recipe.augmentation == "similarities":
            return VariedKernels(stored, run.seed, accelerator.device)
        return DatasetKernels(stored, run.seed, run.recipe.augmentation == "orientations")
    shares, device = run.recipe.shares, _device(run, accelerator)
    if device is not None:
        stock = min(STOCK_KERNELS, run.recipe.kernel_vae.steps * run.recipe.kernel_vae.batch_size)
        return DeviceKernels(run.seed, shares, device, stock, run.processes)
    return lambda first, count: kernel_batch(run.seed, first, count, shares)


def _pairs(run: Run, accelerator: Accelerator) -> PairSource:
    kernel_frame, device = run.recipe.input_kind == "kernel_frame", _device(run, accelerator)
    if run.dataset is not None:
        if kernel_frame:
            return DatasetFrames(KernelDataset(run.dataset), run.seed)
        return _stored_pairs(run, run.dataset, run.seed, device, accelerator)
    if not kernel_frame:
        return fresh_map_pairs(run.seed + 4, run.recipe.shares)
    return PoolSource(run.folder / "pool", run.recipe.pool_scenes, run.seed, device)


def _stored_pairs(run: Run, folder: Path, seed: int, device: torch.device | None, accelerator: Accelerator) -> PairSource:
    dataset, augmentation = KernelDataset(folder), run.recipe.augmentation
    if augmentation == "similarities":
        return VariedPairs(dataset, seed, accelerator.device)
    return DatasetPairs(dataset, seed, run.recipe.map_noise, device, augmentation == "orientations")


def _save(network: nn.Module, run: Run, name: str) -> None:
    """Write a finished network into the model folder."""
    finished = network.cpu()
    save_network(finished.half() if run.recipe.half_weights else finished, run.model_folder / name)


def _start_encoder(pretrained: Path, task: AlignmentTask, vae: KernelVAE) -> None:
    """Give Encoder_Y the pretrained encoder, through an autoencoder of two channels; its latents leave standardised."""
    shape = task.recipe.architecture
    autoencoder = make_autoencoder(2, shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups)
    load_pretrained(pretrained, autoencoder)
    task.model.copy_encoder(autoencoder.encoder.state_dict(), autoencoder.quant_conv.state_dict(), vae)


def _held_out(source: PairSource, recipe: StageRecipe, vae: KernelVAE | None) -> HeldOut | None:
    """Measure a network on the pairs that a stored data set keeps back from training, where it has some."""
    if not (isinstance(source, (DatasetPairs, VariedPairs)) and source.held_out):
        return None
    inputs, rows = source.held_out_pairs()

    @torch.no_grad()
    def measure(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        latent, squared = [], []
        for part, places in zip(torch.split(inputs, 64), torch.split(rows, 64), strict=True):
            kernel, found = source.kernels[places].to(device), network(part.to(device))
            if vae is not None:
                codec = vae.to(device)
                latent.append((found - codec.encode_kernel(kernel)).square().mean(dim=(1, 2, 3)).cpu())
                found = codec.decode_kernel(found)
            squared.append((found - kernel).square().mean(dim=(1, 2, 3)).cpu())
        error = torch.cat(squared)
        figures = {"latent": float(torch.cat(latent).mean())} if latent else {}
        return figures | {"mse": float(error.mean()), "rmse": float(error.sqrt().mean())}

    return HeldOut(max(1, recipe.steps // HELD_OUT_TIMES), measure)


def describe(run: Run) -> dict[str, object]:
    """Return the run's settings for its record."""
    return {
        "seed": run.seed,
        "recipe": asdict(run.recipe),
        "dataset": None if run.dataset is None else run.dataset.name,
        "start_from": None if run.start_from is None else {"name": run.start_from.name, "sha256": weights_hash(run.start_from)},
    }
