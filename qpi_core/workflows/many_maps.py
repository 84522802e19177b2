"""Many maps: what is done with each of them (see batches.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from qpi_core.results.class_files import result_files
from qpi_core.results.files import SIDECAR_NAME, holds_only_results, load_sidecar
from qpi_core.runtime.executor import Executor
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.runtime.threads import one_thread
from qpi_core.workflows.batches import BatchJob, BatchKind, BatchReport, BatchResult, extractor_of_process, run_batch
from qpi_core.workflows.blind_map import blind_files, describe_blind, extract_blind_map, read_blind_map
from qpi_core.workflows.inputs import ListedMap
from qpi_core.workflows.map_sentences import describe
from qpi_core.workflows.one_map import ExtractionOptions, extract_inputs, read_inputs


def extract_map(job: BatchJob) -> BatchResult:
    """Extract one map and return the content of its result files, the same in whatever process.

    Raises:
        InputError: whatever is wrong with the map, its positions or the options.
    """
    options: ExtractionOptions = job.options
    with one_thread():
        extractor = extractor_of_process(options.model, options.device)
        if options.blind:
            searched = read_blind_map(job.files, options)
            found = extract_blind_map(searched, options, extractor)
            return BatchResult(blind_files(found, options.pictures), tuple(describe_blind(searched, options, found)))
        inputs = read_inputs(job.files, options)
        estimate = extract_inputs(inputs, options, extractor)
        return BatchResult(result_files(estimate, options.pictures), tuple(describe(inputs, options, estimate)))


def _hashes(folder: Path) -> tuple[str, str | None]:
    found = load_sidecar(folder / SIDECAR_NAME)["provenance"]["input"]
    return found["sha256"], found.get("positions_sha256")


MAPS = BatchKind(extract_map, _hashes, holds_only_results)


def extract_batch(
    maps: Sequence[ListedMap],
    options: ExtractionOptions,
    out: str | Path,
    executor: Executor,
    report: Progress = no_progress,
    send_contents: bool = False,
) -> Iterator[BatchReport]:
    """Extract every map that has no result yet; the arguments are those of run_batch.

    Raises:
        InputError: as run_batch.
    """
    return run_batch(maps, options, replace(MAPS, needs_list=not options.blind), out, executor, report, send_contents)
