"""What a refinement of positions and amplitudes may change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RefinementOptions:
    """What may change in a list, and how far.

    Attributes:
        positions: move the defects.
        weights: change the amplitudes.
        sigma_px: standard deviation of the clicks in each direction.
        symmetry_orders: candidates, as in solve_harmonic.
        stretch: (2,) numbers of a stretch of the kernel that is known (see harmonic.stretch), zeros for none; None looks for one.
    """

    positions: bool = True
    weights: bool = False
    sigma_px: float = 0.7
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS
    stretch: Array | None = None

    def __post_init__(self) -> None:
        """Refuse a deviation that is none."""
        if not (np.isfinite(self.sigma_px) and self.sigma_px > 0):
            raise InputError(f"sigma_px must be a positive number of pixels, but it is {self.sigma_px!r}.")
