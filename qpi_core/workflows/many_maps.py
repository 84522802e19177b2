"""Many maps: each extraction ends in a folder of its own that appears complete or not at all, so a stopped run can go on.

The settings of a run lie beside its results (batch.json). Going on with other settings is refused; maps and lists that changed since
are done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import bytes_sha256
from qpi_core.base.version import __version__
from qpi_core.extraction.extractor import Extractor, load_extractor
from qpi_core.maps.readers.shared.source import read_source
from qpi_core.results.class_files import result_files
from qpi_core.results.files import SIDECAR_NAME, holds_only_results, load_sidecar, prepare_folder
from qpi_core.runtime.atomic_files import write_atomically
from qpi_core.runtime.executor import Executor, Outcome
from qpi_core.workflows.blind_map import describe_blind, extract_blind_map, read_blind_map
from qpi_core.workflows.inputs import ListedMap
from qpi_core.workflows.map_sentences import describe
from qpi_core.workflows.one_map import ExtractionOptions, MapFiles, extract_inputs, read_inputs

SETTINGS_NAME = "batch.json"
SETTINGS_FORMAT = "qpi-extraction-batch"


@dataclass(frozen=True)
class MapJob:
    """One map to extract, ready to be sent to another process."""

    files: MapFiles
    options: ExtractionOptions


@dataclass(frozen=True)
class MapResult:
    """The files of one extraction, name to content, and plain sentences on how it went."""

    files: dict[str, bytes]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class MapReport:
    """What became of one map of a batch.

    Attributes:
        name: of the map's result folder.
        state: "done", "there already", or "failed".
        sentences: what was read and found; for a failed map the one sentence on what was wrong.
    """

    name: str
    state: str
    sentences: tuple[str, ...] = ()


def extract_map(job: MapJob) -> MapResult:
    """Extract one map and return the content of its result files, the same in whatever process.

    Raises:
        InputError: whatever is wrong with the map, its positions or the options.
    """
    with _one_torch_thread():
        extractor = _extractor(job.options.model, job.options.device)
        if job.options.blind:
            searched = read_blind_map(job.files, job.options)
            found = extract_blind_map(searched, job.options, extractor)
            return MapResult(result_files(found, job.options.pictures), tuple(describe_blind(searched, job.options, found)))
        inputs = read_inputs(job.files, job.options)
        estimate = extract_inputs(inputs, job.options, extractor)
        return MapResult(result_files(estimate, job.options.pictures), tuple(describe(inputs, job.options, estimate)))


def extract_batch(
    maps: Sequence[ListedMap],
    options: ExtractionOptions,
    out: str | Path,
    executor: Executor,
    cancelled: Callable[[], bool] | None = None,
    send_contents: bool = False,
) -> Iterator[MapReport]:
    """Extract every map that has no result yet; write each result as it comes and report on it.

    Args:
        maps: as list_maps gives them.
        options: the same for all.
        out: folder of the result folders; made if it is not there.
        executor: what runs the extractions.
        cancelled: asked before each map; once it says True, nothing more is begun.
        send_contents: send the files' contents instead of their paths, for machines that do not share a disk.

    Raises:
        InputError: a folder that cannot be written or that holds results of other settings.
    """
    folder = prepare_folder(out)
    _claim(folder, options)
    waiting: list[ListedMap] = []
    for entry in maps:
        report = _before_the_work(folder, entry, options.blind)
        if report is None:
            waiting.append(entry)
        else:
            yield report
    jobs = _Jobs(waiting, options, send_contents)
    for outcome in executor.map(_answer if send_contents else extract_map, jobs, None, cancelled):
        yield _finish(folder, waiting[outcome.index], outcome)


class _Jobs(Sequence[Any]):
    """The jobs of a batch, made when they are asked for: contents are read one by one, not all at once."""

    def __init__(self, maps: list[ListedMap], options: ExtractionOptions, send_contents: bool) -> None:
        self._maps, self._options, self._send_contents = maps, options, send_contents

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: Any) -> Any:
        entry = self._maps[index]
        files = MapFiles.at(entry.scan, entry.positions or "")
        if not self._send_contents:
            return MapJob(files, self._options)
        try:
            return MapJob(files.loaded(), self._options)
        except InputError as error:
            return str(error)


def _answer(job: MapJob | str) -> MapResult:
    """Extract a map whose files could be read; for others say why not, as the map's own failure."""
    if isinstance(job, str):
        raise InputError(job)
    return extract_map(job)


def _before_the_work(folder: Path, entry: ListedMap, blind: bool) -> MapReport | None:
    """Return a report where there is nothing to do, or where nothing can be done; blind says that no list is needed."""
    target = folder / entry.name
    if entry.positions is None and not blind:
        wanted = f"{entry.scan.stem}.csv (or .txt, .json, .npy)"
        return MapReport(
            entry.name, "failed", (f"{entry.scan.name} has no list of positions: {wanted} is not in the folder of positions.",)
        )
    if not target.exists():
        return None
    try:
        found = load_sidecar(target / SIDECAR_NAME)["provenance"]["input"]
        if _hashes(entry) == (found["sha256"], found.get("positions_sha256")):
            return MapReport(entry.name, "there already")
        if holds_only_results(target):
            return None
    except (InputError, KeyError, TypeError, OSError):
        pass
    return MapReport(
        entry.name, "failed", (f"the folder {entry.name} holds something else than a result, which would be lost; move it away.",)
    )


def _hashes(entry: ListedMap) -> tuple[str, str | None]:
    """Return the hashes of a map and of its list, None without one."""
    scan, positions = (None if path is None else bytes_sha256(read_source(path)[0]) for path in (entry.scan, entry.positions))
    assert scan is not None
    return scan, positions


def _finish(folder: Path, entry: ListedMap, outcome: Outcome[MapResult]) -> MapReport:
    """Write a result, or say in one sentence why there is none."""
    if outcome.value is None:
        if isinstance(outcome.error, InputError):
            sentence = str(outcome.error)
        elif isinstance(outcome.error, MemoryError):
            sentence = f"{entry.scan.name} is too large for the memory; crop or resample it first."
        else:
            sentence = f"{entry.scan.name} could not be extracted ({type(outcome.error).__name__}: {outcome.error})."
        return MapReport(entry.name, "failed", (" ".join(sentence.split()),))
    _write_folder(folder / entry.name, outcome.value.files)
    return MapReport(entry.name, "done", outcome.value.sentences)


def _write_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write the files into a hidden folder beside the target, then give it its name."""
    unfinished, earlier = (target.with_name(f".{target.name}.{word}") for word in ("unfinished", "earlier"))
    for leftover in (unfinished, earlier):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    for name, content in files.items():
        (unfinished / name).parent.mkdir(exist_ok=True)
        (unfinished / name).write_bytes(content)
    if target.exists():
        target.rename(earlier)
    unfinished.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _claim(folder: Path, options: ExtractionOptions) -> None:
    """Write the settings of a new run; refuse a folder that holds results of others."""
    settings: dict[str, Any] = {"format": SETTINGS_FORMAT, "qpi_core": __version__, "options": options.record()}
    path = folder / SETTINGS_NAME
    if not path.exists():
        write_atomically(path, (json.dumps(settings, indent=2) + "\n").encode())
        return
    try:
        found = json.loads(path.read_bytes())
        differing = [key for key, value in settings["options"].items() if found["options"].get(key) != value]
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{SETTINGS_NAME} in {folder.name} is not that of a run of this program; give another folder.") from None
    if differing:
        was = ", ".join(f"{key.replace('_', '-')} {found['options'].get(key)}" for key in differing)
        raise InputError(f"the folder {folder.name} holds results of other settings ({was}); repeat them, or give another folder.")


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Let torch use one thread: the order of sums, and so the last bit, must not depend on where a map is extracted."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _extractor(model: str | None, device: str) -> Extractor:
    """Return an extractor whose networks are read once a process."""
    return load_extractor(model, device)
