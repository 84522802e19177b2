"""What a preparation step is: a frozen dataclass with a name, its parameters, and what it does to a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.coordinates import Movement
from qpi_core.maps.preparation.sweep_source import SweepSource

Image = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer on its way through the steps.

    Attributes:
        values: (height, width); NaN = not measured, or masked.
        pixel_size_nm: (dy, dx); (1, 1) where it is not known, so that lengths count pixels.
        bias_mv: energy of the layer, NaN where it is not known.
        unit: of the values, "" where it is not known.
        companions: other channels of the same points, moved along by every step that moves pixels.
        companion_units: their units.
        source: where the values come from in the file, as long as all steps were over the whole sweep; None afterwards.
    """

    values: Image
    pixel_size_nm: tuple[float, float] = (1.0, 1.0)
    bias_mv: float = float("nan")
    unit: str = ""
    companions: Mapping[str, Image] = field(default_factory=dict)
    companion_units: Mapping[str, str] = field(default_factory=dict)
    source: SweepSource | None = None

    def companion(self, name: str) -> Image:
        """Return another channel of the same points.

        Raises:
            InputError: the map has no such channel.
        """
        if name not in self.companions:
            there = ", ".join(repr(other) for other in self.companions) or "none"
            raise InputError(f"The preparation needs the channel {name!r}, but of the other channels the map offers {there}.")
        return self.companions[name]


@dataclass(frozen=True, eq=False)
class StepResult:
    """What a step made of a layer.

    Attributes:
        values: the layer after the step.
        removed: what the step took out, in the shape of the layer before: the difference, the divisor, the displacement, or the
            pixels that are gone; NaN where nothing was taken.
        removed_title: what `removed` shows, in words with its unit where that is not the layer's.
        pixel_size_nm: (dy, dx) after the step.
        unit: of the values after the step.
        movements: how positions move, none for steps that keep every pixel in its place.
        carry: does to a companion channel what the step did to the pixels of the layer, or None where they stay.
        note: a sentence on what was done where the parameters do not say it, or "".
        source: where the values come from in the file, for steps over the whole sweep.
    """

    values: Image
    removed: Image
    removed_title: str
    pixel_size_nm: tuple[float, float]
    unit: str
    movements: tuple[Movement, ...] = ()
    carry: Callable[[Image], Image] | None = None
    note: str = ""
    source: SweepSource | None = None


class Step(ABC):
    """One preparation step. Subclasses are frozen dataclasses whose fields are the parameters, checked when they are made."""

    name: ClassVar[str]

    @abstractmethod
    def apply(self, layer: Layer) -> StepResult:
        """Return what the step makes of a layer.

        Raises:
            InputError: the step does not fit the layer.
        """

    def channels_needed(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of a map's channels the step reads beside the layer itself; by default none.

        Raises:
            InputError: the map lacks a channel that the step needs.
        """
        return ()

    @property
    def follows_the_layer(self) -> bool:
        """Say whether the step moves positions differently from layer to layer, because it measures the movement in the layer."""
        return False


def difference(layer: Layer, values: Image, title: str, note: str = "") -> StepResult:
    """Return the result of a step that keeps pixels in place and takes out before - after."""
    return StepResult(values, layer.values - values, title, layer.pixel_size_nm, layer.unit, note=note)


def require_number(step: str, name: str, value: float, low: float, high: float) -> float:
    """Return a parameter as a float.

    Raises:
        InputError: not a number, or outside of low to high.
    """
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and low <= value <= high
    if not good:
        raise InputError(f"{name} of the step {step!r} must be a number from {low:g} to {high:g}, but it is {value!r}.")
    return float(value)


def require_whole(step: str, name: str, value: int, low: int, high: int) -> int:
    """Return a parameter as an int.

    Raises:
        InputError: not a whole number, or outside of low to high.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{name} of the step {step!r} must be a whole number from {low} to {high}, but it is {value!r}.")
    return int(value)


def require_choice(step: str, name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a parameter that names one of some choices.

    Raises:
        InputError: none of them.
    """
    if value not in choices:
        raise InputError(f"{name} of the step {step!r} must be one of {', '.join(map(repr, choices))}, but it is {value!r}.")
    return value


def require_pairs(step: str, name: str, value: object, least: int, most: int, limit: float) -> tuple[tuple[float, float], ...]:
    """Return a parameter that is a list of pairs of finite numbers.

    Raises:
        InputError: another form, too few or too many pairs, or a number beyond the limit.
    """
    try:
        pairs = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        pairs = np.zeros(0)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not least <= len(pairs) <= most or not (np.abs(pairs) <= limit).all():
        count = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(f"{name} of the step {step!r} must be {count} pairs of numbers up to {limit:g}, but it is {value!r}.")
    return tuple((float(first), float(second)) for first, second in pairs)
