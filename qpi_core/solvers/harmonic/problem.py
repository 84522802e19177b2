"""A map that the harmonic solver is to explain by one list of defects after another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import HarmonicModel, fit_harmonics
from qpi_core.solvers.harmonic.orders.residual_test import CERTAIN
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS, HarmonicStart, start_harmonics
from qpi_core.solvers.harmonic.stretch import find_stretch

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HarmonicProblem:
    """A map to be explained by one list of defects or another; all values are checked.

    Attributes:
        values: (height, width), NaN where not measured.
        kernel_size: side of the kernel window in px.
        pixel_size_nm: (dy, dx), or None.
        stretch: (2,) numbers of a stretch of the kernel that is known (see harmonic_stretch), or None.
        symmetry_orders: candidates, as in solve_harmonic.
    """

    values: NDArray[np.float32]
    kernel_size: int
    pixel_size_nm: tuple[float, float] | None
    stretch: Array | None = None
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS

    def start(self, positions: Array, weights: Array) -> HarmonicStart:
        """Return the first stage of the solver for a list."""
        return start_harmonics(*self._given(positions, weights), self.stretch)

    def stretched(
        self, positions: Array, weights: Array, start: HarmonicStart, probability: float = CERTAIN
    ) -> tuple[HarmonicProblem, HarmonicStart]:
        """Return the problem with the stretch that the map asks for, and its first stage for the list; problem and start without any.

        Below the probability of white noise what the first stage leaves is looked at.
        """
        found = find_stretch(*self._given(positions, weights), start, probability)
        return (self, start) if found is None else (replace(self, stretch=found.stretch), found)

    def fit(self, positions: Array, weights: Array, start: HarmonicStart, changed: bool = False) -> HarmonicModel:
        """Return the whole solver's model for a list; a stretch that is known is found again for a list that was changed since."""
        stretchable = start.stretch is None or changed

        def made() -> HarmonicModel:
            return fit_harmonics(*self._given(positions, weights), start=start, stretchable=stretchable)

        return start.remembered(("model", stretchable), made)

    def simple_fit(self, positions: Array, weights: Array, start: HarmonicStart | None = None) -> HarmonicModel:
        """Return the model of one shared profile, enough while positions are uncertain."""
        begun = start or self.start(positions, weights)
        return begun.remembered("simple model", lambda: fit_harmonics(*self._given(positions, weights), extended=False, start=begun))

    def _given(
        self, positions: Array, weights: Array
    ) -> tuple[NDArray[np.float32], Array, int, Array, tuple[float, float] | None, tuple[int, ...]]:
        """Return the first arguments of everything that the harmonic solver does with a list."""
        return self.values, positions, self.kernel_size, weights, self.pixel_size_nm, self.symmetry_orders
