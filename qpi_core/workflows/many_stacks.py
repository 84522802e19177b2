"""Many stacks: what is done with each of them (see batches.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from qpi_core.results.files import CLASS_FOLDER
from qpi_core.results.stacks.stack_files import STACK_FILES, STACK_SIDECAR
from qpi_core.runtime.executor import Executor
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.runtime.threads import one_thread
from qpi_core.workflows.batches import BatchJob, BatchKind, BatchReport, BatchResult, extractor_of_process, run_batch
from qpi_core.workflows.inputs import ListedMap
from qpi_core.workflows.stack_inputs import StackOptions, read_stack_inputs
from qpi_core.workflows.stack_run import describe_stack, solve_layers, stack_result_files


def solve_stack_job(job: BatchJob) -> BatchResult:
    """Solve one stack and return the content of its result files, the same in whatever process.

    Raises:
        InputError: whatever is wrong with the stack, its positions or the options.
    """
    options: StackOptions = job.options
    with one_thread():
        inputs = read_stack_inputs(job.files, options)
        result, findings = solve_layers(inputs, extractor_of_process(options.model, options.device))
        files = stack_result_files(inputs, result, findings)
    return BatchResult(files, (*inputs.sentences, *describe_stack(result, findings)))


def solve_stacks(
    stacks: Sequence[ListedMap],
    options: StackOptions,
    out: str | Path,
    executor: Executor,
    report: Progress = no_progress,
    send_contents: bool = False,
) -> Iterator[BatchReport]:
    """Solve every stack that has no result yet, each a file; the arguments are those of run_batch.

    Raises:
        InputError: as run_batch.
    """
    return run_batch(stacks, options, STACKS, out, executor, report, send_contents)


def _hashes(folder: Path) -> tuple[str, str | None]:
    settings = json.loads((folder / STACK_SIDECAR).read_bytes())["settings"]
    return settings["sha256"], settings["positions_sha256"]


def _holds_only_results(folder: Path) -> bool:
    classes = [entry for entry in folder.glob(f"{CLASS_FOLDER}*") if entry.is_dir() and not entry.is_symlink()]
    own = {entry.name for entry in folder.iterdir() if entry not in classes}
    return own <= set(STACK_FILES) and all({file.name for file in one.iterdir()} <= set(STACK_FILES) for one in classes)


STACKS = BatchKind(solve_stack_job, _hashes, _holds_only_results)
