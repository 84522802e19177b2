"""Clicks: positions that a person gave, each off by a Gaussian error in x and y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class ClickErrors:
    """Errors of the listed positions.

    Attributes:
        deviation_px: standard deviation in x and in y.

    Raises:
        InputError: a value outside its range.
    """

    deviation_px: float = 0.5

    def __post_init__(self) -> None:
        require_in_range("deviation_px", self.deviation_px, 0.0, 10.0, "px")


def clicked(clicks: ClickErrors, positions: NDArray[np.float64], shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return positions (n, 2) with their errors, kept within the map."""
    limits = np.array(shape[::-1]) - 0.5
    return np.clip(positions + clicks.deviation_px * rng.standard_normal(positions.shape), -0.5, limits)
