"""Strengths: defects of one kind that scatter unequally, or with the other sign.

    w_j = exp(s z_j),  z_j ~ N(0, 1)         and     w_j -> -w_j for a share of the defects

The kernel that one can ask for is that of a defect of mean strength, so measured_scene.py divides by the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class UnequalStrengths:
    """Log-normal strengths.

    Attributes:
        spread: s, standard deviation of the logarithm.

    Raises:
        InputError: a value outside its range.
    """

    spread: float = 0.5

    def __post_init__(self) -> None:
        require_in_range("spread", self.spread, 0.0, 2.0, "")


@dataclass(frozen=True)
class FlippedSigns:
    """Defects that lower the density of states where the others raise it.

    Attributes:
        share: of the defects, below a half.

    Raises:
        InputError: a value outside its range.
    """

    share: float = 0.2

    def __post_init__(self) -> None:
        require_in_range("share", self.share, 0.0, 0.45, "of the defects")


def draw_strengths(strengths: UnequalStrengths, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count,) log-normal strengths of median 1."""
    return np.asarray(np.exp(strengths.spread * rng.standard_normal(count)))


def draw_signs(flips: FlippedSigns, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count,) signs, -1 for the share asked for, to the nearest defect."""
    signs = np.ones(count)
    signs[rng.permutation(count)[: round(flips.share * count)]] = -1.0
    return signs
