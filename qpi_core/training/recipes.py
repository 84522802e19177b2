"""Recipes: every number that a training run depends on, and the presets `paper`, `compact` and `smoke`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from qpi_core.base.errors import InputError
from qpi_core.training.data.scene_stream import USUAL, SceneMix
from qpi_core.training.data.streams import KernelShares

Stage = Literal["kernel-vae", "observation-encoder", "one-step"]
Augmentation = Literal["none", "orientations", "similarities"]
STAGES: tuple[Stage, ...] = ("kernel-vae", "observation-encoder", "one-step")


@dataclass(frozen=True)
class Architecture:
    """Widths of the AutoencoderKL; norm_num_groups must divide every width."""

    block_out_channels: tuple[int, int, int, int]
    layers_per_block: int
    norm_num_groups: int

    def __post_init__(self) -> None:
        if any(width % self.norm_num_groups for width in self.block_out_channels):
            raise InputError(f"norm_num_groups = {self.norm_num_groups} must divide every width of {self.block_out_channels}.")


@dataclass(frozen=True)
class StageRecipe:
    """How one network is trained.

    Attributes:
        steps: optimiser steps.
        batch_size: samples a step, over all processes.
        learning_rate, final_learning_rate: start and end of the schedule.
        schedule: "cosine" decays by a half cosine; "step" multiplies by 0.97 a hundredth of the run, as the authors' StepLR does;
            "hold" stays at the start's rate and falls on a straight line in the last fifth.
        warmup_steps: linear warm-up.
        weight_decay: AdamW; 0 makes it Adam.
        clip_norm: largest gradient norm.
        ema_decay: decay of the averaged weights, which are the ones kept; 0 keeps the last ones.
        full_precision: float32 throughout, whatever precision the run is made in.
        seconds: wall time that the schedule is fitted into: `steps` is cut to what the first steps say is possible; 0 is no limit.
    """

    steps: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    schedule: Literal["cosine", "step", "hold"] = "cosine"
    warmup_steps: int = 200
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    full_precision: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A whole preset.

    Attributes:
        name: of the preset.
        architecture: shared by Encoder_K, Decoder_K, Encoder_Y and the one-step baseline.
        kernel_vae, observation_encoder, one_step: the three stages.
        symmetry_weight: alpha of Eq. 4 at the start.
        final_symmetry_weight: alpha at the end (linear in between): turning a kernel by 60 or 120 degrees interpolates, and the
            interpolation error would otherwise stay in the codec.
        divergence_weight: of the KL term.
        shares: of the kernel families that fresh kernels are drawn from.
        mix: how many defects fresh scenes have, and how wrong their lists are.
        input_kind: what Encoder_Y reads: the paper's (Y, M) "map", or the "kernel_frame" evidence.
        kernel_loss_weight: weight of the decoded kernel's error beside the latent distance in step 2.
        uncertainty_weight: of the latent's own log-variance in step 2 (negative log-likelihood about the mean, which it does not move);
            0 trains none.
        pool_scenes: scenes prepared for step 2 with kernel-frame inputs (each is used in eight orientations).
        nuisance_share: share of those scenes that have what measured maps add, at random levels.
        map_noise: noise that is added to the (Y, M) maps of a stored data set, anew in every epoch: its standard deviation, relative to
            that of the map, is uniform between 0 and this.
        augmentation: of a stored data set, which the paper has not: every sample comes in a random one of its eight "orientations", or
            with its kernel turned by any angle, mirrored and stretched ("similarities", see training.data.similarities).
        on_device: draw kernels and maps on the device that trains, instead of on the CPU (what needs a solver still comes from the pool).
        half_weights: save the finished networks in half precision; they are read back as float32.
        photographs: training of the codec on photographs that the paper's experiment starts from where no pretrained one is given.
    """

    name: str
    architecture: Architecture
    kernel_vae: StageRecipe
    observation_encoder: StageRecipe
    one_step: StageRecipe
    symmetry_weight: float = 0.75
    final_symmetry_weight: float = 0.75
    divergence_weight: float = 1e-6
    shares: KernelShares = KernelShares()
    mix: SceneMix = USUAL
    input_kind: Literal["map", "kernel_frame"] = "map"
    kernel_loss_weight: float = 0.0
    uncertainty_weight: float = 0.0
    pool_scenes: int = 0
    nuisance_share: float = 0.0
    map_noise: float = 0.0
    augmentation: Augmentation = "none"
    on_device: bool = False
    half_weights: bool = False
    photographs: StageRecipe | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not 0 <= self.nuisance_share <= 1:
            raise InputError(f"nuisance_share must be from 0 to 1, but it is {self.nuisance_share!r}.")

    def stage(self, name: Stage) -> StageRecipe:
        """Return the recipe of one stage."""
        return {"kernel-vae": self.kernel_vae, "observation-encoder": self.observation_encoder, "one-step": self.one_step}[name]

    def with_stage(self, name: Stage, stage: StageRecipe) -> Recipe:
        """Return the recipe with one stage replaced."""
        if name == "kernel-vae":
            return replace(self, kernel_vae=stage)
        return replace(self, observation_encoder=stage) if name == "observation-encoder" else replace(self, one_step=stage)


def _paper_stage(epochs: int, samples: int, learning_rate: float) -> StageRecipe:
    steps = epochs * samples // 8
    return StageRecipe(steps, 8, learning_rate, learning_rate, "step", warmup_steps=0, weight_decay=0.0, ema_decay=0.0)


SMALL = Architecture((16, 32, 64, 128), 1, 8)
"""2.7 million parameters."""

PRESETS: dict[str, Recipe] = {
    # 80 training kernels x 500 observations; 350 and 40 epochs, Adam 1e-4, batch 8 (paper, Sec. 4).
    "paper": Recipe(
        "paper",
        Architecture((128, 256, 512, 512), 2, 32),
        kernel_vae=_paper_stage(350, 80, 1e-4),
        observation_encoder=_paper_stage(40, 40_000, 1e-4),
        one_step=_paper_stage(40, 40_000, 1e-4),
        notes=("Needs --dataset: the paper's fixed kernels.", "--pretrained starts from a local copy of madebyollin/sdxl-vae-fp16-fix."),
    ),
    # The paper's protocol at a fraction that a CPU core can train: 43 % of the codec's steps and 1.5 % of the others', with small
    # networks that start from random weights and therefore from a larger learning rate. The last weights are kept, as in the paper: an
    # average over 1,000 steps would still hold a fifth of the random weights at the end of so short a run.
    "paper-small": Recipe(
        "paper-small",
        SMALL,
        kernel_vae=StageRecipe(1_500, 8, 6e-4, 6e-6, ema_decay=0.0),
        observation_encoder=StageRecipe(2_500, 8, 4e-4, 4e-6, ema_decay=0.0),
        one_step=StageRecipe(2_500, 8, 4e-4, 4e-6, ema_decay=0.0),
        notes=("Needs --dataset: the paper's fixed kernels.", "About an hour of one CPU core."),
    ),
    # The paper's own length (350 epochs of the 80 kernels, 400,000 pairs) with the small networks; batches of 16 because half as many
    # optimiser steps cost less than the samples of a batch, and averaged weights.
    "paper-long": Recipe(
        "paper-long",
        SMALL,
        kernel_vae=StageRecipe(3_500, 8, 6e-4, 6e-6, ema_decay=0.998, full_precision=True),
        observation_encoder=StageRecipe(25_000, 16, 5e-4, 5e-6, "hold"),
        one_step=StageRecipe(25_000, 16, 5e-4, 5e-6, "hold"),
        photographs=StageRecipe(3_000, 8, 1e-3, 1e-5),
        notes=("Needs --dataset: the paper's fixed kernels.", "About an hour of one CPU core for each Encoder_Y, four for the baseline."),
    ),
    "compact": Recipe(
        "compact",
        SMALL,
        kernel_vae=StageRecipe(14_000, 8, 6e-4, 5e-6),
        observation_encoder=StageRecipe(6_000, 12, 4e-4, 4e-6),
        one_step=StageRecipe(3_000, 8, 5e-4, 5e-6),
        final_symmetry_weight=0.0,
        divergence_weight=1e-8,
        shares=KernelShares(equation_7=0.65, splines=0.08, bands=0.15),
        input_kind="kernel_frame",
        kernel_loss_weight=1.0,
        pool_scenes=2_560,
        notes=("Kernels are drawn afresh for every batch; about two hours on two CPU cores.",),
    ),
    # What ten minutes of one GPU carry, see benchmarks/training/train_on_gpu.sh; larger batches, so larger rates than the paper's 1e-4.
    "paper-gpu": Recipe(
        "paper-gpu",
        Architecture((128, 256, 512, 512), 2, 32),
        kernel_vae=StageRecipe(1_750, 16, 2e-4, 2e-6, seconds=60, full_precision=True),
        observation_encoder=StageRecipe(1_600, 256, 4e-4, 4e-6, "hold", ema_decay=0.99, seconds=150),
        one_step=StageRecipe(1_600, 256, 4e-4, 4e-6, "hold", ema_decay=0.99, seconds=150),
        on_device=True,
        photographs=StageRecipe(2_000, 128, 4e-4, 4e-6, ema_decay=0.99, seconds=70),
        notes=("Needs --dataset: the paper's fixed kernels.", "Needs a GPU."),
    ),
    # The same of paper-long: larger batches, since a GPU makes as many steps a second with 128 samples as with 16.
    "paper-long-gpu": Recipe(
        "paper-long-gpu",
        SMALL,
        kernel_vae=StageRecipe(3_500, 8, 6e-4, 6e-6, ema_decay=0.998, full_precision=True, seconds=110),
        observation_encoder=StageRecipe(3_125, 128, 1.2e-3, 6e-6, "hold", ema_decay=0.995, seconds=140),
        one_step=StageRecipe(3_125, 128, 1.2e-3, 6e-6, "hold", ema_decay=0.995, seconds=160),
        on_device=True,
        half_weights=True,
        photographs=StageRecipe(4_000, 128, 1.5e-3, 1e-5, ema_decay=0.995, seconds=45),
        notes=("Needs --dataset: the paper's fixed kernels.", "Needs a GPU."),
    ),
    "base": Recipe(
        "base",
        Architecture((32, 64, 96, 192), 1, 8),
        kernel_vae=StageRecipe(20_000, 256, 1.5e-3, 1e-5, seconds=230),
        observation_encoder=StageRecipe(6_000, 256, 1e-3, 5e-6, seconds=140),
        one_step=StageRecipe(3_000, 256, 1e-3, 1e-5, seconds=50),
        final_symmetry_weight=0.0,
        divergence_weight=1e-8,
        shares=KernelShares(equation_7=0.5, splines=0.1, bands=0.15, uneven=0.15),
        mix=SceneMix(few=0.25, jittered=0.3, max_jitter_px=1.0, incomplete=0.25, most_missing=0.2, invented=0.15),
        input_kind="kernel_frame",
        kernel_loss_weight=1.0,
        uncertainty_weight=0.01,
        nuisance_share=0.3,
        pool_scenes=12_288,
        on_device=True,
        half_weights=True,
        notes=("Needs a GPU; its pool of scenes needs many cores.",),
    ),
    "smoke": Recipe(
        "smoke",
        Architecture((8, 8, 16, 16), 1, 4),
        kernel_vae=StageRecipe(6, 4, 1e-3, 1e-4, warmup_steps=2),
        observation_encoder=StageRecipe(4, 4, 1e-3, 1e-4, warmup_steps=2),
        one_step=StageRecipe(4, 4, 1e-3, 1e-4, warmup_steps=2),
        final_symmetry_weight=0.0,
        divergence_weight=1e-8,
        shares=KernelShares(equation_7=0.65, splines=0.1, bands=0.1),
        input_kind="kernel_frame",
        kernel_loss_weight=1.0,
        pool_scenes=8,
        notes=("Seconds; for tests.",),
    ),
}


def _smoke_of(name: str) -> Recipe:
    """Return a preset with the networks and the few steps of `smoke`, to try its command to the end anywhere."""
    recipe, smoke = PRESETS[name], PRESETS["smoke"]
    for stage in STAGES:
        own, short = recipe.stage(stage), smoke.stage(stage)
        shortened = replace(own, steps=4 * short.steps, batch_size=short.batch_size, warmup_steps=2, seconds=own.seconds and 20.0)
        recipe = recipe.with_stage(stage, shortened)
    photographs = recipe.photographs and replace(recipe.photographs, steps=6, batch_size=4, warmup_steps=2)
    scenes = smoke.pool_scenes if recipe.pool_scenes else 0
    label = f"{name}-smoke"
    return replace(recipe, name=label, architecture=smoke.architecture, pool_scenes=scenes, photographs=photographs, notes=smoke.notes)


PRESETS |= {recipe.name: recipe for recipe in map(_smoke_of, ("paper-long", "paper-gpu", "paper-long-gpu", "base"))}


def get_preset(name: str) -> Recipe:
    """Return a preset by name.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"preset {name!r} does not exist; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
