"""Steps as JSON: {"step": name, parameter: value}; unknown names and parameters are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.step import Step
from qpi_core.maps.preparation.steps.drift import CorrectDrift
from qpi_core.maps.preparation.steps.field import Crop, Resample
from qpi_core.maps.preparation.steps.level import Level
from qpi_core.maps.preparation.steps.mask import MaskDisc, MaskPolygon, MaskRectangle
from qpi_core.maps.preparation.steps.repair import RemoveStreaks, RepairOutliers
from qpi_core.maps.preparation.steps.set_point import NormaliseSetPoint
from qpi_core.maps.preparation.steps.shear import CorrectShear
from qpi_core.maps.preparation.steps.sweep import AverageSweeps, DeriveConductance

STEPS: dict[str, type[Step]] = {
    kind.name: kind
    for kind in (
        Level,
        RemoveStreaks,
        RepairOutliers,
        Crop,
        Resample,
        CorrectShear,
        CorrectDrift,
        MaskRectangle,
        MaskDisc,
        MaskPolygon,
        AverageSweeps,
        DeriveConductance,
        NormaliseSetPoint,
    )
}
"""Every step by its name."""


@dataclass(frozen=True)
class _Kind:
    """What a parameter may hold, by its annotation."""

    title: str
    types: tuple[type, ...]


_KINDS = {
    "bool": _Kind("true or false", (bool,)),
    "str": _Kind("a text", (str,)),
    "int": _Kind("a whole number", (int,)),
    "int | None": _Kind("a whole number", (int, type(None))),
    "float": _Kind("a number", (int, float)),
    "float | None": _Kind("a number", (int, float, type(None))),
}


def described_step(step: Step) -> dict[str, Any]:
    """Return a step in plain JSON types; parameters that are None are left out."""
    parameters = {part.name: getattr(step, part.name) for part in fields(step)}  # type: ignore[arg-type]
    plain = {name: _plain(value) for name, value in parameters.items() if value is not None}
    return {"step": step.name, **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def step_of(item: Any, number: int) -> Step:
    """Return the step that a JSON object describes; number is its place in the list, for messages.

    Raises:
        InputError: no object, an unknown step or parameter, a missing one, or a value outside its range.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("step"), str):
        raise InputError(
            f'Step {number} of the preparation must be an object with its name, such as {{"step": "level"}}, but it is {item!r}.'
        )
    name = item["step"]
    if name not in STEPS:
        raise InputError(f"Step {number} of the preparation is {name!r}, which is unknown; the steps are {', '.join(STEPS)}.")
    parts = {part.name: part for part in fields(STEPS[name])}  # type: ignore[arg-type]
    given = {key: value for key, value in item.items() if key != "step"}
    unknown = [key for key in given if key not in parts]
    if unknown:
        raise InputError(f"Step {number} ({name}) has an unknown parameter {unknown[0]!r}; it takes {', '.join(parts)}.")
    missing = [key for key, part in parts.items() if key not in given and part.default is MISSING]
    if missing:
        raise InputError(f"Step {number} ({name}) needs the parameter {missing[0]!r}; it takes {', '.join(parts)}.")
    for key, value in given.items():
        kind = _KINDS.get(str(parts[key].type))
        if kind is not None and (not isinstance(value, kind.types) or (isinstance(value, bool) and bool not in kind.types)):
            raise InputError(f"{key} of step {number} ({name}) must be {kind.title}, but it is {value!r}.")
    return STEPS[name](**given)
