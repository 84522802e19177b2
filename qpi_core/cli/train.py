"""`python -m qpi_core train`: train the two-step model and the one-step baseline."""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Train Encoder_K and Decoder_K (stage kernel-vae), Encoder_Y aligned to them (observation-encoder), and the one-step baseline.

Presets:
  compact  2.7 million parameters a network, fresh kernels in every batch, Encoder_Y on kernel-frame inputs; hours on two CPU cores
  base     6.3 million parameters a network, ten minutes of one large GPU with the paper's networks (benchmarks/training/train_on_gpu.sh)
  paper    the published recipe (84 million parameters, (Y, M) inputs, fixed kernels from --dataset); needs a GPU
  smoke    a few steps, to see that everything runs; paper-gpu-smoke, paper-long-smoke, base-smoke: the same of these presets

The run folder keeps the state: the same command goes on where it stopped, after Ctrl+C too. The finished networks are in its
sub-folder model/, which `extract --model FOLDER` and `evaluate --model FOLDER` read. Several GPUs: accelerate launch -m qpi_core train ...
"""

POOL = "pool"
STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl+C, and what a machine that is shut down sends: the state is saved before the command ends."""


def add_parser(subparsers: Any) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser(
        "train", help="train the networks", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="compact", help="compact, base, paper or smoke (default compact)")
    parser.add_argument("--stage", default="all", help="kernel-vae, observation-encoder, one-step, or all (default); pool: its scenes only")
    parser.add_argument("--out", type=Path, required=True, help="run folder for state, losses and the model, outside the repository")
    parser.add_argument("--seed", type=int, default=7, help="of kernels, scenes, noise and initial weights (default 7)")
    parser.add_argument("--dataset", type=Path, help="train on this data set (see `dataset --help`) instead of fresh kernels")
    parser.add_argument("--pretrained", type=Path, help="start from a local AutoencoderKL folder (madebyollin/sdxl-vae-fp16-fix)")
    parser.add_argument("--start-from", help="go on from the networks of this model (a name under models/, or a folder)")
    parser.add_argument("--steps", type=int, help="optimiser steps of each stage, instead of the preset's")
    parser.add_argument("--batch-size", type=int, help="samples a step over all processes, instead of the preset's")
    parser.add_argument("--learning-rate", type=float, help="at the start, instead of the preset's; its end is scaled with it")
    parser.add_argument("--symmetry-weight", type=float, help="alpha of Eq. 4 throughout; 0 leaves the symmetry loss out")
    parser.add_argument(
        "--nuisance-share", type=float, help="share of the scenes of step 2 with what measured maps add, at random levels (default 0)"
    )
    parser.add_argument("--stop-after", type=int, help="stop each stage after this many steps, with its state saved")
    parser.add_argument(
        "--precision",
        choices=["auto", "no", "bf16", "fp16"],
        default="auto",
        help="of the convolutions (auto: bf16 where the device has it)",
    )
    parser.add_argument("--processes", type=int, default=1, help="that draw kernels and scenes on the CPU (default 1)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch chooses)")
    parser.add_argument("--cpu", action="store_true", help="stay on the CPU although there is a GPU")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train what was asked for; 0 when finished, 3 when it was interrupted with its state saved."""
    import torch
    from accelerate import Accelerator

    from qpi_core.networks.checkpoints import resolve_model
    from qpi_core.runtime.devices import training_precision
    from qpi_core.training.recipes import STAGES
    from qpi_core.training.stages import Run, describe, prepare_pool, run_stage

    stages = _chosen_stages(arguments.stage, STAGES)
    settings = Run(
        arguments.out,
        _recipe(arguments),
        arguments.seed,
        arguments.dataset,
        arguments.pretrained,
        None if arguments.start_from is None else resolve_model(arguments.start_from),
        arguments.stop_after,
        arguments.processes,
    )
    _require_writable(arguments.out)
    _require_same_run(arguments.out, describe(settings))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    accelerator = Accelerator(cpu=arguments.cpu, mixed_precision=training_precision(arguments.precision, arguments.cpu))
    if accelerator.is_main_process:
        (arguments.out / "run.json").write_text(json.dumps(describe(settings), indent=2), encoding="utf-8")
    interrupted: list[int] = []
    previous = {number: signal.signal(number, lambda number, _frame: interrupted.append(number)) for number in STOPPING}
    try:
        for stage in stages:
            if stage == POOL:
                prepare_pool(settings, accelerator, lambda: bool(interrupted))
            else:
                run_stage(settings, stage, accelerator, lambda: bool(interrupted))
            if interrupted:
                print(f"Stopped in stage {stage}; the same command goes on from here.")
                return 3
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    accelerator.print(f"Finished. The networks are in {settings.model_folder}.")
    return 0


def _chosen_stages(name: str, known: tuple[Any, ...]) -> tuple[Any, ...]:
    from qpi_core.base.errors import InputError

    if name == "all":
        return known
    if name not in (*known, POOL):
        raise InputError(f"--stage {name!r} does not exist; choose {', '.join(known)}, {POOL} or all.")
    return (name,)


def _recipe(arguments: argparse.Namespace) -> Any:
    from dataclasses import replace

    from qpi_core.base.errors import InputError
    from qpi_core.training.recipes import STAGES, get_preset

    recipe = get_preset(arguments.preset)
    least_values = {
        "steps": 1,
        "batch_size": 1,
        "learning_rate": 1e-9,
        "stop_after": 1,
        "threads": 1,
        "processes": 1,
        "seed": 0,
        "symmetry_weight": 0,
    }
    for option, least in least_values.items():
        value = getattr(arguments, option)
        # Written this way round, NaN is refused too.
        if value is not None and not value >= least:
            raise InputError(f"--{option.replace('_', '-')} is {value}; it must be at least {least}.")
    for stage in STAGES:
        changed = recipe.stage(stage)
        changed = replace(changed, steps=arguments.steps or changed.steps, batch_size=arguments.batch_size or changed.batch_size)
        if arguments.learning_rate:
            factor = arguments.learning_rate / changed.learning_rate
            changed = replace(changed, learning_rate=arguments.learning_rate, final_learning_rate=factor * changed.final_learning_rate)
        recipe = recipe.with_stage(stage, changed)
    if arguments.symmetry_weight is not None:
        recipe = replace(recipe, symmetry_weight=arguments.symmetry_weight, final_symmetry_weight=arguments.symmetry_weight)
    if arguments.nuisance_share is not None:
        recipe = replace(recipe, nuisance_share=arguments.nuisance_share)
    return recipe


def _require_same_run(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse to go on with another seed, preset or data set than the folder's state was trained with."""
    from qpi_core.base.errors import InputError
    from qpi_core.training.state import STATE_NAME

    if not any(folder.glob(f"*/{STATE_NAME}")):
        return
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        pairs = {
            "--seed": (found["seed"], asked["seed"]),
            "--preset": (found["recipe"]["name"], asked["recipe"]["name"]),
            "--dataset": (found["dataset"], asked["dataset"]),
            # Runs of an earlier version had none.
            "--nuisance-share": (found["recipe"].get("nuisance_share", 0.0), asked["recipe"]["nuisance_share"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return
    for option, (before, now) in pairs.items():
        if before != now:
            raise InputError(f"--out {folder} holds a run with {option} {before}, not {now}; repeat its options, or give another folder.")


def _require_writable(folder: Path) -> None:
    from qpi_core.base.errors import InputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {folder} cannot be written: {error.strerror}.") from error
