"""The paper's experiment from start to end: fixed kernels, (Y, M) inputs, the symmetry loss on and off, Tables 1 and 2.

One folder holds everything, and the same call goes on where it stopped:

    dataset/                             kernels x observations, split 80/20 by kernel
    photographs/                         the codec that the other networks start from, where the recipe trains one
    with-symmetry/ without-symmetry/     training runs; the one-step baseline is in the first
    random-start/ with-noise/            the same from random weights; Encoder_Y trained with noise (both in `paper-long` only)
    results.json, tables.md, *.png
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.evaluation.measure import CEILING
from qpi_core.evaluation.protocol import PUBLISHED_WITHOUT_SYMMETRY_LOSS, SETTINGS, as_json, run_protocol, table_1
from qpi_core.evaluation.records import Record
from qpi_core.evaluation.summary import group
from qpi_core.evaluation.tables import markdown, number
from qpi_core.synthesis.dataset import DatasetPlan, write_dataset
from qpi_core.synthesis.dataset_files import OUT_OF_DOMAIN
from qpi_core.synthesis.dataset_reader import KernelDataset
from qpi_core.training.recipes import STAGES, Recipe, Stage
from qpi_core.training.stages import PHOTOGRAPH_CODEC, Run, run_stage, train_on_photographs

if TYPE_CHECKING:
    from accelerate import Accelerator

    from qpi_core.extraction import Extractor

WITH, WITHOUT, RANDOM, NOISE = "with-symmetry", "without-symmetry", "random-start", "with-noise"
PHOTOGRAPHS = "photographs"
VAE, ENCODER, BASELINE = STAGES
SHORT_QUEUE: tuple[tuple[str, Stage], ...] = ((WITH, VAE), (WITH, ENCODER), (WITH, BASELINE), (WITHOUT, VAE), (WITHOUT, ENCODER))
LONG_QUEUE: tuple[tuple[str, Stage], ...] = (
    (WITH, VAE),
    (WITH, ENCODER),
    (RANDOM, VAE),
    (WITH, BASELINE),
    (WITHOUT, VAE),
    (WITHOUT, ENCODER),
    (RANDOM, ENCODER),
    (NOISE, ENCODER),
    (RANDOM, BASELINE),
)
"""What is trained, in the order of its value: a run that is stopped early has the paper's own comparison first."""
MAP_NOISE = 0.5
"""Noise of the row that is trained with noise, relative to the standard deviation of the map."""
CLASSICAL = ("defect_average", "tikhonov", "harmonic")
ALPHA = 0.75
"""Weight of the symmetry loss in the paper, Sec. 4."""
NEIGHBOURS = 5


@dataclass(frozen=True)
class PaperExperiment:
    """What to run.

    Attributes:
        folder: of the experiment, outside the repository.
        recipe: steps and architecture; its symmetry weight is set by the experiment.
        plan: the data set.
        scenes: test observations of each setting, the same for all methods.
        pretrained: folder of the pretrained AutoencoderKL that the paper starts from; None starts from random weights.
    """

    folder: Path
    recipe: Recipe
    plan: DatasetPlan = DatasetPlan()
    scenes: int = 100
    pretrained: Path | None = None

    @property
    def queue(self) -> tuple[tuple[str, Stage], ...]:
        """Return what is trained, in order."""
        return SHORT_QUEUE if self.recipe.photographs is None else LONG_QUEUE

    def training(self, name: str) -> Run:
        """Return one of the training runs: with or without the symmetry loss, from random weights, or with noise."""
        weight = 0.0 if name == WITHOUT else ALPHA
        noise = MAP_NOISE if name == NOISE else 0.0
        recipe = replace(self.recipe, symmetry_weight=weight, final_symmetry_weight=weight, map_noise=noise)
        start = self.pretrained
        if start is None and self.recipe.photographs is not None:
            start = self.folder / PHOTOGRAPHS / PHOTOGRAPH_CODEC
        return Run(self.folder / name, recipe, self.plan.seed, self.folder / "dataset", None if name == RANDOM else start)


def train_networks(experiment: PaperExperiment, accelerator: Accelerator, cancelled: Callable[[], bool]) -> bool:
    """Write the data set and train what is not trained yet, in the order of the queue; false when cancelled."""
    if accelerator.is_main_process:
        write_dataset(experiment.plan, experiment.folder / "dataset")
    accelerator.wait_for_everyone()
    recipe, photographs = experiment.recipe, experiment.folder / PHOTOGRAPHS
    wanted = recipe.photographs is not None and experiment.pretrained is None and not (photographs / PHOTOGRAPH_CODEC).is_dir()
    if wanted and not train_on_photographs(recipe, photographs, experiment.plan.seed, accelerator, cancelled):
        return False
    for name, stage in experiment.queue:
        run = experiment.training(name)
        if name == NOISE and accelerator.is_main_process:
            _share_codec(experiment.training(WITH), run)
        accelerator.wait_for_everyone()
        if not (run.model_folder / stage.replace("-", "_")).is_dir() and not run_stage(run, stage, accelerator, cancelled):
            return False
    return True


def _share_codec(owner: Run, run: Run) -> None:
    """Give a run the codec of another one."""
    if not (run.model_folder / "kernel_vae").is_dir():
        shutil.copytree(owner.model_folder / "kernel_vae", run.model_folder / "kernel_vae")


def measure_networks(experiment: PaperExperiment, extractors: dict[str, Extractor], progress: bool = True) -> list[Record]:
    """Measure all methods on the test observations; the networks without symmetry loss are named with that ending."""
    dataset = KernelDataset(experiment.folder / "dataset")
    seed = experiment.plan.seed
    methods = ("one_step", "two_step", CEILING, *CLASSICAL)
    records = run_protocol(extractors[WITH], dataset, methods, experiment.scenes, seed, progress)
    others = run_protocol(extractors[WITHOUT], dataset, ("two_step", CEILING), experiment.scenes, seed, progress)
    return records + [replace(record, method=f"{record.method}, no symmetry loss") for record in others]


def latent_neighbourhood(latents: NDArray[np.float32], orders: Sequence[int], wavenumbers: Sequence[float]) -> dict[str, float]:
    """Say what neighbours in the latent space share: the paper finds modes (B) there, and too little of the folds.

    Args:
        latents: (n, 4, 8, 8).
        orders: (n,) symmetry orders.
        wavenumbers: (n,) B in rad/nm.

    Returns:
        same_order: share of the NEIGHBOURS nearest kernels that have the same symmetry order; same_order_chance: expected of random
        ones; wavenumber_explained: 1 - variance of B about the neighbours' mean over its variance (at most 1, 0 is no better than
        the mean of all).
    """
    flat = latents.reshape(len(latents), -1).astype(np.float64)
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :NEIGHBOURS]
    order, b = np.asarray(orders), np.asarray(wavenumbers, dtype=np.float64)
    counts = np.unique(order, return_counts=True)[1]
    left = b - b[nearest].mean(axis=1)
    return {
        "same_order": float(np.mean(order[nearest] == order[:, None])),
        "same_order_chance": float((counts * (counts - 1)).sum() / (len(order) * (len(order) - 1))),
        "wavenumber_explained": float(1 - np.mean(left**2) / np.var(b)),
    }


def table_2(records: Sequence[Record]) -> str:
    """Return the paper's Table 2 in markdown: out-of-domain, with and without the symmetry loss, on the paper's scale."""
    cells = group(records, lambda record: (record.variant, record.method))
    rows = [["without, published", *(number(PUBLISHED_WITHOUT_SYMMETRY_LOSS[name]) for name in ("mae", "mse", "rmse"))]]
    for label, method in (("with", "two_step"), ("without", "two_step, no symmetry loss")):
        cell = cells[OUT_OF_DOMAIN, method]
        rows.append([f"{label}, here", *(number(cell.on_paper_scale(name)) for name in ("mae", "mse", "rmse"))])
    return markdown(["symmetry loss", "MAE", "MSE", "RMSE"], [["with, published", "0.0595", "0.0142", "0.0924"], *rows])


def loss_curves(experiment: PaperExperiment) -> dict[str, list[dict[str, float]]]:
    """Return the logged losses of every stage by "run/stage"."""
    found = {}
    for name in (WITH, WITHOUT, RANDOM, NOISE):
        for stage in STAGES:
            path = experiment.folder / name / stage / "loss.jsonl"
            if path.is_file():
                found[f"{name}/{stage}"] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found


def results(experiment: PaperExperiment, records: Sequence[Record], latents: dict[str, float]) -> dict[str, Any]:
    """Return everything that was measured as plain values."""
    curves = loss_curves(experiment)
    return {
        "data_set": experiment.plan.as_dict(),
        "recipe": asdict(experiment.recipe),
        "alpha": ALPHA,
        "pretrained": None if experiment.pretrained is None else experiment.pretrained.name,
        "scenes": experiment.scenes,
        "settings": list(SETTINGS.values()),
        **as_json(records),
        "published_without_symmetry_loss": PUBLISHED_WITHOUT_SYMMETRY_LOSS,
        "latent_neighbourhood": latents,
        "final_losses": {name: lines[-1] for name, lines in curves.items() if lines},
    }


def tables(records: Sequence[Record]) -> str:
    """Return both tables as one markdown text."""
    return f"Table 1\n\n{table_1(records)}\nTable 2, out-of-domain\n\n{table_2(records)}"
