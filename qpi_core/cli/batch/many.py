"""Many maps or stacks in one command: their options, the progress bar, and what is said of each."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpi_core.runtime.executor import Executor
    from qpi_core.workflows.batches import BatchReport
    from qpi_core.workflows.inputs import ListedMap

    Work = Callable[[Sequence[ListedMap], Executor, bool], Iterator[BatchReport]]
    """From the items, what runs them, and whether it is sent the files' contents, to a report on each."""


def add_executor_arguments(parser: argparse.ArgumentParser, many: str) -> None:
    """Declare how many items, named by their plural, are worked on."""
    parser.add_argument("--workers", type=int, metavar="N", help=f"many {many}: so many at a time, in processes of this machine")
    parser.add_argument("--scheduler", metavar="ADDRESS", help=f"many {many}: on the Dask cluster with this scheduler (tcp://host:port)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run_many(args: argparse.Namespace, noun: str, work: Work) -> int:
    """Do every item that has no result yet, named by a noun; 2 where one of them failed."""
    from tqdm import tqdm

    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.runtime.executor import DaskCluster, choose_executor
    from qpi_core.workflows.inputs import list_maps

    load_extractor(args.model, args.device)
    items = list_maps(args.map, args.list, args.positions)
    executor = choose_executor(args.workers, args.scheduler)
    states: Counter[str] = Counter()
    with ExitStack() as cleaning, tqdm(total=len(items), desc=f"{noun}s", unit=noun, disable=args.quiet) as bar:
        if isinstance(executor, DaskCluster):
            cleaning.callback(executor.close)
        try:
            for report in work(items, executor, args.scheduler is not None):
                states[report.state] += 1
                _tell(report)
                bar.update()
        except KeyboardInterrupt:
            tqdm.write(f"{states['done']} results are finished in {args.out}; the same command goes on from there.")
            raise
    told = ", ".join(f"{states[state]} {state}" for state in ("done", "there already", "failed"))
    print(f"{told} of {len(items)} {noun}s in {args.out}")
    return 2 if states["failed"] else 0


def _tell(report: BatchReport) -> None:
    """Say why an item failed, or what to beware of."""
    from tqdm import tqdm

    failed = report.state == "failed"
    for sentence in report.sentences:
        if failed or sentence.startswith(("Verdict", "Warning", "Noise")):
            line = f"error: {report.name}: {sentence}" if failed else f"{report.name}: {sentence}"
            tqdm.write(line, file=sys.stderr if failed else sys.stdout)
