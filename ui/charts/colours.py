"""Colour maps and colour limits, the same in the picker, the charts and the files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEQUENTIAL = ("viridis", "cividis", "magma", "gray")
DIVERGING = ("RdBu_r", "PuOr_r")
COLOUR_MAPS = SEQUENTIAL + DIVERGING
TITLES = {
    "viridis": "Viridis",
    "cividis": "Cividis",
    "magma": "Magma",
    "gray": "Grey",
    "RdBu_r": "Blue-red (about 0)",
    "PuOr_r": "Purple-orange (about 0)",
}


@dataclass(frozen=True)
class ColourScale:
    """How values become colours.

    Attributes:
        colours: one of COLOUR_MAPS.
        limits: values at the ends of the colours.
        bar: unit beside the colour bar; None draws no bar.
    """

    colours: str
    limits: tuple[float, float]
    bar: str | None


@lru_cache(maxsize=len(COLOUR_MAPS))
def colour_table(name: str) -> NDArray[np.uint8]:
    """Return the (256, 3) uint8 table of a colour map."""
    import matplotlib

    return (matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(np.uint8)


@lru_cache(maxsize=2 * len(COLOUR_MAPS))
def plotly_scale(name: str, root: bool = False) -> list[list[object]]:
    """Return the same colour map for plotly, 33 stops; root: the colours follow the square root of the distance from the lower end."""
    rows = colour_table(name)[np.linspace(0, 255, 33).round().astype(int)]
    return [[(i / 32) ** (2 if root else 1), f"rgb({r},{g},{b})"] for i, (r, g, b) in enumerate(rows)]


def colour_limits(
    values: NDArray[np.float32], percentiles: tuple[float, float] = (0.0, 100.0), diverging: bool = False
) -> tuple[float, float]:
    """Return (low, high) for a picture: percentiles of the measured values, symmetric about 0 for a diverging map."""
    measured = values[np.isfinite(values)]
    if measured.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(measured, percentiles))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    if not high > low:
        spread = max(abs(low) * 1e-3, np.finfo(np.float32).tiny * 1e6)
        low, high = low - spread, high + spread
    return low, high


def is_signed(values: NDArray[np.float32]) -> bool:
    """Say whether a picture has both signs to an extent that a diverging map shows."""
    measured = values[np.isfinite(values)]
    return bool(measured.size) and float(measured.min()) < -0.05 * float(np.abs(measured).max()) < 0 < float(measured.max())
