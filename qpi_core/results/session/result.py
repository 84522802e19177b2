"""A result of a session file: one kernel with what was asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import require_pixel_size
from qpi_core.estimates.caution import caution_records, cautions_again
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.results.session.session_archive import ArchiveReader, ArchiveWriter

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


def result_text(result: SavedResult, writer: ArchiveWriter) -> dict[str, Any]:
    """Return a result as strict JSON, its arrays handed to the writer."""
    estimate: dict[str, Any] = {}
    for entry in dataclasses.fields(KernelEstimate):
        value = getattr(result.estimate, entry.name)
        estimate[entry.name] = writer.store(value) if isinstance(value, np.ndarray) else json_ready(value)
    observation = writer.store(np.asarray(result.observation, dtype=np.float32))
    text = {"estimate": estimate, "observation": observation, "settings": json_ready(result.settings)}
    text["warning_kinds"] = caution_records(result.estimate.warnings)
    if (alternatives := getattr(result.estimate, "alternatives", None)) is not None:
        from qpi_core.results.session.alternatives import alternatives_text  # brings torch in, which the first page does without

        text["alternatives"] = alternatives_text(alternatives, writer)
    return text


def read_result(text: dict[str, Any], reader: ArchiveReader) -> SavedResult:
    """Return the result that result_text wrote.

    Raises:
        InputError: it is of another version, or its arrays do not fit together.
    """
    fields = {entry.name for entry in dataclasses.fields(KernelEstimate)}
    unknown = set(text["estimate"]) - fields
    if unknown:
        raise InputError(f"{reader.name} holds results with {sorted(unknown)[0]!r}, which this version of the program does not know.")
    values: dict[str, Any] = {
        name: reader.array(value) if isinstance(value, dict) and "array" in value else value for name, value in text["estimate"].items()
    }
    values["parameters"] = numbers_of(values["parameters"])
    values["noise_model"] = numbers_of(values.get("noise_model", {}))
    values["warnings"] = cautions_again(values["warnings"], text.get("warning_kinds", ()))
    values["pixel_size_nm"] = None if values["pixel_size_nm"] is None else require_pixel_size(tuple(values["pixel_size_nm"]))
    for name in ("background", "noise_sigma"):
        values[name] = _number(values[name])
    if "alternatives" not in text:
        estimate = KernelEstimate(**values)
    else:
        from qpi_core.results.session.alternatives import blind_estimate_of

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
        and is_provenance(estimate.provenance)
    )
    if not fits:
        raise InputError(f"{name} holds a result whose arrays do not fit together; it is damaged, so save the session again.")


def is_provenance(value: Any) -> bool:
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


def numbers_of(pairs: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return name -> (value, standard deviation)."""
    return {str(name): (_number(value), _number(error)) for name, (value, error) in pairs.items()}


def _number(value: Any) -> float:
    """Return a number that JSON may have had no place for: null is NaN."""
    return math.nan if value is None else float(value)
