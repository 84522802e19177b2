"""The energy stack of a session file: the kernels of all classes of defects with what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import require_pixel_size
from qpi_core.estimates.caution import caution_records, cautions_again
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.results.session.result import is_provenance, numbers_of
from qpi_core.results.session.session_archive import ArchiveReader, ArchiveWriter

_ARRAYS = ("kernels", "uncertainties", "noise_sigma", "background", "bias_mv", "done", "positions", "weights")
MAX_CLASSES = 12


@dataclass(frozen=True, eq=False)
class SavedStack:
    """A solved stack with what was asked.

    Attributes:
        estimates: class -> kernels over energy; the name is empty where there are no classes.
        settings: strict-JSON values: which channel, how prepared, which method, at which positions.
    """

    estimates: Mapping[str, StackEstimate]
    settings: Mapping[str, Any] = field(default_factory=dict)


def stack_text(stack: SavedStack, writer: ArchiveWriter) -> dict[str, Any]:
    """Return a stack as strict JSON, its arrays handed to the writer."""
    return {
        "estimates": [{"class": name, **_estimate_text(one, writer)} for name, one in stack.estimates.items()],
        "settings": json_ready(stack.settings),
    }


def _estimate_text(one: StackEstimate, writer: ArchiveWriter) -> dict[str, Any]:
    arrays = {name: writer.store(np.asarray(getattr(one, name))) for name in _ARRAYS}
    maps = list(one.background_maps.items())
    plain = {
        "symmetry_order": one.symmetry_order,
        "warnings": one.warnings,
        "warning_kinds": [caution_records(said) for said in one.warnings],
        "notes": one.notes,
        "note_kinds": caution_records(one.notes),
        "pixel_size_nm": one.pixel_size_nm,
        "method": one.method,
        "provenance": one.provenance,
        "noise_models": one.noise_models,
        "parameters": one.parameters,
    }
    # One array for all maps: a session has room for so many arrays only.
    background = {"layers": [index for index, _ in maps], "maps": writer.store(np.stack([map_ for _, map_ in maps]))} if maps else None
    return {**arrays, "background_maps": background, **json_ready(plain)}


def read_stack(text: dict[str, Any], reader: ArchiveReader) -> SavedStack:
    """Return the stack that stack_text wrote.

    Raises:
        InputError: its arrays do not fit together.
    """
    listed = text["estimates"]
    estimates = {str(entry["class"]): _read_estimate(entry, reader) for entry in listed[:MAX_CLASSES]}
    if not estimates or len(estimates) != len(listed) or len({one.kernels.shape for one in estimates.values()}) > 1:
        raise _damaged(reader.name)
    return SavedStack(estimates, dict(text["settings"]))


def _read_estimate(text: dict[str, Any], reader: ArchiveReader) -> StackEstimate:
    arrays = {name: reader.array(text[name]) for name in _ARRAYS}
    pitch, count = text["pixel_size_nm"], len(arrays["kernels"])
    one = StackEstimate(
        **{**arrays, "done": arrays["done"].astype(bool)},
        symmetry_order=tuple(text["symmetry_order"]),
        warnings=tuple(cautions_again(said, kinds) for said, kinds in zip(text["warnings"], text["warning_kinds"], strict=True)),
        pixel_size_nm=None if pitch is None else require_pixel_size(tuple(pitch)),
        method=str(text["method"]),
        notes=cautions_again(text["notes"], text["note_kinds"]),
        provenance=text["provenance"],
        background_maps=_read_maps(text["background_maps"], count, reader),
        noise_models=tuple(numbers_of(entry) for entry in text["noise_models"]),
        parameters=tuple(numbers_of(entry) for entry in text["parameters"]),
    )
    if not _fits(one):
        raise _damaged(reader.name)
    return one


def _read_maps(text: Any, count: int, reader: ArchiveReader) -> dict[int, NDArray[np.float32]]:
    if text is None:
        return {}
    layers, maps = text["layers"], reader.array(text["maps"]).astype(np.float32)
    if maps.ndim != 3 or len(maps) != len(layers) or not all(type(index) is int and 0 <= index < count for index in layers):
        raise _damaged(reader.name)
    return dict(zip(layers, maps, strict=True))


def _fits(one: StackEstimate) -> bool:
    """Say whether arrays belong together: the pages would fail on them later."""
    count, side = one.kernels.shape[0], one.kernels.shape[-1]
    a_layer = (one.noise_sigma, one.background, one.bias_mv, one.done)
    lists = (one.symmetry_order, one.warnings)
    return (
        count > 0
        and one.kernels.shape == one.uncertainties.shape == (count, side, side)
        and all(array.dtype.kind == "f" for array in (one.kernels, one.uncertainties, *a_layer[:3], one.positions, one.weights))
        and all(array.shape == (count,) for array in a_layer)
        and all(len(listed) == count for listed in lists)
        and all(len(listed) in (0, count) for listed in (one.noise_models, one.parameters))
        and all(order is None or type(order) is int for order in one.symmetry_order)
        and one.positions.ndim == 2
        and one.positions.shape[1] == 2
        and one.weights.shape == one.positions.shape[:1]
        and len({map_.shape for map_ in one.background_maps.values()}) <= 1
        and is_provenance(one.provenance)
    )


def _damaged(name: str) -> InputError:
    return InputError(f"{name} holds a stack whose arrays do not fit together; it is damaged, so save the session again.")
