"""`python -m qpi_core atlas`: embed a model's latent space, for the app's map of it."""

from __future__ import annotations

import argparse

from qpi_core.networks.atlas import DEFAULT_COUNT, DEFAULT_SEED


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "atlas",
        help="make the map of a model's latent space",
        description="Draw kernels of every family, encode them with the model's Encoder_K, embed the latents in two dimensions "
        "(t-SNE, about a minute in all), and write atlas.npz into the model's folder. To be run again whenever the weights change.",
    )
    parser.add_argument("--model", metavar="NAME", help="released model or a model's folder (default: the default model)")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help=f"number of kernels (default {DEFAULT_COUNT})")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"of the kernels and of the embedding (default {DEFAULT_SEED})")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:0, ..., mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the atlas and write it."""
    from qpi_core.base.errors import InputError
    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.networks.atlas import build_atlas, save_atlas

    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must not be negative.")
    models = load_extractor(args.model, args.device).models()
    path = save_atlas(build_atlas(models, args.count, args.seed), models.folder)
    print(f"{args.count} kernels in {path.name} of the model {models.name} ({path.stat().st_size / 2**20:.1f} MiB)")
    return 0
