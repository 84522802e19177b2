"""What a map was found to hold besides the kernel, in maps, numbers with errors, and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.noise.lattice_waves import LatticeWave
from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.step_line import StepLine

Array = NDArray[np.float64]

SMOOTH, ROWS, STREAKS, LATTICE, CORES, STEP = "smooth background", "row offsets", "streaks", "lattice", "cores", "step"
DRIFT = "drift of the scan lines"
UNLISTED = "defects of another kind"
_MOST_NAMED = 8
_FAR_STRONGER = 20.0
LONG_PX = 5.0
"""Correlation length from which on a part of the map is background; shorter ones are noise that was blurred."""


@dataclass(frozen=True)
class MapNoise:
    """Background and noise of one map.

    Attributes:
        parts: name -> (height, width) posterior mean, units of the map, of what counts as background.
        parameters: name with its unit -> (value, standard deviation).
        strength_spread: relative standard deviation of the defects' strengths; 0 where they are alike.
        outliers: (height, width), pixels that were left out.
        whitened_residual: (height, width), what neither kernel nor model explains, in units of its standard deviation.
        log_evidence_gain: over white noise on a constant background, price of all parameters taken off.
        signal: standard deviation of the kernel's part of the map.
        constant: the constant background.
        waves: of the lattice.
        pixel_size_nm: pitch along x and y, or None.
        short: name of the term that is coloured noise, or None.
        opposite: (n, 2) positions (x, y) in px of the defects whose sign is not that of the list.
        strange: (n, 2) places (x, y) in px of patterns that nothing of all this explains.
        step: the line of a step.
    """

    parts: Mapping[str, Array]
    parameters: Mapping[str, tuple[float, float]]
    strength_spread: float
    outliers: NDArray[np.bool_]
    whitened_residual: Array
    log_evidence_gain: float
    signal: float
    constant: float
    waves: tuple[LatticeWave, ...] = ()
    pixel_size_nm: tuple[float, float] | None = None
    short: str | None = None
    opposite: Array = field(default_factory=lambda: np.empty((0, 2)))
    strange: Array = field(default_factory=lambda: np.empty((0, 2)))
    step: StepLine | None = None

    @property
    def background(self) -> Array:
        """The constant and all parts, (height, width)."""
        return np.asarray(sum(self.parts.values(), np.full(self.outliers.shape, self.constant)))

    @property
    def coloured_sigma(self) -> float:
        """Standard deviation of the coloured part of the noise, units of the map."""
        names = {"background_length": "background_sigma", "streak_length": "streak_sigma"}
        return self.parameters[names[self.short]][0] if self.short is not None else 0.0

    def removable(self) -> Array:
        """Return the parts that can be taken off before defects are looked for: all but the cores, which are theirs."""
        return np.asarray(sum((part for name, part in self.parts.items() if name != CORES), np.zeros(self.outliers.shape)))

    def sentences(self) -> list[Caution]:
        """Return what was modelled, in words."""
        return [one if isinstance(one, Caution) else Caution(one, CautionKind.MODELLED) for one in self._parts_in_words()]

    def _parts_in_words(self) -> list[str]:
        found: list[str] = []
        if SMOOTH in self.parts:
            found.append(f"A smooth background{self._length('background_length')} was modelled; {self._share(SMOOTH)}.")
        if ROWS in self.parts:
            found.append(f"The scan lines are offset against each other; this was modelled; {self._share(ROWS)}.")
        if DRIFT in self.parts:
            found.append(f"The level of the scan lines wanders from the first to the last; this was modelled; {self._share(DRIFT)}.")
        if STREAKS in self.parts:
            found.append(f"Streaks along the scan lines{self._length('streak_length')} were modelled; {self._share(STREAKS)}.")
        if LATTICE in self.parts:
            found.append(f"The atomic lattice{self._periods()} was taken as part of the background; {self._share(LATTICE)}.")
        if CORES in self.parts:
            found.append(f"The cores of the defects are not alike; what differs was not taken into the kernel; {self._share(CORES)}.")
        if STEP in self.parts and self.step is not None:
            (x, y), angle = self.step.middle(self.outliers.shape), np.degrees(self.step.angle) % 180
            found.append(
                f"A step runs through the map at x = {x:.0f} px, y = {y:.0f} px, at right angles to the direction of {angle:.0f} "
                f"degrees (from x towards y); it was taken as part of the background, with what stands along it; {self._share(STEP)}."
            )
        if self.short is not None:
            found.append(f"The noise is not white: neighbouring pixels share it{self._length(self.short)}; this was modelled.")
        if self.strength_spread > 0:
            found.append(
                f"The defects differ in strength by {100 * self.strength_spread:.0f} %; each was given its own, and their mean is that of "
                "the list."
            )
        if len(self.opposite):
            found.append(
                f"{len(self.opposite)} of the defects {'have' if len(self.opposite) > 1 else 'has'} the other sign, at these "
                f"pixels (x, y): {_places(self.opposite)}."
            )
        if len(self.strange):
            there = (
                f"The map shows patterns that no listed defect explains, near these pixels (x, y): {_places(self.strange)}. There "
                "are defects of another kind, or some that the list lacks."
            )
            if UNLISTED in self.parts:
                found.append(f"{there} They were solved with a kernel of their own; {self._share(UNLISTED)}.")
            else:
                # The noise model has taken them for background: a kernel that is found beside such a one is in doubt.
                found.append(Caution(there, CautionKind.UNLISTED_PATTERNS))
        count = int(self.outliers.sum())
        if count:
            found.append(f"{count} single pixel{'s that stand' if count > 1 else ' that stands'} out of the noise took no part.")
        return found

    def record(self) -> dict[str, object]:
        """Return the plain values for the side-car."""
        return {
            "log_evidence_gain": self.log_evidence_gain,
            "parts": sorted(self.parts),
            "outliers": int(self.outliers.sum()),
            "strength_spread": self.strength_spread,
            "opposite_sign_px": self.opposite.tolist(),
            "unlisted_patterns_px": self.strange.tolist(),
            "lattice_wave_vectors_rad_per_px": [list(wave.wave_vector) for wave in self.waves] if LATTICE in self.parts else [],
        }

    def _share(self, name: str) -> str:
        spread = float(self.parts[name].std())
        if spread > _FAR_STRONGER * self.signal:
            return "it is far stronger than the kernel's pattern"
        return f"it varies by {spread / self.signal:.2g} of what the kernel's pattern does"

    def _length(self, name: str) -> str:
        for unit in ("nm", "px"):
            known = self.parameters.get(f"{name}_{unit}")
            if known is not None:
                return f" (correlation length {known[0]:.2g} {unit})"
        return ""

    def _periods(self) -> str:
        if not self.waves:
            return ""
        if self.pixel_size_nm is None:
            return f" (period {self.waves[0].period_px():.3g} px)"
        q_x, q_y = self.waves[0].wave_vector
        q = np.hypot(q_x / self.pixel_size_nm[1], q_y / self.pixel_size_nm[0])
        return f" (period {2 * np.pi / q:.3g} nm)"


def _places(points: Array) -> str:
    """Return points in words, the first ones."""
    named = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in points[:_MOST_NAMED])
    return f"{named} and {len(points) - _MOST_NAMED} others" if len(points) > _MOST_NAMED else named


def stationary_parameters(
    parameters: StationaryParameters, covariance: Array, variance: float, unit_nm: float | None
) -> dict[str, tuple[float, float]]:
    """Return standard deviations and lengths of the terms that are there, with their errors.

    Args:
        parameters: at the optimum.
        covariance: (5, 5) of the logarithms, 0 for those that were not searched.
        variance: of the white noise, units of the map squared.
        unit_nm: length of the solver's unit in nm; None gives px.
    """
    deviation = dict(zip(StationaryParameters.names(), np.sqrt(np.maximum(covariance.diagonal(), 0.0)), strict=True))
    length, scale = ("nm", unit_nm) if unit_nm is not None else ("px", 1.0)
    found: dict[str, tuple[float, float]] = {}
    for name, own_length in (("background", "background_length"), ("rows", None), ("streaks", "streak_length")):
        ratio = getattr(parameters, name)
        if ratio <= 0:
            continue
        sigma = float(np.sqrt(ratio * variance))
        known = {"background": "background_sigma", "rows": "row_offset_sigma", "streaks": "streak_sigma"}[name]
        found[known] = (sigma, 0.5 * sigma * float(deviation[name]))
        if own_length is not None:
            value = getattr(parameters, own_length) * scale
            found[f"{own_length}_{length}"] = (float(value), float(value * deviation[own_length]))
    return found
