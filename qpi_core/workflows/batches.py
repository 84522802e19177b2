"""Many items, maps or stacks: each ends in a folder of its own that appears complete or not at all, so a stopped run can go on.

The settings of a run lie beside its results (batch.json). Going on with other settings is refused; files and lists that changed since
are done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import bytes_sha256
from qpi_core.base.version import __version__
from qpi_core.extraction.extractor import Extractor, load_extractor
from qpi_core.maps.readers.shared.source import read_source
from qpi_core.results.files import prepare_folder
from qpi_core.runtime.atomic_files import write_atomically
from qpi_core.runtime.executor import Executor, Outcome
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.workflows.inputs import ListedMap
from qpi_core.workflows.one_map import MapFiles

SETTINGS_NAME = "batch.json"
SETTINGS_FORMAT = "qpi-extraction-batch"


class BatchOptions(Protocol):
    """What is asked of every item alike."""

    def record(self) -> dict[str, Any]:
        """Return the options in strict JSON types."""


@dataclass(frozen=True)
class BatchJob:
    """One item of a batch, ready to be sent to another process."""

    files: MapFiles
    options: Any


@dataclass(frozen=True)
class BatchResult:
    """The files of one item, name to content, and plain sentences on how it went."""

    files: dict[str, bytes]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class BatchKind:
    """What is done with every item.

    Attributes:
        run: from a job to its result, the same in whatever process; importable by name.
        hashes: from the folder of a result to the hashes of the file and of the list (None without one) that it was made from; raises
            InputError, KeyError, TypeError, ValueError or OSError where the folder holds none.
        holds_only_results: whether a folder holds nothing but what run makes.
        needs_list: whether an item without a list of positions fails.
    """

    run: Callable[[BatchJob], BatchResult]
    hashes: Callable[[Path], tuple[str, str | None]]
    holds_only_results: Callable[[Path], bool]
    needs_list: bool = True


@dataclass(frozen=True)
class BatchReport:
    """What became of one item of a batch.

    Attributes:
        name: of its result folder.
        state: "done", "there already", or "failed".
        sentences: what was read and found; for a failed one the one sentence on what was wrong.
    """

    name: str
    state: str
    sentences: tuple[str, ...] = ()


def run_batch(
    items: Sequence[ListedMap],
    options: BatchOptions,
    kind: BatchKind,
    out: str | Path,
    executor: Executor,
    report: Progress = no_progress,
    send_contents: bool = False,
) -> Iterator[BatchReport]:
    """Do every item that has no result yet; write each result as it comes and report on it.

    Args:
        items: as list_maps gives them.
        options: the same for all.
        kind: what is done.
        out: folder of the result folders; made if it is not there.
        executor: what runs the work.
        report: called before the first item and after each; where it raises Stopped, nothing more is begun.
        send_contents: send the files' contents instead of their paths, for machines that do not share a disk.

    Raises:
        InputError: a folder that cannot be written or that holds results of other settings.
    """
    folder = prepare_folder(out)
    _claim(folder, options)
    waiting: list[ListedMap] = []
    for entry in items:
        known = _before_the_work(folder, entry, kind)
        if known is None:
            waiting.append(entry)
        else:
            yield known
    jobs = _Jobs(waiting, options, send_contents)
    for outcome in executor.map(partial(_answer, kind.run) if send_contents else kind.run, jobs, report):
        yield _finish(folder, waiting[outcome.index], outcome)


@lru_cache(maxsize=1)
def extractor_of_process(model: str | None, device: str) -> Extractor:
    """Return an extractor whose networks are read once a process."""
    return load_extractor(model, device)


class _Jobs(Sequence[Any]):
    """The jobs of a batch, made when they are asked for: contents are read one by one, not all at once."""

    def __init__(self, maps: list[ListedMap], options: BatchOptions, send_contents: bool) -> None:
        self._maps, self._options, self._send_contents = maps, options, send_contents

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, index: Any) -> Any:
        entry = self._maps[index]
        files = MapFiles.at(entry.scan, entry.positions or "")
        if not self._send_contents:
            return BatchJob(files, self._options)
        try:
            return BatchJob(files.loaded(), self._options)
        except InputError as error:
            return str(error)


def _answer(run: Callable[[BatchJob], BatchResult], job: BatchJob | str) -> BatchResult:
    """Do an item whose files could be read; for others say why not, as the item's own failure."""
    if isinstance(job, str):
        raise InputError(job)
    return run(job)


def _before_the_work(folder: Path, entry: ListedMap, kind: BatchKind) -> BatchReport | None:
    """Return a report where there is nothing to do, or where nothing can be done."""
    target = folder / entry.name
    if entry.positions is None and kind.needs_list:
        wanted = f"{entry.scan.stem}.csv (or .txt, .json, .npy)"
        return BatchReport(
            entry.name, "failed", (f"{entry.scan.name} has no list of positions: {wanted} is not in the folder of positions.",)
        )
    if not target.exists():
        return None
    try:
        if _hashes(entry) == kind.hashes(target):
            return BatchReport(entry.name, "there already")
        if kind.holds_only_results(target):
            return None
    except (InputError, KeyError, TypeError, ValueError, OSError):
        pass
    return BatchReport(
        entry.name, "failed", (f"the folder {entry.name} holds something else than a result, which would be lost; move it away.",)
    )


def _hashes(entry: ListedMap) -> tuple[str, str | None]:
    """Return the hashes of a file and of its list, None without one."""
    scan, positions = (None if path is None else bytes_sha256(read_source(path)[0]) for path in (entry.scan, entry.positions))
    assert scan is not None
    return scan, positions


def _finish(folder: Path, entry: ListedMap, outcome: Outcome[BatchResult]) -> BatchReport:
    """Write a result, or say in one sentence why there is none."""
    if outcome.value is None:
        if isinstance(outcome.error, InputError):
            sentence = str(outcome.error)
        elif isinstance(outcome.error, MemoryError):
            sentence = f"{entry.scan.name} is too large for the memory; crop or resample it first."
        else:
            sentence = f"{entry.scan.name} could not be extracted ({type(outcome.error).__name__}: {outcome.error})."
        return BatchReport(entry.name, "failed", (" ".join(sentence.split()),))
    _write_folder(folder / entry.name, outcome.value.files)
    return BatchReport(entry.name, "done", outcome.value.sentences)


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


def _claim(folder: Path, options: BatchOptions) -> None:
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
