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

from qpi_core.errors import InputError
from qpi_core.maps.preparation.step import Layer, Step, StepResult, require_choice, require_number

_DIVISORS = ("current_over_bias", "mean_current")
_CURRENT = re.compile(r"^\W*(current|i)\b", re.IGNORECASE)
_BACKWARD = re.compile(r"\bbwd\b|backward|retrace", re.IGNORECASE)
_LEAST_BIAS_MV = 1e-3


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
        if not size.size or not np.median(size) > 0:
            raise InputError(f"The step {self.name!r} cannot divide by the channel {channel!r}: its current is 0 or was not measured.")
        current_unit = layer.companion_units.get(channel, "")
        if self.divisor == "mean_current":
            mean = float(current[np.isfinite(current)].mean())
            if abs(mean) < self.smallest * float(np.median(size)) or mean == 0:
                raise InputError(f"The step {self.name!r} cannot divide by a mean current of {mean:.3g}; it nearly vanishes.")
            divisor = np.full(layer.values.shape, mean)
            unit, title = _quotient(layer.unit, current_unit, ""), f"Mean current ({current_unit})" if current_unit else "Mean current"
        else:
            bias_v = self._bias_v(layer)
            divisor = np.where(np.abs(current) >= self.smallest * float(np.median(size)), current, np.nan) / bias_v
            divisor[divisor == 0] = np.nan
            unit, title = _quotient(layer.unit, current_unit, "V"), f"I / V ({current_unit}/V)" if current_unit else "I / V"
        values = layer.values / divisor
        left_out = int((np.isfinite(layer.values) & ~np.isfinite(values)).sum())
        note = f"Divided by {channel!r}; {left_out} pixels with too little current left out."
        return StepResult(values, divisor, title, layer.pixel_size_nm, unit, note=note)

    def _current_channel(self, channels: tuple[str, ...]) -> str:
        if self.channel:
            if self.channel not in channels:
                raise InputError(
                    f"The step {self.name!r} needs the channel {self.channel!r}; the map has {', '.join(map(repr, channels)) or 'none'}."
                )
            return self.channel
        named = [name for name in channels if _CURRENT.search(name)]
        forward = [name for name in named if not _BACKWARD.search(name)]
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
