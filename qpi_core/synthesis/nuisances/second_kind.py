"""A second kind of defect with a kernel of its own, which the list leaves out or takes for the first kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class SecondKind:
    """Defects of another kind among those of the first.

    Attributes:
        share: of all defects, below a half.
        listed: whether the list holds them, as if they were of the first kind.

    Raises:
        InputError: a value outside its range.
    """

    share: float = 0.1
    listed: bool = False

    def __post_init__(self) -> None:
        require_in_range("share", self.share, 0.0, 0.45, "of the defects")


def draw_second_kind(second: SecondKind, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (count,) true for defects of the second kind: the share asked for, to the nearest defect."""
    chosen = np.zeros(count, dtype=bool)
    chosen[rng.permutation(count)[: round(second.share * count)]] = True
    return chosen
