"""The training of the paper's experiment: fixed kernels, (Y, M) inputs, the symmetry loss on and off.

One folder holds everything, and the same call goes on where it stopped:

    dataset/                             kernels x observations, split 80/20 by kernel
    photographs/                         the codec that the other networks start from, where the recipe trains one
    with-symmetry/ without-symmetry/     training runs; the one-step baseline is in the first
    random-start/ with-noise/            the same from random weights; Encoder_Y trained with noise (these four in `paper-long` only)
    with-turns/ with-similarities/       every sample in one of eight orientations; turned by any angle, mirrored and stretched
    records/ results.json tables.md *.png   what was measured (see paper_results)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qpi_core.base.errors import InputError
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.training.loop import LOSS_NAME
from qpi_core.training.recipes import STAGES, Augmentation, Recipe, Stage
from qpi_core.training.stages import PHOTOGRAPH_CODEC, Run, run_stage, train_on_photographs
from qpi_core.training.state import saved_step

if TYPE_CHECKING:
    from accelerate import Accelerator

WITH, WITHOUT, RANDOM, NOISE, TURNS = "with-symmetry", "without-symmetry", "random-start", "with-noise", "with-turns"
SIMILAR = "with-similarities"
RUNS = (WITH, WITHOUT, RANDOM, NOISE, TURNS, SIMILAR)
PHOTOGRAPHS = "photographs"
VAE, ENCODER, BASELINE = STAGES
SHORT_QUEUE: tuple[tuple[str, Stage], ...] = ((WITH, VAE), (WITH, ENCODER), (WITH, BASELINE), (WITHOUT, VAE), (WITHOUT, ENCODER))
LONG_QUEUE: tuple[tuple[str, Stage], ...] = (
    (WITH, VAE),
    (WITH, ENCODER),
    (TURNS, VAE),
    (TURNS, ENCODER),
    (RANDOM, VAE),
    (WITH, BASELINE),
    (WITHOUT, VAE),
    (WITHOUT, ENCODER),
    (RANDOM, ENCODER),
    (NOISE, ENCODER),
    (RANDOM, BASELINE),
    (TURNS, BASELINE),
    (SIMILAR, VAE),
    (SIMILAR, ENCODER),
    (SIMILAR, BASELINE),
)
"""What is trained, in the order of its value: a run that is stopped early has the paper's own comparison first."""
AUGMENTED: dict[str, Augmentation] = {TURNS: "orientations", SIMILAR: "similarities"}
SHARED_CODEC: dict[str, tuple[str, Stage]] = {NOISE: (WITH, VAE)}
"""Runs that train Encoder_Y only, and the training that their codec comes from."""
MAP_NOISE = 0.5
"""Noise of the row that is trained with noise, relative to the standard deviation of the map."""
ALPHA = 0.75
"""Weight of the symmetry loss in the paper, Sec. 4."""


@dataclass(frozen=True)
class PaperExperiment:
    """What to run.

    Attributes:
        folder: of the experiment, outside the repository.
        recipe: steps and architecture; its symmetry weight is set by the experiment.
        plan: the data set.
        scenes: test observations of each setting, the same for all methods.
        pretrained: folder of the pretrained AutoencoderKL that the paper starts from; None starts from random weights.
        only: names of the training runs to make, or PHOTOGRAPHS, which all but one start from; empty makes all.
    """

    folder: Path
    recipe: Recipe
    plan: DatasetPlan = DatasetPlan()
    scenes: int = 100
    pretrained: Path | None = None
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.only if name not in (*RUNS, PHOTOGRAPHS)]
        if unknown:
            raise InputError(f"the paper's experiment has no run {unknown[0]!r}; choose from {', '.join(RUNS)}.")

    @property
    def queue(self) -> tuple[tuple[str, Stage], ...]:
        """Return what is trained, in order; a run that uses another one's codec brings the training of that codec along."""
        queue = SHORT_QUEUE if self.recipe.photographs is None else LONG_QUEUE
        needed = {SHARED_CODEC[name] for name in self.only if name in SHARED_CODEC}
        return tuple((name, stage) for name, stage in queue if not self.only or name in self.only or (name, stage) in needed)

    def training(self, name: str) -> Run:
        """Return one of the training runs: with or without the symmetry loss, from random weights, with noise, or augmented."""
        weight = 0.0 if name == WITHOUT else ALPHA
        noise = MAP_NOISE if name == NOISE else 0.0
        recipe = replace(self.recipe, symmetry_weight=weight, final_symmetry_weight=weight, map_noise=noise)
        recipe = replace(recipe, augmentation=AUGMENTED.get(name, "none"))
        start = self.pretrained
        if start is None and self.recipe.photographs is not None:
            start = self.folder / PHOTOGRAPHS / PHOTOGRAPH_CODEC
        return Run(self.folder / name, recipe, self.plan.seed, self.folder / "dataset", None if name == RANDOM else start)


def train_networks(experiment: PaperExperiment, accelerator: Accelerator, cancelled: Callable[[], bool]) -> bool:
    """Write the data set and train what is not trained yet, in the order of the queue; false when cancelled.

    An Encoder_Y that is finished stays as it is when its codec is trained on: train the codec first, then what builds on it.
    """
    if accelerator.is_main_process:
        write_dataset(experiment.plan, experiment.folder / "dataset")
    accelerator.wait_for_everyone()
    recipe, photographs = experiment.recipe, experiment.folder / PHOTOGRAPHS
    needed = PHOTOGRAPHS in experiment.only or any(name != RANDOM for name, _ in experiment.queue)
    wanted = recipe.photographs is not None and experiment.pretrained is None and not (photographs / PHOTOGRAPH_CODEC).is_dir()
    if needed and wanted and not train_on_photographs(recipe, photographs, experiment.plan.seed, accelerator, cancelled):
        return False
    for name, stage in experiment.queue:
        run = experiment.training(name)
        if name in SHARED_CODEC and accelerator.is_main_process:
            _share_codec(experiment.training(SHARED_CODEC[name][0]), run)
        accelerator.wait_for_everyone()
        if not is_finished(run, stage) and not run_stage(run, stage, accelerator, cancelled):
            return False
    return True


def is_finished(run: Run, stage: Stage) -> bool:
    """Say whether a stage has its network, trained as long as the recipe says; a longer recipe goes on from where it was."""
    recipe = run.recipe.stage(stage)
    there = (run.model_folder / stage.replace("-", "_")).is_dir()
    state = run.folder / stage
    # A stage with limited time ends before its steps do; a codec that was taken over from another run has no state here.
    return there and (bool(recipe.seconds) or not state.is_dir() or saved_step(state) >= recipe.steps)


def _share_codec(owner: Run, run: Run) -> None:
    """Give a run the codec of another one."""
    if not (run.model_folder / "kernel_vae").is_dir():
        shutil.copytree(owner.model_folder / "kernel_vae", run.model_folder / "kernel_vae")


def loss_curves(experiment: PaperExperiment, log: str = LOSS_NAME) -> dict[str, list[dict[str, float]]]:
    """Return the logged losses of every stage by "run/stage"; with HELD_OUT_NAME those on pairs that are kept back from training."""
    found = {}
    for name in RUNS:
        for stage in STAGES:
            path = experiment.folder / name / stage / log
            if path.is_file():
                found[f"{name}/{stage}"] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found
