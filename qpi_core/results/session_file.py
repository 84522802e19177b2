"""The session file: a piece of work saved whole, to go on with later or on another computer.

It holds the map as it was read, the marked defects, the settings, and the results with all their arrays. It is a ZIP of one
JSON text and plain .npy arrays (see qpi_core.results.session_archive), so it can be read without this program too.
"""

from __future__ import annotations

import dataclasses
import math
import re
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
from qpi_core.base.validation import require_pixel_size
from qpi_core.estimates.caution import caution_records, cautions_again
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps.scan_map import ScanMap
from qpi_core.results.session_archive import TEXT_NAME, ArchiveReader, ArchiveWriter

SESSION_FORMAT = "qpi-session"
SESSION_VERSION = 1
MAX_FILE_BYTES = 2**31
MAX_POINTS = 20_000
MAX_RESULTS = 100
LONGEST_LABEL = 40
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGES = ("kernel", "reconstruction", "residual", "wide_kernel", "uncertainty", "latent", "network_kernel", "background_map")


@dataclass(frozen=True, eq=False)
class SavedResult:
    """One result with what was asked.

    Attributes:
        estimate: the answer.
        observation: (height, width) the prepared layer that it was made from.
        settings: strict-JSON values: which layer, how prepared, which method.
    """

    estimate: KernelEstimate
    observation: NDArray[np.float32]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Session:
    """A piece of work.

    Attributes:
        scan: the map as it was read from its file, or None where none was loaded.
        positions: (n, 2) the marked defects, (x, y) in pixels.
        labels: the class of each defect, or None where all are of one class.
        settings: strict-JSON values of the controls and of the preparation.
        results: finished extractions, the latest last.
    """

    scan: ScanMap | None
    positions: NDArray[np.float64]
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[SavedResult, ...] = ()
    labels: tuple[str, ...] | None = None


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
        "map": None if session.scan is None else _map_text(session.scan, writer),
        "positions": writer.store(np.asarray(session.positions, dtype=np.float64)) if len(session.positions) else None,
        "labels": None if session.labels is None else list(session.labels),
        "settings": json_ready(session.settings),
        "results": [_result_text(result, writer) for result in session.results],
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
        scan = None if text["map"] is None else _read_map(text["map"], reader)
        positions = _read_positions(text["positions"], reader)
        results = tuple(_read_result(entry, reader) for entry in text["results"][:MAX_RESULTS])
        return Session(scan, positions, dict(text["settings"]), results, _read_labels(text["labels"], len(positions), reader.name))
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


def _map_text(scan: ScanMap, writer: ArchiveWriter) -> dict[str, Any]:
    return {
        "name": scan.name,
        "file_format": scan.file_format,
        "sha256": scan.sha256,
        "channels": [
            {"name": channel, "unit": scan.units.get(channel, ""), "values": writer.store(np.asarray(values))}
            for channel, values in scan.values.items()
        ],
        "bias_mv": writer.store(np.asarray(scan.bias_mv, dtype=np.float64)),
        "channel_bias_mv": json_ready(dict(scan.channel_bias_mv)),
        "pixel_size_nm": list(scan.pixel_size_nm),
        "pixel_size_known": bool(scan.pixel_size_known),
        "angle_deg": json_ready(scan.angle_deg),
        "centre_nm": None if scan.centre_nm is None else list(scan.centre_nm),
        "metadata": json_ready(scan.metadata),
        "notes": list(scan.notes),
        "warnings": list(scan.warnings),
    }


def _read_map(text: dict[str, Any], reader: ArchiveReader) -> ScanMap:
    values = {str(channel["name"]): reader.array(channel["values"]) for channel in text["channels"]}
    own = text.get("channel_bias_mv", {})
    shapes = {array.shape for array in values.values()}
    counts = {len(array) for name, array in values.items() if name not in own}
    bias = reader.array(text["bias_mv"]).astype(np.float64)
    if not _SHA256.fullmatch(str(text["sha256"])):
        raise InputError(f"{reader.name} does not state the hash of its map; it is damaged, so save the session again.")
    fitting = all(len(shape) == 3 and shape[1:] == next(iter(shapes))[1:] and shape[0] for shape in shapes)
    if not values or not fitting or any(len(bias) % count for count in counts):
        raise InputError(f"{reader.name} holds channels whose shapes do not fit together; it is damaged, so save the session again.")
    return ScanMap(
        name=Path(str(text["name"])).name,
        file_format=str(text["file_format"]),
        sha256=str(text["sha256"]),
        values={name: array if array.dtype.kind == "f" else array.astype(np.float64) for name, array in values.items()},
        units={str(channel["name"]): str(channel["unit"]) for channel in text["channels"]},
        bias_mv=bias,
        pixel_size_nm=require_pixel_size(tuple(text["pixel_size_nm"])),
        pixel_size_known=bool(text["pixel_size_known"]),
        angle_deg=float(text["angle_deg"]),
        centre_nm=_centre(text.get("centre_nm"), reader.name),
        metadata={str(key): str(value) for key, value in text["metadata"].items()},
        notes=tuple(str(note) for note in text["notes"]),
        channel_bias_mv=_own_energies(own, values, reader.name),
        warnings=tuple(str(warning) for warning in text.get("warnings", [])),
    )


def _centre(listed: Any, name: str) -> tuple[float, float] | None:
    if listed is None:
        return None
    if len(listed) != 2 or not all(type(number) in (int, float) and math.isfinite(number) for number in listed):
        raise InputError(f"{name} holds a place of the map that is no pair of numbers; it is damaged, so save the session again.")
    return float(listed[0]), float(listed[1])


def _own_energies(text: dict[str, Any], values: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[np.float64]]:
    """Return the energies of channels that have some of their own."""
    found = {str(channel): np.array([np.nan if e is None else e for e in listed], dtype=np.float64) for channel, listed in text.items()}
    if any(channel not in values or energies.shape != (len(values[channel]),) for channel, energies in found.items()):
        raise InputError(f"{name} holds energies of channels that do not fit; it is damaged, so save the session again.")
    return found


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


def _result_text(result: SavedResult, writer: ArchiveWriter) -> dict[str, Any]:
    estimate: dict[str, Any] = {}
    for entry in dataclasses.fields(KernelEstimate):
        value = getattr(result.estimate, entry.name)
        estimate[entry.name] = writer.store(value) if isinstance(value, np.ndarray) else json_ready(value)
    observation = writer.store(np.asarray(result.observation, dtype=np.float32))
    text = {"estimate": estimate, "observation": observation, "settings": json_ready(result.settings)}
    text["warning_kinds"] = caution_records(result.estimate.warnings)
    if (alternatives := getattr(result.estimate, "alternatives", None)) is not None:
        from qpi_core.results.session_alternatives import alternatives_text  # brings torch in, which the first page does without

        text["alternatives"] = alternatives_text(alternatives, writer)
    return text


def _read_result(text: dict[str, Any], reader: ArchiveReader) -> SavedResult:
    fields = {entry.name for entry in dataclasses.fields(KernelEstimate)}
    unknown = set(text["estimate"]) - fields
    if unknown:
        raise InputError(f"{reader.name} holds results with {sorted(unknown)[0]!r}, which this version of the program does not know.")
    values: dict[str, Any] = {
        name: reader.array(value) if isinstance(value, dict) and "array" in value else value for name, value in text["estimate"].items()
    }
    values["parameters"] = {str(name): (_number(value), _number(error)) for name, (value, error) in values["parameters"].items()}
    values["noise_model"] = {str(name): (_number(value), _number(error)) for name, (value, error) in values.get("noise_model", {}).items()}
    values["warnings"] = cautions_again(values["warnings"], text.get("warning_kinds", ()))
    values["pixel_size_nm"] = None if values["pixel_size_nm"] is None else require_pixel_size(tuple(values["pixel_size_nm"]))
    for name in ("background", "noise_sigma"):
        values[name] = _number(values[name])
    if "alternatives" not in text:
        estimate = KernelEstimate(**values)
    else:
        from qpi_core.results.session_alternatives import blind_estimate_of

        estimate = blind_estimate_of(values, text["alternatives"], reader)
    observation = reader.array(text["observation"]).astype(np.float32)
    _require_shapes(estimate, observation, reader.name)
    return SavedResult(estimate, observation, dict(text["settings"]))


def _require_shapes(estimate: KernelEstimate, observation: NDArray[np.float32], name: str) -> None:
    """Refuse arrays that do not belong together: the pages would fail on them later."""
    images = [getattr(estimate, image) for image in _IMAGES]
    window = (estimate.kernel_size, estimate.kernel_size)
    fits = (
        all(image is None or (isinstance(image, np.ndarray) and image.dtype.kind == "f") for image in images)
        and estimate.kernel.shape == window
        and all(image is None or image.shape == window for image in (estimate.uncertainty, estimate.network_kernel))
        and estimate.reconstruction.shape == estimate.residual.shape == observation.shape
        and (estimate.background_map is None or estimate.background_map.shape == observation.shape)
        and observation.ndim == 2
        and estimate.positions.ndim == 2
        and estimate.positions.shape[1] == 2
        and estimate.weights.shape == estimate.positions.shape[:1]
        and isinstance(estimate.method, str)
        and (estimate.symmetry_order is None or type(estimate.symmetry_order) is int)
        and _is_provenance(estimate.provenance)
    )
    if not fits:
        raise InputError(f"{name} holds a result whose arrays do not fit together; it is damaged, so save the session again.")


def _is_provenance(value: Any) -> bool:
    """Say whether a value has the form that the side-car, the report and the script read."""
    if not isinstance(value, dict):
        return False
    source = value.get("input", {})
    return (
        isinstance(source, dict)
        and all(isinstance(value.get(block) or {}, dict) for block in ("model", "versions"))
        and all(isinstance(source.get(name) or "", str) for name in ("name", "sha256", "channel", "unit", "observation_sha256"))
        and isinstance(source.get("layer_index") or 0, int)
        and isinstance(source.get("steps") or [], list)
    )


def _number(value: Any) -> float:
    """Return a number that JSON may have had no place for: null is NaN."""
    return math.nan if value is None else float(value)
