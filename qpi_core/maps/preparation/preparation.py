"""A list of preparation steps that is recorded with the result and can be replayed on another layer or map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_pixel_size
from qpi_core.maps.preparation.coordinates import CoordinateMap
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult
from qpi_core.maps.preparation.step_json import described_step, step_of
from qpi_core.maps.preparation.sweep_source import SweepSource
from qpi_core.maps.readers.shared.source import FileSource, read_source
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.maps.scan_map import ScanMap

MAX_STEPS = 100


@dataclass(frozen=True, eq=False)
class Prepared:
    """A layer after all steps.

    Attributes:
        values: (height, width) float64; NaN = not measured, or masked.
        pixel_size_nm: (dy, dx); (1, 1) as long as it is not known.
        unit: of the values.
        coordinates: from the raw layer to this one, for positions.
        results: what each step did, in order.
    """

    values: Image
    pixel_size_nm: tuple[float, float]
    unit: str
    coordinates: CoordinateMap
    results: tuple[StepResult, ...]


@dataclass(frozen=True)
class Preparation:
    """Preparation steps in order; frozen, so that a changed list is a new one.

    Attributes:
        steps: applied from the first to the last.
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if len(self.steps) > MAX_STEPS:
            raise InputError(f"steps holds {len(self.steps)} preparation steps; at most {MAX_STEPS} are accepted.")
        if not all(isinstance(step, Step) for step in self.steps):
            raise InputError("steps must hold preparation steps only, such as Level('plane') or Crop(0, 0, 64, 64).")

    def apply(
        self,
        observation: ArrayLike,
        pixel_size_nm: float | tuple[float, float] = 1.0,
        bias_mv: float | None = None,
        unit: str = "",
        companions: Mapping[str, ArrayLike] | None = None,
        companion_units: Mapping[str, str] | None = None,
        report: Progress = no_progress,
        source: SweepSource | None = None,
    ) -> Prepared:
        """Return the layer after all steps, with what each of them did.

        Args:
            observation: (height, width); NaN = not measured.
            pixel_size_nm: (dy, dx) in nm, or one number; 1 where it is not known, lengths then count pixels.
            bias_mv: energy of the layer, where it is known.
            unit: of the values.
            companions: other channels of the same points, (height, width) each, for the steps that need them.
            companion_units: their units.
            report: called before each step with the share of the steps that are done and the step's name; what it raises stops the work.

            source: where the layer comes from in its file, for the steps over the whole sweep.

        Raises:
            InputError: the observation is not a 2-D layer, or a step does not fit it; the sentence says which.
        """
        shape = require_observation(observation).shape
        others = {name: np.array(values, dtype=np.float64) for name, values in (companions or {}).items()}
        if any(values.shape != shape for values in others.values()):
            raise InputError(f"companions must have the shape of the observation, {shape}.")
        layer = Layer(
            values=np.array(np.ma.filled(np.ma.asarray(observation, dtype=np.float64), np.nan)),
            pixel_size_nm=require_pixel_size(pixel_size_nm),
            bias_mv=float("nan") if bias_mv is None else float(bias_mv),
            unit=unit,
            companions=others,
            companion_units=companion_units or {},
            source=source,
        )
        results: list[StepResult] = []
        coordinates = CoordinateMap()
        for number, step in enumerate(self.steps, start=1):
            report((number - 1) / len(self.steps), f"Step {number} of {len(self.steps)}, {step.name}")
            result = step.apply(layer)
            if not np.isfinite(result.values).any():
                raise InputError(f"Step {number} ({step.name}) leaves no measured pixel; change or remove it.")
            carry = result.carry
            carried = layer.companions if carry is None else {name: carry(values) for name, values in layer.companions.items()}
            layer = replace(
                layer,
                values=result.values,
                pixel_size_nm=result.pixel_size_nm,
                unit=result.unit,
                companions=carried,
                source=result.source,
            )
            coordinates = coordinates.then(result.movements)
            results.append(result)
        return Prepared(layer.values, layer.pixel_size_nm, layer.unit, coordinates, tuple(results))

    def apply_to_scan(
        self,
        scan: ScanMap,
        channel: str | None = None,
        bias_mv: float | None = None,
        index: int | None = None,
        report: Progress = no_progress,
    ) -> Prepared:
        """Return one layer of a map after all steps; channel, bias_mv and index choose it as in ScanMap.layer, report is that of apply.

        Raises:
            InputError: no such layer, or a step does not fit it or the map.
        """
        number = scan.layer_index(channel, bias_mv, index)
        chosen = scan.default_channel if channel is None else channel
        names = dict.fromkeys(name for step in self.steps for name in step.channels_needed(scan.channels))
        companions = {name: scan.stack(name)[number if len(scan.stack(name)) > 1 else 0] for name in names}
        energy = float(scan.energies(chosen)[number])
        return self.apply(
            scan.stack(chosen)[number],
            scan.pixel_size_nm,
            energy if np.isfinite(energy) else None,
            scan.unit(chosen),
            companions,
            {name: scan.unit(name) for name in names},
            report,
            SweepSource.of_layer(scan.stack, scan.channels, chosen, number, scan.energies),
        )

    @property
    def follows_the_layer(self) -> bool:
        """Say whether positions move differently from layer to layer of one map."""
        return any(step.follows_the_layer for step in self.steps)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps in plain JSON types, such as [{"step": "level", "kind": "plane"}]; parameters that are None are left out."""
        return [described_step(step) for step in self.steps]

    @classmethod
    def from_json(cls, described: Any) -> Preparation:
        """Return the preparation that to_json described.

        Raises:
            InputError: another form, an unknown step or parameter, a missing one, or a value outside its range.
        """
        if not isinstance(described, Sequence) or isinstance(described, (str, bytes)):
            raise InputError('A preparation must be a list of steps, such as [{"step": "level", "kind": "plane"}].')
        return cls(tuple(step_of(item, number) for number, item in enumerate(described, start=1)))


def load_preparation(source: FileSource, filename: str | None = None) -> Preparation:
    """Return the preparation in a JSON file: a list of steps, {"steps": [...]}, or the side-car estimate.json of a result.

    Args:
        source: a path, or the content as bytes.
        filename: the name that goes with bytes.

    Raises:
        InputError: no such file, no JSON, or not a preparation.
    """
    content, name = read_source(source, filename)
    try:
        described = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InputError(
            f"{name} is not a JSON file; a preparation is a list of steps in JSON, as the app and estimate.json hold it."
        ) from None
    if isinstance(described, dict) and isinstance(described.get("provenance"), dict):
        recorded = described["provenance"].get("input")
        described = recorded.get("steps", []) if isinstance(recorded, dict) else []
    elif isinstance(described, dict) and set(described) == {"steps"}:
        described = described["steps"]
    try:
        return Preparation.from_json(described)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
