"""`python -m qpi_core benchmark`: all methods on the same scenes; records, tables and plots in a folder."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "benchmark",
        help="measure all methods on the same simulated scenes",
        description="Measure methods on simulated scenes with known kernels, by noise level and by number of defects. "
        "Records are appended as they come; an interrupted command goes on where it stopped, and more methods, variants, noise levels "
        "or scenes can be added to the same folder later. Writes records.jsonl, summary.json, tables.md and plots as PNG.",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where records, tables and plots go")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="default: all, decoder_ceiling and formula_limit (the error of whoever knows Eq. 7, positions, noise and symmetry order); "
        "METHOD+positions refines positions",
    )
    parser.add_argument("--scenes", type=int, default=100, help="scenes of each variant and noise level (default 100)")
    parser.add_argument(
        "--noise", type=float, nargs="+", metavar="LEVEL", help="relative to the clean map (default 0 0.05 0.2 0.5 1; with nuisances 0.2)"
    )
    parser.add_argument(
        "--variant",
        nargs="+",
        default=["on-grid"],
        metavar="NAME",
        help="on-grid (default), off-grid, clicks-0.5, clicks-1, missing-10, strained, one-sided, band, band-150x200, or all; what "
        "measured maps add: plain, streaks-0.3, blur2-0.2, background-1, lattice-1, lattice-1-sites, amplitudes-50, flips-20, second-10, "
        "second-30-listed, step-1, cores-1, spikes, signal-noise-0.3, creep-2, all-weak, all-medium, clicks-streaks-background, with "
        "other levels and joined by +; the ending -tmatrix puts them on kernels of the T-matrix; measured and measured-tmatrix are all "
        "of them",
    )
    parser.add_argument("--model", metavar="NAME", help="released model (default: the default one)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... for the networks (default auto)")
    parser.add_argument(
        "--seed", type=int, help="of the scenes; default: the held-out seed of the published tables, so give another to try things"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes with one thread each; seconds are then those of one thread (default 1)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def expanded(names: list[str]) -> tuple[str, ...]:
    """Return the variants that are asked for, with "all", "measured" and "measured-tmatrix" spelled out, each once."""
    from qpi_core.evaluation.benchmark.scenes import VARIANTS
    from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, T_MATRIX_ENDING

    groups = {
        "all": tuple(VARIANTS),
        "measured": tuple(MEASURED_VARIANTS),
        f"measured{T_MATRIX_ENDING}": tuple(name + T_MATRIX_ENDING for name in MEASURED_VARIANTS),
    }
    return tuple(dict.fromkeys(variant for name in names for variant in groups.get(name, (name,))))


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, then write and print the tables."""
    import json
    from pathlib import Path

    from qpi_core.base.errors import InputError
    from qpi_core.evaluation.benchmark.plots import write_plots
    from qpi_core.evaluation.benchmark.run import REFERENCES, BenchmarkPlan, environment, run_benchmark
    from qpi_core.evaluation.benchmark.scenes import HELD_OUT_SEED
    from qpi_core.evaluation.benchmark.summary import as_json
    from qpi_core.evaluation.benchmark.tables import report
    from qpi_core.extraction.methods import METHODS

    if args.workers < 1:
        raise InputError(f"workers is {args.workers}; at least 1 is needed.")
    plan = BenchmarkPlan(
        methods=tuple(args.methods or (*METHODS, *REFERENCES)),
        variants=expanded(args.variant),
        noise_levels=None if args.noise is None else tuple(args.noise),
        scenes=args.scenes,
        seed=HELD_OUT_SEED if args.seed is None else args.seed,
        model=args.model,
        device=args.device,
    )
    records = run_benchmark(plan, args.out, workers=args.workers, progress=not args.quiet)
    folder = Path(args.out)
    tables = report(records)
    summary = {"benchmark": environment(plan, args.workers), "cells": as_json(records)}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    (folder / "tables.md").write_text(tables, encoding="utf-8")
    write_plots(records, folder)
    print(tables)
    return 0
