"""Steps over the whole sweep of a stack: dI/dV by numerical derivative, and the mean of the sweeps there and back.

They work on the values as they were measured, so they come before all other steps.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_choice import CERTAIN, is_backward, signal_of, without_direction
from qpi_core.maps.preparation.step import Layer, Step, StepResult, require_whole
from qpi_core.maps.preparation.sweep_source import SweepSource

_LARGEST_WINDOW = 201


class SweepStep(Step):
    """What the steps over a sweep have in common."""

    def apply(self, layer: Layer) -> StepResult:
        """Return the layer that the changed source gives; removed is what the step took out or started from."""
        if layer.source is None:
            raise InputError(f"The step {self.name!r} needs the whole sweep as it was measured: put it before all other steps.")
        source = self.changed(layer.source)
        values = source.values()
        if not np.isfinite(values).any():
            raise InputError(f"The step {self.name!r} leaves no measured pixel in this layer: a layer that it needs was not measured.")
        return self.result(layer, values, source)

    @abstractmethod
    def changed(self, source: SweepSource) -> SweepSource:
        """Return the source after the step.

        Raises:
            InputError: the step does not fit the file.
        """

    @abstractmethod
    def result(self, layer: Layer, values: NDArray[np.float64], source: SweepSource) -> StepResult:
        """Return what the step made of a layer."""


@dataclass(frozen=True)
class AverageSweeps(SweepStep):
    """Take the mean of the forward and the backward sweep (or scan line) of the same signal."""

    name: ClassVar[str] = "average_sweeps"

    def changed(self, source: SweepSource) -> SweepSource:
        """Return the mean with the channel of the other direction."""
        here = source.channel
        partners = [
            name
            for name in source.channels
            if is_backward(name) != is_backward(here) and without_direction(name) == without_direction(here)
        ]
        if not partners:
            there = ", ".join(map(repr, source.channels))
            raise InputError(f"The step {self.name!r} needs the channel {here!r} in both directions; the map has {there}.")
        if not np.array_equal(source.energies(partners[0]), source.energies(here), equal_nan=True):
            raise InputError(f"The step {self.name!r} needs the same energies there and back; {partners[0]!r} has others than {here!r}.")
        return source.averaged_with({here: partners[0], partners[0]: here})

    def result(self, layer: Layer, values: NDArray[np.float64], source: SweepSource) -> StepResult:
        """Return the mean; removed is half of what the directions differ by."""
        names = sorted({channel for channel, _ in source.weights(source.index)})
        note = f"Mean of {' and '.join(map(repr, names))}."
        return StepResult(values, layer.values - values, "Half the difference", layer.pixel_size_nm, layer.unit, note=note, source=source)


@dataclass(frozen=True)
class DeriveConductance(SweepStep):
    """Make dI/dV out of the current: the slope of a local polynomial over the neighbouring energies (Savitzky and Golay 1964).

    At even energies this is the Savitzky-Golay filter; uneven ones, such as those of multi-line sweeps, are fitted where they are.

    Attributes:
        window: how many energies a fit holds, odd.
        order: of the polynomial, below window; 1 or 2 smooth the most.
    """

    name: ClassVar[str] = "derive_conductance"
    window: int = 7
    order: int = 2

    def __post_init__(self) -> None:
        require_whole(self.name, "window", self.window, 3, _LARGEST_WINDOW)
        require_whole(self.name, "order", self.order, 1, min(self.window - 1, 6))
        if self.window % 2 == 0:
            raise InputError(f"window of the step {self.name!r} must be odd, so that it has a middle, but it is {self.window}.")

    def changed(self, source: SweepSource) -> SweepSource:
        """Return the derivative over the energy in V."""
        energies = source.bias_mv / 1e3
        if signal_of(source.channel) in CERTAIN:
            raise InputError(f"The step {self.name!r} makes dI/dV, which the channel {source.channel!r} is already; choose the current.")
        if len(energies) < self.window:
            fewer = f"the channel {source.channel!r} has {len(energies)} {'layer' if len(energies) == 1 else 'layers'}"
            raise InputError(f"The step {self.name!r} fits {self.window} energies together, but {fewer}.")
        if not np.isfinite(energies).all():
            raise InputError(f"The step {self.name!r} needs the energy of every layer, but the file does not say them.")
        return source.over_layers(lambda index: self.slope_weights(energies, index))

    def slope_weights(self, energies: NDArray[np.float64], index: int) -> Mapping[int, float]:
        """Return w_j so that sum_j w_j I_j is the slope at energy `index` of the polynomial through the nearest energies.

        Raises:
            InputError: fewer different energies than the polynomial needs.
        """
        first = min(max(index - self.window // 2, 0), len(energies) - self.window)
        offsets = energies[first : first + self.window] - energies[index]
        if len(np.unique(offsets)) <= self.order:
            raise InputError(f"The step {self.name!r} needs {self.order + 1} different energies in a window; take a wider one.")
        scale = float(np.abs(offsets).max())
        slopes = np.linalg.pinv(np.vander(offsets / scale, self.order + 1, increasing=True))[1] / scale
        return {first + number: float(weight) for number, weight in enumerate(slopes) if weight}

    def result(self, layer: Layer, values: NDArray[np.float64], source: SweepSource) -> StepResult:
        """Return dI/dV; removed is the current that it was made of."""
        unit = f"{layer.unit}/V" if layer.unit else ""
        weights = source.weights(source.index)
        layers = [number for _, number in weights]
        low, high = sorted((source.bias_mv[min(layers)], source.bias_mv[max(layers)]))
        note = f"dI/dV of {source.channel!r} by a polynomial of order {self.order} over {low:.4g} to {high:.4g} mV."
        title = f"Before the derivative ({layer.unit})" if layer.unit else "Before the derivative"
        return StepResult(values, layer.values, title, layer.pixel_size_nm, unit, note=note, source=source)
