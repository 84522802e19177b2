"""Repairing what the tip did, not the sample: streaks along a line, and single pixels that jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qpi_core.maps.preparation.interpolation import filled
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult, difference, require_choice, require_number, require_whole

_MAD_TO_SIGMA = 1.4826
_SOFT_SHARE = 0.5


@dataclass(frozen=True)
class RemoveStreaks(Step):
    """Repair streaks (scars): runs along a line that stand out of the lines above and below.

    A pixel belongs to a streak where it lies above, or below, both neighbouring lines by `threshold` robust standard deviations of
    the step from line to line; a run grows over pixels beyond half of that, and counts from `min_length` pixels on. It is filled
    by a straight line between the good pixels above and below.

    Attributes:
        threshold: in robust standard deviations of the steps between lines, 1 to 100.
        min_length: shortest run in pixels, 2 to 10000; keep it longer than a defect is wide.
        max_width: how many lines a streak may cover, 1 to 8.
    """

    name: ClassVar[str] = "remove_streaks"
    threshold: float = 4.0
    min_length: int = 16
    max_width: int = 2

    def __post_init__(self) -> None:
        require_number(self.name, "threshold", self.threshold, 1, 100)
        require_whole(self.name, "min_length", self.min_length, 2, 10_000)
        require_whole(self.name, "max_width", self.max_width, 1, 8)

    def apply(self, layer: Layer) -> StepResult:
        """Return the layer without streaks; removed is what stood out, 0 elsewhere."""
        streak = self._streaks(layer.values)
        values = np.where(streak, _between_lines(layer.values, streak), layer.values)
        return difference(layer, values, "Streaks", f"{int(streak.sum())} pixels repaired.")

    def _streaks(self, values: Image) -> NDArray[np.bool_]:
        from skimage.filters import apply_hysteresis_threshold

        steps = np.diff(values, axis=0)
        sigma = _robust_sigma(steps)
        found = np.zeros(values.shape, dtype=bool)
        if sigma == 0:
            return found
        for sign in (1.0, -1.0):
            height = np.zeros(values.shape)
            for width in range(1, self.max_width + 1):
                np.maximum(height, _height_over_both(sign * values, width), out=height)
            # Rows are separate: a streak is horizontal, so rows are taken apart by an empty one before runs are joined.
            spread = np.zeros((2 * len(values), values.shape[1]))
            spread[::2] = height / sigma
            runs = apply_hysteresis_threshold(spread, _SOFT_SHARE * self.threshold, self.threshold)  # type: ignore[no-untyped-call]
            labels, count = ndimage.label(runs)
            lengths = np.bincount(labels.ravel(), minlength=count + 1)
            lengths[0] = 0
            found |= (lengths[labels] >= self.min_length)[::2]
        return found


@dataclass(frozen=True)
class RepairOutliers(Step):
    """Repair single pixels that differ from the median of their neighbours by far more than the others do.

    Sharp defects are outliers, too: look at what was removed before going on.

    Attributes:
        threshold: in robust standard deviations of all differences from the local median, 2 to 1000.
        window: side of the neighbourhood in pixels, 3 to 15.
        replacement: "median" of the neighbourhood, or "unmeasured" (NaN, left out of every fit).
    """

    name: ClassVar[str] = "repair_outliers"
    threshold: float = 8.0
    window: int = 3
    replacement: str = "median"

    def __post_init__(self) -> None:
        require_number(self.name, "threshold", self.threshold, 2, 1000)
        require_whole(self.name, "window", self.window, 3, 15)
        require_choice(self.name, "replacement", self.replacement, ("median", "unmeasured"))

    def apply(self, layer: Layer) -> StepResult:
        """Return the layer without outliers; removed is pixel - median where a pixel was repaired, 0 elsewhere."""
        neighbours = np.ones((self.window, self.window), dtype=bool)
        # Without the pixel itself: on a smooth map it would be its own median, and the spread of the others 0.
        neighbours[self.window // 2, self.window // 2] = False
        median = ndimage.median_filter(filled(layer.values), footprint=neighbours, mode="mirror")
        deviation = layer.values - median
        sigma = _robust_sigma(deviation)
        # Where most pixels equal their median exactly (whole numbers, simulations) the spread is 0 and says nothing.
        outlier = np.abs(deviation) > self.threshold * sigma if sigma > 0 else np.zeros(deviation.shape, dtype=bool)
        values = np.where(outlier, median if self.replacement == "median" else np.nan, layer.values)
        removed = np.where(np.isfinite(layer.values), np.where(outlier, deviation, 0.0), np.nan)
        note = f"{int(outlier.sum())} pixels repaired."
        return StepResult(values, removed, "Outliers", layer.pixel_size_nm, layer.unit, note=note)


def _height_over_both(values: Image, width: int) -> Image:
    """Return by how much every pixel exceeds both the line above and the line below a streak of `width` lines that it is in."""
    lines = len(values)
    height = np.zeros(values.shape)
    for first in range(1, lines - width):  # the first and last line have no neighbour on one side
        block = values[first : first + width]
        above_both = np.minimum(block - values[first - 1], block - values[first + width]).min(axis=0)
        np.fmax(height[first : first + width], above_both, out=height[first : first + width])
    return height


def _between_lines(values: Image, bad: NDArray[np.bool_]) -> Image:
    """Return values with the bad pixels of every column filled linearly between its good ones; gaps may be anywhere."""
    result = values.copy()
    rows = np.arange(len(values))
    good = ~bad & np.isfinite(values)
    for column in np.flatnonzero(bad.any(axis=0)):
        known = good[:, column]
        if known.any():
            holes = bad[:, column]
            result[holes, column] = np.interp(rows[holes], rows[known], values[known, column])
    return result


def _robust_sigma(values: Image) -> float:
    finite = values[np.isfinite(values)]
    return _MAD_TO_SIGMA * float(np.median(np.abs(finite - np.median(finite)))) if finite.size else 0.0
