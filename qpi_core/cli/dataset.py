"""`python -m qpi_core dataset`: write the paper's data set, or convert the published one."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "dataset",
        help="write the paper's data set (100 kernels x 500 observations), or convert the published CSV files",
        description="Simulate kernels of Eq. 7 with many observations of each, split 80/20 by kernel, the same from the same seed "
        "on every machine; or convert the authors' published CSV files. An interrupted command goes on where it stopped.",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="new or empty folder, or one to go on with")
    parser.add_argument("--import", dest="source", metavar="FOLDER", help="convert the CSV files of QPI-Dataset-100kernels in this folder")
    parser.add_argument("--kernels", type=int, default=100, help="number of kernels, orders 0, 2, 3, 4, 6 in turn (default 100)")
    parser.add_argument("--observations", type=int, default=500, help="observations of each kernel (default 500)")
    parser.add_argument("--max-defects", type=int, default=100, help="1 to this many defects in an observation (default 100)")
    parser.add_argument("--noise", type=float, default=0.0, help="noise relative to the standard deviation of the clean map (default 0)")
    parser.add_argument("--off-grid", action="store_true", help="defects anywhere; without it at distinct pixels, as in the paper")
    parser.add_argument("--seed", type=int, default=0, help="everything follows from it (default 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the data set and say what it holds."""
    from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
    from qpi_core.synthesis.datasets.dataset_files import SPLITS
    from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
    from qpi_core.synthesis.datasets.published import import_published

    if args.source is not None:
        import_published(args.source, args.out, progress=not args.quiet)
    else:
        plan = DatasetPlan(
            kernels=args.kernels,
            observations=args.observations,
            seed=args.seed,
            noise_level=args.noise,
            on_grid=not args.off_grid,
            max_defects=args.max_defects,
        )
        write_dataset(plan, args.out, progress=not args.quiet)
    dataset = KernelDataset(args.out)
    parts = ", ".join(f"{len(dataset.indices(split))} {split.replace('_', '-')}" for split in SPLITS)
    print(f"{dataset.kernel_count} kernels, {len(dataset)} observations ({parts}) in {args.out}")
    return 0
