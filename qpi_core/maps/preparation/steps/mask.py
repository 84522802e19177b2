"""Leaving regions out: their pixels become NaN, which takes no part in any fit or solve."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.step import Layer, Step, StepResult, require_number, require_pairs

_LARGEST = 100_000.0
_MOST_CORNERS = 1000


@dataclass(frozen=True)
class _Mask(Step):
    """What the masks have in common: a region in pixels of the layer, left out, or kept alone."""

    @abstractmethod
    def region(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels of a layer of (height, width) have their centre in the region."""

    def apply(self, layer: Layer) -> StepResult:
        """Return the layer with NaN in the region (outside of it where `keep` is set); removed is what was there.

        Raises:
            InputError: nothing measured would be left.
        """
        out = self.region((layer.values.shape[0], layer.values.shape[1]))
        if getattr(self, "keep", False):
            out = ~out
        values = np.where(out, np.nan, layer.values)
        if not np.isfinite(values).any():
            raise InputError(f"The step {self.name!r} leaves no measured pixel; choose a smaller region.")
        removed = np.where(out, layer.values, np.nan)
        note = f"{100 * float(out.mean()):.3g} % of the pixels are left out."
        return StepResult(values, removed, "Region left out", layer.pixel_size_nm, layer.unit, note=note)


@dataclass(frozen=True)
class MaskRectangle(_Mask):
    """Leave out a rectangle with edges parallel to the frame.

    Attributes:
        left, top: its corner in pixels; 0 is the centre of the first pixel, fractions allowed.
        width, height: its sides in pixels.
        keep: leave out everything else instead.
    """

    name: ClassVar[str] = "mask_rectangle"
    left: float
    top: float
    width: float
    height: float
    keep: bool = False

    def __post_init__(self) -> None:
        for name in ("left", "top"):
            require_number(self.name, name, getattr(self, name), -_LARGEST, _LARGEST)
        for name in ("width", "height"):
            require_number(self.name, name, getattr(self, name), 0, _LARGEST)

    def region(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return left <= x <= left + width and top <= y <= top + height."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        within: NDArray[np.bool_] = (x >= self.left) & (x <= self.left + self.width) & (y >= self.top) & (y <= self.top + self.height)
        return within


@dataclass(frozen=True)
class MaskDisc(_Mask):
    """Leave out a disc.

    Attributes:
        x, y: its centre in pixels.
        radius: in pixels.
        keep: leave out everything else instead.
    """

    name: ClassVar[str] = "mask_disc"
    x: float
    y: float
    radius: float
    keep: bool = False

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            require_number(self.name, name, getattr(self, name), -_LARGEST, _LARGEST)
        require_number(self.name, "radius", self.radius, 0, _LARGEST)

    def region(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the pixels whose centre is at most `radius` from (x, y)."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        within: NDArray[np.bool_] = (x - self.x) ** 2 + (y - self.y) ** 2 <= self.radius**2
        return within


@dataclass(frozen=True)
class MaskPolygon(_Mask):
    """Leave out a polygon.

    Attributes:
        corners: 3 to 1000 pairs (x, y) in pixels, in order around it.
        keep: leave out everything else instead.
    """

    name: ClassVar[str] = "mask_polygon"
    corners: tuple[tuple[float, float], ...]
    keep: bool = False

    def __post_init__(self) -> None:
        corners = require_pairs(self.name, "corners", self.corners, 3, _MOST_CORNERS, _LARGEST)
        object.__setattr__(self, "corners", corners)

    def region(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the pixels whose centre lies in the polygon."""
        from skimage.draw import polygon2mask

        within: NDArray[np.bool_] = polygon2mask(shape, np.array(self.corners)[:, ::-1])  # type: ignore[no-untyped-call]
        return within
