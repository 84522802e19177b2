"""The session file: a piece of work saved whole, to go on with later or on another computer.

It holds the map as it was read, the marked defects, the settings, and the results with all their arrays. It is a ZIP of one
JSON text and plain .npy arrays (see qpi_core.results.session.session_archive), so it can be read without this program too.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready, versions
from qpi_core.maps.scan_map import ScanMap
from qpi_core.results.session.map import map_text, read_map
from qpi_core.results.session.result import SavedResult as SavedResult
from qpi_core.results.session.result import read_result, result_text
from qpi_core.results.session.session_archive import TEXT_NAME, ArchiveReader, ArchiveWriter
from qpi_core.results.session.stack import SavedStack as SavedStack
from qpi_core.results.session.stack import read_stack, stack_text

SESSION_FORMAT = "qpi-session"
SESSION_VERSION = 1
MAX_FILE_BYTES = 2**31
MAX_POINTS = 20_000
MAX_RESULTS = 100
LONGEST_LABEL = 40


@dataclass(frozen=True, eq=False)
class Session:
    """A piece of work.

    Attributes:
        scan: the map as it was read from its file, or None where none was loaded.
        positions: (n, 2) the marked defects, (x, y) in pixels.
        labels: the class of each defect, or None where all are of one class.
        settings: strict-JSON values of the controls and of the preparation.
        results: finished extractions, the latest last.
        stack: the kernels of an energy stack, of all classes of defects, or None.
    """

    scan: ScanMap | None
    positions: NDArray[np.float64]
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[SavedResult, ...] = ()
    labels: tuple[str, ...] | None = None
    stack: SavedStack | None = None


def session_bytes(session: Session) -> bytes:
    """Return a session as the content of a file; the same session gives the same bytes.

    Raises:
        InputError: settings that JSON has no place for.
    """
    writer = ArchiveWriter([])
    text = {
        "format": SESSION_FORMAT,
        "format_version": SESSION_VERSION,
        "versions": versions(),
        "map": None if session.scan is None else map_text(session.scan, writer),
        "positions": writer.store(np.asarray(session.positions, dtype=np.float64)) if len(session.positions) else None,
        "labels": None if session.labels is None else list(session.labels),
        "settings": json_ready(session.settings),
        "results": [result_text(result, writer) for result in session.results],
        **({} if session.stack is None else {"stack": stack_text(session.stack, writer)}),
    }
    return writer.finish(text)


def is_session(content: bytes) -> bool:
    """Say whether a file's content is meant as a session: a ZIP that holds a session's text."""
    if not content.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return TEXT_NAME in archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False


def load_session(path_or_bytes: str | Path | bytes, name: str = "the session file") -> Session:
    """Read a session file.

    Args:
        path_or_bytes: its path, or its content.
        name: of the content, for the messages.

    Raises:
        InputError: not there, not a session file, damaged, too large, or of a version that this program does not read.
    """
    content = path_or_bytes if isinstance(path_or_bytes, bytes) else _file_content(Path(path_or_bytes))
    reader = ArchiveReader(content, name if isinstance(path_or_bytes, bytes) else Path(path_or_bytes).name)
    text = reader.text
    if text.get("format") != SESSION_FORMAT:
        raise InputError(f"{reader.name} is not a session file of this program.")
    if text.get("format_version") != SESSION_VERSION:
        raise InputError(
            f"{reader.name} has the session version {text.get('format_version')!r}; this program reads version {SESSION_VERSION}."
        )
    try:
        scan = None if text["map"] is None else read_map(text["map"], reader)
        positions = _read_positions(text["positions"], reader)
        results = tuple(read_result(entry, reader) for entry in text["results"][:MAX_RESULTS])
        labels = _read_labels(text["labels"], len(positions), reader.name)
        stack = None if text.get("stack") is None else read_stack(text["stack"], reader)
        return Session(scan, positions, dict(text["settings"]), results, labels, stack)
    except (KeyError, OverflowError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{reader.name} lacks something that a session holds; it is damaged, so save the session again.") from error


def _file_content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path.name} is larger than {MAX_FILE_BYTES // 2**20} MiB; no session that is read is so large.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} could not be read ({error.strerror}); give the path of a session file.") from None


def _read_positions(place: Any, reader: ArchiveReader) -> NDArray[np.float64]:
    if place is None:
        return np.zeros((0, 2))
    points = reader.array(place).astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) > MAX_POINTS or not np.isfinite(points).all():
        raise InputError(f"{reader.name} holds positions of the shape {points.shape}, not up to {MAX_POINTS} finite pairs (x, y).")
    return points


def _read_labels(labels: Any, count: int, name: str) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if len(labels) != count or not all(isinstance(label, str) and len(label) <= LONGEST_LABEL for label in labels):
        raise InputError(f"{name} holds classes of defects that do not fit its {count} positions; it is damaged.")
    return tuple(labels)
