"""What a search for defects came to besides its answer, in a session file and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.estimates.blind_estimate import BlindAlternative, BlindEstimate
from qpi_core.results.session.session_archive import ArchiveReader, ArchiveWriter

MOST_ALTERNATIVES = 100


def alternatives_text(alternatives: Sequence[BlindAlternative], writer: ArchiveWriter) -> list[dict[str, Any]]:
    """Return the explanations that the search came to, with their arrays stored."""

    def kept(value: Any) -> Any:
        return writer.store(value) if isinstance(value, np.ndarray) else json_ready(value)

    names = [entry.name for entry in dataclasses.fields(BlindAlternative)]
    return [{name: kept(getattr(one, name)) for name in names} for one in alternatives]


def blind_estimate_of(values: Mapping[str, Any], listed: Any, reader: ArchiveReader) -> BlindEstimate:
    """Return an estimate whose defects were found in the map, with the verdict that its provenance keeps.

    Args:
        values: the fields of a KernelEstimate.
        listed: as `alternatives_text` gives it.
        reader: of the arrays.

    Raises:
        InputError: parts that do not fit together.
    """
    verdict = values["provenance"]["blind"]
    alternatives = tuple(_alternative(entry, values["kernel_size"], reader) for entry in listed[:MOST_ALTERNATIVES])
    return BlindEstimate(**values, trusted=verdict["trusted"] is True, reason=str(verdict["reason"]), alternatives=alternatives)


def _alternative(text: Mapping[str, Any], size: int, reader: ArchiveReader) -> BlindAlternative:
    kernels, positions, weights = (reader.array(text[name]) for name in ("kernels", "positions", "weights"))
    order = text["symmetry_order"]
    if kernels.shape[1:] != (size, size) or not len(kernels) or positions.shape != (len(weights), 2) or type(order) is not int:
        raise InputError(f"{reader.name} holds an explanation of the map whose parts do not fit together; it is damaged, so save it again.")
    return BlindAlternative(kernels, positions, weights, order, _number(text["evidence"]), _number(text["unexplained"]))


def _number(value: Any) -> float:
    """Return a number that JSON may have had no place for: null is NaN."""
    return math.nan if value is None else float(value)
