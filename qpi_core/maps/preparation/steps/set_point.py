"""Dividing dI/dV by the current, against the set-point effect.

A scan with the feedback on keeps the current I(V_set) fixed, so the tip height follows the integral of the local density of
states (LDOS) up to V_set. What the lock-in measures is then LDOS(E) / integral of the LDOS, and the denominator carries its own
interference pattern: features that belong to other energies, and, where the feedback runs at every energy anew, artefacts that
disperse (Macdonald et al., arXiv 1606.07402).

Dividing by I / V at every point (Feenstra's normalisation) takes out everything that multiplies dI/dV and I alike: the tip
height, exactly where the barrier does not depend on the energy. Its limit: I(V) is the integral of the LDOS from 0 to V, so the
quotient still holds that integral's own pattern, inverted, and it fails near V = 0, where I vanishes. It is a change of artefacts
and not a cure; so it is never done unasked, and it is recorded with the result (arXiv 1509.07807 asks for that).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_choice import is_backward
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult, require_choice, require_number
from qpi_core.maps.preparation.steps.sweep import DeriveConductance

_DIVISORS = ("current_over_bias", "mean_current")
_CURRENT = re.compile(r"^\W*(current|i)\b", re.IGNORECASE)
_LEAST_BIAS_MV = 1e-3
_SLOPE = DeriveConductance(window=5, order=2)


@dataclass(frozen=True)
class NormaliseSetPoint(Step):
    """Divide the layer by the current that was measured with it; see this module's text for what that can and cannot do.

    Attributes:
        divisor: "current_over_bias" divides every pixel by its I / V; "mean_current" divides the layer by the mean of I, one
            number, which brings layers to one scale and leaves the set-point effect in.
        channel: the current's channel, or "" for the first forward channel whose name begins with Current.
        smallest: pixels whose |I| is below this share of its median over the layer become NaN, 0 to 1.
    """

    name: ClassVar[str] = "normalise_set_point"
    divisor: str = "current_over_bias"
    channel: str = ""
    smallest: float = 0.05

    def __post_init__(self) -> None:
        require_choice(self.name, "divisor", self.divisor, _DIVISORS)
        require_number(self.name, "smallest", self.smallest, 0, 1)

    def channels_needed(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the channel of the current."""
        return (self._current_channel(channels),)

    def apply(self, layer: Layer) -> StepResult:
        """Return the quotient; removed is the divisor."""
        channel = self._current_channel(tuple(layer.companions))
        current = layer.companion(channel)
        size = np.abs(current[np.isfinite(current)])
        slope = self._slope_at_zero(layer, channel)
        if slope is None and (not size.size or not np.median(size) > 0):
            raise InputError(f"The step {self.name!r} cannot divide by the channel {channel!r}: its current is 0 or was not measured.")
        current_unit = layer.companion_units.get(channel, "")
        if self.divisor == "mean_current":
            mean = float(current[np.isfinite(current)].mean())
            if abs(mean) < self.smallest * float(np.median(size)) or mean == 0:
                raise InputError(f"The step {self.name!r} cannot divide by a mean current of {mean:.3g}; it nearly vanishes.")
            divisor = np.full(layer.values.shape, mean)
            unit, title = _quotient(layer.unit, current_unit, ""), f"Mean current ({current_unit})" if current_unit else "Mean current"
        else:
            divisor = self._total_conductance(layer, current) if slope is None else slope
            unit, title = _quotient(layer.unit, current_unit, "V"), f"I / V ({current_unit}/V)" if current_unit else "I / V"
        values = layer.values / divisor
        left_out = int((np.isfinite(layer.values) & ~np.isfinite(values)).sum())
        note = f"Divided by {channel!r}; {left_out} pixels with too little current left out."
        return StepResult(values, divisor, title, layer.pixel_size_nm, unit, note=note)

    def _slope_at_zero(self, layer: Layer, channel: str) -> Image | None:
        """Return dI/dV at V = 0, the limit of I / V, where the whole sweep is there; None at other energies."""
        source = layer.source
        if source is None or self.divisor != "current_over_bias" or not abs(layer.bias_mv) <= _LEAST_BIAS_MV:
            return None
        current = source.stack(channel)
        if len(current) != len(source.bias_mv) or len(current) < _SLOPE.window:
            return None
        weights = _SLOPE.slope_weights(source.bias_mv / 1e3, source.index)
        slope: Image = np.zeros(current.shape[1:])
        for index, weight in weights.items():
            slope += weight * current[index]
        return slope

    def _total_conductance(self, layer: Layer, current: Image) -> Image:
        """Return I / V, NaN where I nearly vanishes."""
        least = self.smallest * float(np.median(np.abs(current[np.isfinite(current)])))
        divisor: Image = np.where(np.abs(current) >= least, current, np.nan) / self._bias_v(layer)
        divisor[divisor == 0] = np.nan
        return divisor

    def _current_channel(self, channels: tuple[str, ...]) -> str:
        if self.channel:
            if self.channel not in channels:
                raise InputError(
                    f"The step {self.name!r} needs the channel {self.channel!r}; the map has {', '.join(map(repr, channels)) or 'none'}."
                )
            return self.channel
        named = [name for name in channels if _CURRENT.search(name)]
        forward = [name for name in named if not is_backward(name)]
        if not named:
            raise InputError(f"The step {self.name!r} needs a channel with the current; the map has none whose name begins with Current.")
        return (forward or named)[0]

    def _bias_v(self, layer: Layer) -> float:
        if not abs(layer.bias_mv) > _LEAST_BIAS_MV:
            told = "is 0 mV" if np.isfinite(layer.bias_mv) else "is not known"
            raise InputError(f"The step {self.name!r} divides by I / V, but the bias of this layer {told}; choose another layer.")
        return layer.bias_mv / 1e3


def _quotient(unit: str, current_unit: str, times: str) -> str:
    if not unit or not current_unit:
        return ""
    return times if unit == current_unit else f"{unit}{'·' if times else ''}{times}/{current_unit}"
