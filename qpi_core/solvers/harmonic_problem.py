"""A map that the harmonic solver is to explain by one list of defects after another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic_model import HarmonicModel, find_stretch, fit_harmonics
from qpi_core.solvers.harmonic_start import SYMMETRY_ORDERS, HarmonicStart, start_harmonics
from qpi_core.solvers.harmonic_surprise import CERTAIN

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HarmonicProblem:
    """A map to be explained by one list of defects or another; all values are checked.

    Attributes:
        values: (height, width), NaN where not measured.
        kernel_size: side of the kernel window in px.
        pixel_size_nm: (dy, dx), or None.
        stretch: (2,) numbers of a stretch of the kernel that is known (see harmonic_stretch), or None.
    """

    values: NDArray[np.float32]
    kernel_size: int
    pixel_size_nm: tuple[float, float] | None
    stretch: Array | None = None

    def start(self, positions: Array, weights: Array) -> HarmonicStart:
        """Return the first stage of the solver for a list."""
        return start_harmonics(self.values, positions, self.kernel_size, weights, self.pixel_size_nm, stretch=self.stretch)

    def stretched(self, positions: Array, weights: Array, start: HarmonicStart) -> tuple[HarmonicProblem, HarmonicStart]:
        """Return the problem with the stretch that the map asks for, and its first stage for the list; problem and start without any."""
        found = find_stretch(self.values, positions, self.kernel_size, weights, self.pixel_size_nm, SYMMETRY_ORDERS, start, CERTAIN)
        return (self, start) if found is None else (replace(self, stretch=found.stretch), found)

    def fit(self, positions: Array, weights: Array, start: HarmonicStart, changed: bool = False) -> HarmonicModel:
        """Return the whole solver's model for a list; a stretch that is known is found again for a list that was changed since."""
        search = start.stretch is None or changed
        pitch = self.pixel_size_nm
        return fit_harmonics(self.values, positions, self.kernel_size, weights, pitch, SYMMETRY_ORDERS, start=start, stretchable=search)

    def simple_fit(self, positions: Array, weights: Array, start: HarmonicStart | None = None) -> HarmonicModel:
        """Return the model of one shared profile, enough while positions are uncertain."""
        begun = start or self.start(positions, weights)
        pitch = self.pixel_size_nm
        return fit_harmonics(self.values, positions, self.kernel_size, weights, pitch, SYMMETRY_ORDERS, extended=False, start=begun)
