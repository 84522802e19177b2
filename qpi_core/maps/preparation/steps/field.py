"""Changing the field of view or its pixels: crop and resampling."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import ClassVar

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.base.validation import MAX_PIXELS
from qpi_core.maps.preparation.coordinates import AffineMovement
from qpi_core.maps.preparation.interpolation import sample, smoothed
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult, require_number, require_whole
from qpi_core.maps.readers.shared.limits import MIN_SIDE

_LARGEST_SIDE = 100_000
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Crop(Step):
    """Keep a rectangle of whole pixels.

    Attributes:
        left, top: first column and row that are kept, from 0.
        width, height: how many are kept, at least 4 each.
    """

    name: ClassVar[str] = "crop"
    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("left", "top"):
            require_whole(self.name, name, getattr(self, name), 0, _LARGEST_SIDE)
        for name in ("width", "height"):
            require_whole(self.name, name, getattr(self, name), MIN_SIDE, _LARGEST_SIDE)

    def apply(self, layer: Layer) -> StepResult:
        """Return the rectangle; removed is the layer without it."""
        height, width = layer.values.shape
        if self.left + self.width > width or self.top + self.height > height:
            raise InputError(
                f"The step 'crop' keeps x from {self.left} to {self.left + self.width - 1} and y from {self.top} to "
                f"{self.top + self.height - 1}, but the layer is {width} x {height} pixels; choose a rectangle inside of it."
            )
        removed = layer.values.copy()
        removed[self.top : self.top + self.height, self.left : self.left + self.width] = np.nan
        moved = AffineMovement(np.eye(2), -np.array([self.left, self.top], dtype=np.float64))
        return StepResult(
            self._cut(layer.values), removed, "Outside of the crop", layer.pixel_size_nm, layer.unit, (moved,), carry=self._cut
        )

    def _cut(self, values: Image) -> Image:
        return values[self.top : self.top + self.height, self.left : self.left + self.width].copy()


@dataclass(frozen=True)
class Resample(Step):
    """Resample to square pixels of a given size; the left and upper edges of the field stay where they are.

    Coarser pixels are averages (a Gaussian takes out what they cannot hold, as in scikit-image's resize), finer ones cubic
    splines, which add no information. Measured kernels keep their amplitude, but a feature narrower than a new pixel is lost.

    Attributes:
        pixel_size_nm: side of the new pixels in nm (in old pixels where the pixel size is not known), or None for the smaller of
            the two old sides: the least that makes the pixels square.
    """

    name: ClassVar[str] = "resample"
    pixel_size_nm: float | None = None

    def __post_init__(self) -> None:
        if self.pixel_size_nm is not None:
            require_number(self.name, "pixel_size_nm", self.pixel_size_nm, 1e-6, 1e6)

    def apply(self, layer: Layer) -> StepResult:
        """Return the layer on the new pixels; removed is the detail that the new pixels do not hold."""
        old = layer.pixel_size_nm
        new = min(old) if self.pixel_size_nm is None else self.pixel_size_nm
        factors = (new / old[0], new / old[1])
        shape = tuple(
            floor(side / factor + _ROUNDING) for side, factor in zip(layer.values.shape, factors, strict=True) if factor > _ROUNDING
        )
        if len(shape) < 2 or min(shape) < MIN_SIDE or np.prod(shape, dtype=np.float64) > MAX_PIXELS:
            raise InputError(
                f"The step 'resample' to {new:.6g} nm leaves fewer than {MIN_SIDE} pixels a side or more than {MAX_PIXELS} in all "
                f"of a layer with pixels of {old[1]:.6g} x {old[0]:.6g} nm; choose another pixel_size_nm."
            )
        if factors == (1.0, 1.0):
            values, back = layer.values.copy(), layer.values
        else:
            values = _resampled(layer.values, factors, (shape[0], shape[1]))
            back = _resampled(values, (1 / factors[0], 1 / factors[1]), (layer.values.shape[0], layer.values.shape[1]))
        # The edge of pixel 0 stays: (x + 1/2) / factor = x' + 1/2.
        scale = np.array([1 / factors[1], 1 / factors[0]])
        moved = AffineMovement(np.diag(scale), scale / 2 - 0.5)
        return StepResult(
            values,
            layer.values - back,
            "Detail finer than the new pixels",
            (new, new),
            layer.unit,
            (moved,),
            carry=lambda other: _resampled(other, factors, (shape[0], shape[1])),
            note=f"{shape[1]} x {shape[0]} pixels of {new:.4g} nm.",
        )


def _resampled(values: Image, factors: tuple[float, float], shape: tuple[int, int]) -> Image:
    """Return values on pixels that are larger by factors (y, x), from the same upper left edge."""
    sigma = (max(0.0, (factors[0] - 1) / 2), max(0.0, (factors[1] - 1) / 2))
    source = smoothed(values, sigma) if max(sigma) > 0 else values
    y = (np.arange(shape[0]) + 0.5) * factors[0] - 0.5
    x = (np.arange(shape[1]) + 0.5) * factors[1] - 0.5
    x_grid, y_grid = np.meshgrid(x, y)
    return sample(source, x_grid, y_grid)
