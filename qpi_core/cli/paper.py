"""`python -m qpi_core paper`: the paper's experiment, trained and measured here, beside what was published."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Write the paper's data set, train the two-step networks with and without the symmetry loss and the one-step baseline on its 80
training kernels, and print Tables 1 and 2, published and measured, with the case studies (Fig. 4) and the latent space (Fig. 5).

The preset `paper` is the published recipe and needs a GPU; `paper-small` is a stated fraction of it with small networks, about an hour
of one CPU core; `paper-long` trains the small networks as long as the paper, from a codec trained on photographs and from random
weights, and once with noise: about half a day of one core. An interrupted command goes on where it stopped.
"""

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl+C, and what a machine that is shut down sends: the state is saved before the command ends."""


def add_parser(subparsers: Any) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser(
        "paper", help="repeat the paper's experiment", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the experiment, outside the repository")
    parser.add_argument("--preset", default="paper-small", help="paper, paper-long, paper-long-gpu, paper-gpu or paper-small (default)")
    parser.add_argument("--kernels", type=int, default=100, help="of the data set (default 100)")
    parser.add_argument("--observations", type=int, default=500, help="of each kernel (default 500)")
    parser.add_argument("--scenes", type=int, default=100, help="test observations of each setting (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the data set and the training (default 0)")
    parser.add_argument("--steps", type=int, help="optimiser steps of each stage, instead of the preset's")
    parser.add_argument("--pairs", type=int, help="that step 2 and the baseline see, instead of the preset's; more go on where they were")
    parser.add_argument("--pretrained", type=Path, help="start from a local AutoencoderKL folder (madebyollin/sdxl-vae-fp16-fix)")
    parser.add_argument(
        "--precision",
        choices=["auto", "no", "bf16", "fp16"],
        default="auto",
        help="of the convolutions (auto: bf16 where the device has it)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="RUN",
        help="with-symmetry, without-symmetry, random-start, with-noise, with-turns, with-similarities; photographs: what they start from",
    )
    parser.add_argument("--train-only", action="store_true", help="measure nothing yet")
    parser.add_argument("--measure-only", action="store_true", help="train nothing: measure the networks that are finished")
    parser.add_argument("--threads", type=int, help="CPU threads (default: what torch chooses)")
    parser.add_argument("--cpu", action="store_true", help="stay on the CPU although there is a GPU")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, measure, print; 3 when it was interrupted with its state saved."""
    from dataclasses import replace

    import torch
    from accelerate import Accelerator

    from qpi_core.base.errors import InputError
    from qpi_core.evaluation.paper.paper_experiment import PaperExperiment, train_networks
    from qpi_core.runtime.devices import training_precision
    from qpi_core.synthesis.datasets.dataset import DatasetPlan
    from qpi_core.training.recipes import STAGES, get_preset

    recipe = get_preset(arguments.preset)
    if recipe.input_kind != "map":
        raise InputError(f"--preset {arguments.preset} reads no (Y, M) maps; choose paper or paper-small.")
    for option in ("steps", "pairs", "scenes", "threads"):
        if (value := getattr(arguments, option)) is not None and value < 1:
            raise InputError(f"--{option} is {value}; it must be at least 1.")
    for stage in STAGES if arguments.steps else ():
        recipe = recipe.with_stage(stage, replace(recipe.stage(stage), steps=arguments.steps))
    for stage in STAGES[1:] if arguments.pairs else ():
        own = recipe.stage(stage)
        recipe = recipe.with_stage(stage, replace(own, steps=-(-arguments.pairs // own.batch_size)))
    plan = DatasetPlan(kernels=arguments.kernels, observations=arguments.observations, seed=arguments.seed)
    experiment = PaperExperiment(arguments.out, recipe, plan, arguments.scenes, arguments.pretrained, tuple(arguments.only))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.measure_only:
        _measure(experiment, "cpu" if arguments.cpu else "auto")
        return 0
    accelerator = Accelerator(cpu=arguments.cpu, mixed_precision=training_precision(arguments.precision, arguments.cpu))
    interrupted: list[int] = []
    previous = {number: signal.signal(number, lambda number, _frame: interrupted.append(number)) for number in STOPPING}
    try:
        finished = train_networks(experiment, accelerator, lambda: bool(interrupted))
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if not finished:
        print("Stopped; the same command goes on from here.")
        return 3
    if accelerator.is_main_process and not arguments.train_only:
        _measure(experiment, "cpu" if arguments.cpu else "auto")
    return 0


def _measure(experiment: Any, device: str) -> None:
    import json

    from qpi_core.base.provenance import versions
    from qpi_core.evaluation.paper import paper_results as found
    from qpi_core.evaluation.paper.paper_experiment import WITH, loss_curves
    from qpi_core.evaluation.paper.paper_figures import case_studies, latent_map, loss_figure
    from qpi_core.evaluation.paper.protocol import choose_samples
    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.networks.atlas import embed, encode_kernels
    from qpi_core.runtime.atomic_files import write_atomically
    from qpi_core.synthesis.datasets.dataset_files import OUT_OF_DOMAIN
    from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
    from qpi_core.training.loop import HELD_OUT_NAME

    folder = experiment.folder
    finished = found.finished_runs(experiment)
    if not finished:
        print("Nothing is measured yet: the two-step networks are not trained to their end.")
        return
    extractors = {name: load_extractor(experiment.training(name).model_folder, device) for name in finished}
    records = found.measure_networks(experiment, extractors)
    dataset = KernelDataset(folder / "dataset")
    shards = dataset.kernels(test=False) + dataset.kernels(test=True)
    orders = [int(shard.symmetry_order or 0) for shard in shards]
    wavenumbers = [shard.parameters.wavenumber for shard in shards if shard.parameters is not None]
    leading = WITH if WITH in finished else finished[0]
    latents = encode_kernels(extractors[leading].models(), _stacked(shards))
    neighbourhood = found.latent_neighbourhood(latents, orders, wavenumbers)
    content = {**found.results(experiment, records, neighbourhood), "versions": versions()}
    write_atomically(folder / "results.json", json.dumps(content, indent=1, allow_nan=False).encode())
    text = found.tables(records)
    write_atomically(folder / "tables.md", text.encode())
    samples = choose_samples(dataset, OUT_OF_DOMAIN, 10 * experiment.scenes, experiment.plan.seed)
    figures = {
        "case-studies.png": case_studies(samples, extractors),
        "latent-space.png": latent_map(embed(latents, experiment.plan.seed), orders, wavenumbers),
        "losses.png": loss_figure(loss_curves(experiment), loss_curves(experiment, HELD_OUT_NAME)),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name)
    print(text)
    print(f"Kernels near each other in the latent space: {neighbourhood}")
    print(f"written to {folder}: results.json, tables.md, {', '.join(figures)}")


def _stacked(shards: list[Any]) -> Any:
    import numpy as np

    return np.stack([shard.kernel for shard in shards])
