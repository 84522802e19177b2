"""Where the harmonic solver begins: angular orders {0, n} with one shared profile, fitted to at most some thousand pixels.

It is already a good kernel wherever one rotation symmetry holds, and it is what Encoder_Y is shown of the harmonic solver.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, furthest_offset, take_samples
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.frame import SolverFrame, stretch_matrix
from qpi_core.solvers.harmonic.orders.selection import Selection, log_evidence, select_orders
from qpi_core.solvers.harmonic.posterior.kernel import Renderer

Array = NDArray[np.float64]
Found = TypeVar("Found")

SYMMETRY_ORDERS = (0, 1, 2, 3, 4, 6)
"""Candidate orders: 0 isotropic, 1 no symmetry, and those that a crystal can have."""
_STEP_PX = 0.8
_LEAST_RADIUS_PX = 72.0
SELECTION_PIXELS = 8192
_RELATIVE_FLOOR = 3e-4
"""Noise below this share of the map's standard deviation cannot be told from the error of the radial splines."""


@dataclass(frozen=True)
class HarmonicStart:
    """The first stage of the solver.

    Attributes:
        samples: the pixels that were looked at, in solver units (a square pixel of the mean area is 1).
        splines: radial basis.
        design: basis of all candidate orders on these pixels.
        selection: comparison of the symmetry orders.
        aspect: (dy, dx) of a pixel in solver units.
        floor: least noise variance.
        stretch: (2,) numbers a and b of the stretch (see harmonic_stretch) of the coordinates; None is nothing.
        whitener: turns the noise of the map into white noise (the design is whitened already); None where it is white.
    """

    samples: MapSamples
    splines: RadialSplines
    design: StoredDesign
    selection: Selection
    aspect: tuple[float, float]
    floor: float
    stretch: Array | None = None
    whitener: Whitener | None = None
    _memory: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def remembered(self, key: Hashable, make: Callable[[], Found]) -> Found:
        """Return what was made from this very start under a key before, made now where it was not.

        A map is looked at in several lights (white noise, another list, a noise model), and each asks for the model of this start.
        """
        if key not in self._memory:
            self._memory[key] = make()
        found: Found = self._memory[key]
        return found

    @property
    def frame(self) -> SolverFrame:
        """The coordinates of samples and kernel."""
        return SolverFrame(self.aspect, _matrix(self.stretch))

    @property
    def variance(self) -> float:
        """Noise variance of the best fit."""
        return self.selection.best.evidence.variance

    def log_evidence(self, pixels: int) -> float:
        """Return the log evidence of the best fit with the price of its hyperparameters taken off."""
        return log_evidence(self.selection.best, pixels)

    def kernel(self, size: int) -> NDArray[np.float32]:
        """Return the most probable kernel of this stage, (size, size), in the units of the map."""
        fit = self.selection.best
        renderer = Renderer(self.frame.grid(size), self.splines, fit.hyperparameters.orders)
        return renderer(fit.evidence.profiles).astype(np.float32)


def start_harmonics(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    stretch: Array | None = None,
    most: int = SELECTION_PIXELS,
) -> HarmonicStart:
    """Compare the symmetry orders on at most so many pixels; the arguments, those of solve_harmonic, are checked already.

    With stretch, the numbers a and b, they are those of a kernel in stretched coordinates.
    """
    aspect = solver_aspect(pixel_size_nm)
    samples = take_samples(values, positions, weights, aspect, most=most, stretch=_matrix(stretch))
    splines, floor = splines_for(samples, kernel_size, aspect, stretch), noise_floor(values)
    design = StoredDesign(samples, splines, tuple(sorted({0, *symmetry_orders})))
    selection = select_orders(design, splines.nodes, symmetry_orders, floor)
    return HarmonicStart(samples, splines, design, selection, aspect, floor, stretch)


def _matrix(stretch: Array | None) -> Array | None:
    return None if stretch is None else stretch_matrix(stretch)


def solver_aspect(pixel_size_nm: tuple[float, float] | None) -> tuple[float, float]:
    """Return (dy, dx) of a pixel in solver units, in which a square pixel of the mean area is 1."""
    if pixel_size_nm is None:
        return 1.0, 1.0
    unit = np.sqrt(pixel_size_nm[0] * pixel_size_nm[1])
    return pixel_size_nm[0] / unit, pixel_size_nm[1] / unit


def splines_for(samples: MapSamples, kernel_size: int, aspect: tuple[float, float], stretch: Array | None = None) -> RadialSplines:
    """Return the radial basis that reaches as far as the map sees the kernel, or its tails matter; the samples are in its coordinates."""
    longest = 1.0 if stretch is None else float(np.exp(np.hypot(*stretch)))
    corner = np.hypot(longest * aspect[0], longest * aspect[1]) * (kernel_size // 2 + 1)
    return RadialSplines(_STEP_PX, min(furthest_offset(samples), max(_LEAST_RADIUS_PX, corner)))


def noise_floor(values: NDArray[np.float32]) -> float:
    """Return the least noise variance that the splines can tell from their own error on this map."""
    return _RELATIVE_FLOOR**2 * float(np.nanvar(values))
