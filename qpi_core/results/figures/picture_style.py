"""How a picture is drawn: colours, their limits, resolution and file format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.base.errors import InputError

SEQUENTIAL_MAPS = ("viridis", "magma", "cividis", "gray")
DIVERGING_MAP = "RdBu_r"
DIVERGING_MAPS = (DIVERGING_MAP, "PuOr_r")
COLOUR_MAPS = ("auto", *SEQUENTIAL_MAPS, *DIVERGING_MAPS)
MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
"""Format of a picture -> its media type."""
SIGNED_FRACTION = 0.2
"""`auto` calls data signed when the weaker sign reaches this fraction of the stronger one."""


@dataclass(frozen=True)
class PictureStyle:
    """How a picture is drawn.

    Attributes:
        colour_map: one of COLOUR_MAPS; `auto` is diverging for signed data and viridis otherwise.
        percentiles: (low, high) of the finite values, between which the colours run, 0 to 100.
        limits: values between which the colours run, or None where the percentiles say it.
        logarithmic: draw a spectrum's log10, over four decades.
        scale_bar: draw one, where the axes are in nm.
        colour_bar: draw one.
        dots_per_inch: resolution, 20 to 600; of the pixels within a picture too where the file holds lines and text.
        file_format: one of MEDIA_TYPES.
    """

    colour_map: str = "auto"
    percentiles: tuple[float, float] = (0.5, 99.5)
    limits: tuple[float, float] | None = None
    logarithmic: bool = False
    scale_bar: bool = True
    colour_bar: bool = True
    dots_per_inch: int = 150
    file_format: str = "png"

    def __post_init__(self) -> None:
        if self.colour_map not in COLOUR_MAPS:
            raise InputError(f"colour_map must be one of {', '.join(COLOUR_MAPS)}, but it is {self.colour_map!r}.")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise InputError(f"percentiles must rise within 0 to 100, but they are {self.percentiles!r}.")
        if not 20 <= self.dots_per_inch <= 600:
            raise InputError(f"dots_per_inch must lie in 20 to 600, but it is {self.dots_per_inch!r}.")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise InputError(f"limits must be two rising values, but they are {self.limits!r}.")
        if self.file_format not in MEDIA_TYPES:
            raise InputError(f"file_format must be one of {', '.join(MEDIA_TYPES)}, but it is {self.file_format!r}.")


DEFAULT_STYLE = PictureStyle()


@dataclass(frozen=True)
class ColourScale:
    """A colour map's matplotlib name and the values at its ends."""

    name: str
    low: float
    high: float


def colour_scale(image: ArrayLike, style: PictureStyle = DEFAULT_STYLE) -> ColourScale:
    """Return the colours for an image: percentile limits, symmetric about 0 with a diverging map; NaN takes no part.

    A constant image gets limits of its value -+ 1 (or a thousandth), so that it is drawn in one colour.
    """
    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(finite, style.percentiles)) if finite.size else (0.0, 1.0)
    name = style.colour_map
    if name == "auto":
        signed = low < 0 < high and min(-low, high) >= SIGNED_FRACTION * max(-low, high)
        name = DIVERGING_MAP if signed else "viridis"
    if style.limits is not None:
        return ColourScale(name, *style.limits)
    if name in DIVERGING_MAPS:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    if not high > low:
        margin = max(1.0, abs(low) * 1e-3) if finite.size else 1.0
        low, high = low - margin, high + margin
    return ColourScale(name, low, high)
