"""Files of a result with several classes of defects: a folder a class, and a side-car that holds them together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qpi_core.base.provenance import json_ready
from qpi_core.diagnostics.verdict import verdict_of
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.results.files import (
    CLASS_FOLDER,
    SIDECAR_FORMAT,
    SIDECAR_NAME,
    SIDECAR_VERSION,
    estimate_files,
    on_one_line,
    write_files,
)

Result = KernelEstimate | ClassEstimates


def class_folders(names: Iterable[str]) -> dict[str, str]:
    """Return class -> name of its folder, safe on every disk and different for every class."""
    folders: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9-]+", "_", name)[:32] or "_"
        taken, folder, number = {other.lower() for other in folders.values()}, CLASS_FOLDER + plain, 2
        while folder.lower() in taken:
            folder, number = f"{CLASS_FOLDER}{plain}_{number}", number + 1
        folders[name] = folder
    return folders


def class_sidecar(result: ClassEstimates) -> dict[str, Any]:
    """Return what the side-car over all classes holds: what they have in common, and each one's own numbers with its folder."""
    folders, provenance = class_folders(result.names), next(iter(result.estimates.values())).provenance
    common = {key: value for key, value in provenance.items() if key not in ("classes", "solver", "refinement")}
    return {
        "format": SIDECAR_FORMAT,
        "format_version": SIDECAR_VERSION,
        "method": result.method,
        "background": json_ready(result.background),
        "noise_sigma": json_ready(result.noise_sigma),
        "positions_px": json_ready(result.positions),
        "weights": json_ready(result.weights),
        "classes": list(result.classes),
        "warnings": list(result.warnings),
        "provenance": common,
        "kernels": {name: _class_record(folders[name], estimate, result) for name, estimate in result.estimates.items()},
    }


def _class_record(folder: str, estimate: KernelEstimate, result: ClassEstimates) -> dict[str, Any]:
    return {"folder": folder, "verdict": verdict_of(estimate, result.warnings).record(), **estimate.summary()}


def result_files(result: Result, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Return all files of a result, name -> content, those of a class below its folder; the side-car over all comes last."""
    if isinstance(result, KernelEstimate):
        return estimate_files(result, formats)
    folders = class_folders(result.names)
    files = {
        f"{folders[name]}/{file}": content
        for name, estimate in result.estimates.items()
        for file, content in estimate_files(estimate, formats).items()
    }
    return files | {SIDECAR_NAME: class_sidecar_bytes(result)}


def class_sidecar_bytes(result: ClassEstimates) -> bytes:
    """Return the side-car over all classes as strict JSON (no NaN) in UTF-8."""
    return on_one_line(json.dumps(class_sidecar(result), indent=2, ensure_ascii=False, allow_nan=False)).encode()


def classes_again(estimates: Mapping[str, KernelEstimate], warnings: tuple[str, ...] = ()) -> ClassEstimates:
    """Return the result that the estimates of the single classes came from, by what they say of it in their provenance."""
    record = next(iter(estimates.values())).provenance["classes"]
    positions, weights = (np.array(record[key], dtype=np.float64) for key in ("positions_px", "weights"))
    return ClassEstimates(dict(estimates), tuple(record["classes"]), positions, weights, warnings)


def write_result(result: Result, folder: str | Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write all files of a result into a folder, as `write_estimate` does; those of an earlier result are replaced.

    Raises:
        InputError: the folder cannot be made or written.
    """
    if isinstance(result, KernelEstimate):
        return write_files(estimate_files(result, formats), folder)
    return write_files(result_files(result, formats), folder)
