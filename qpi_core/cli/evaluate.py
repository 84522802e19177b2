"""`python -m qpi_core evaluate`: the paper's Table 1, measured here beside what was published."""

from __future__ import annotations

import argparse

NOTE = """\
MAE, MSE, RMSE without further mark: the scale of the published table, twice (MSE: four times) the error on the kernel's own
[0, 1] scale. ID: new observations of the data set's training kernels; OOD: kernels that are not in its training part. A model
that was trained on kernels drawn afresh (its model card says so) has seen none of either.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "evaluate",
        help="print the paper's Table 1, published and measured, and write it as JSON",
        description="Evaluate methods on the paper's data set, in-domain and out-of-domain, all on the same observations. " + NOTE,
    )
    parser.add_argument("--model", metavar="NAME", help="released model or a model's folder (default: the default one)")
    parser.add_argument(
        "--dataset", metavar="FOLDER", help="written by the dataset command; without it, samples are simulated from the seed"
    )
    parser.add_argument("--scenes", type=int, default=100, help="observations of each setting (default 100)")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="default: all, and decoder_ceiling = Decoder_K(Encoder_K(A))")
    parser.add_argument(
        "--seed", type=int, help="of the simulated data set and of the choice; default: the held-out seed of the published tables"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... for the networks (default auto)")
    parser.add_argument("--out", default="results/evaluation.json", metavar="FILE", help="default results/evaluation.json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON file."""
    import json
    from pathlib import Path

    from qpi_core.base.errors import InputError
    from qpi_core.base.provenance import versions
    from qpi_core.evaluation.benchmark.measure import CEILING
    from qpi_core.evaluation.benchmark.scenes import HELD_OUT_SEED
    from qpi_core.evaluation.paper.protocol import as_json, load_source, run_protocol, table_1
    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.extraction.methods import METHODS
    from qpi_core.results.files import prepare_folder

    path = Path(args.out)
    # Before the work, not after it.
    if path.is_dir():
        raise InputError(f"--out {args.out} is a folder; give the name of a file.")
    prepare_folder(path.parent)
    seed = HELD_OUT_SEED if args.seed is None else args.seed
    extractor = load_extractor(args.model, args.device)
    methods = tuple(args.methods or (*METHODS, CEILING))
    records = run_protocol(extractor, load_source(args.dataset, seed), methods, args.scenes, seed, progress=not args.quiet)
    models = extractor.models() if extractor.has_model else None
    content = {
        "table": "Ji et al., arXiv 2506.05325, Table 1",
        "arguments": {"model": args.model, "dataset": args.dataset, "scenes": args.scenes, "methods": methods, "seed": seed},
        "model": None if models is None else {"name": models.name, "sha256": models.sha256},
        "versions": versions(),
        **as_json(records),
    }
    try:
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path.name} cannot be written ({error.strerror}); give another file with --out.") from error
    print(table_1(records))
    print(NOTE)
    print(f"written to {args.out}")
    return 0
