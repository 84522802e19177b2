"""The harmonic model of a map: where all choices of the solver come together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.equations.whitened_equations import whitened_equations
from qpi_core.solvers.harmonic.frame import SolverFrame, stretch_matrix
from qpi_core.solvers.harmonic.orders.next_orders import with_next_orders
from qpi_core.solvers.harmonic.orders.radial_prior import shape_profiles
from qpi_core.solvers.harmonic.orders.selection import Selection, log_evidence
from qpi_core.solvers.harmonic.orders.significant_orders import choose_orders, doubtful_orders
from qpi_core.solvers.harmonic.posterior.remainder import Remainder, find_remainder
from qpi_core.solvers.harmonic.search import Fit, refine, without_dephasing
from qpi_core.solvers.harmonic.start import HarmonicStart, start_harmonics
from qpi_core.solvers.harmonic.stretch import Stretch, describe_stretch, find_stretch

Array = NDArray[np.float64]

LEAST_GAIN = 3.0
"""Log evidence over plain noise below which a map is said to show no kernel."""


@dataclass(frozen=True)
class HarmonicModel:
    """Everything that the solve found, for those that go on from it (parametric fit, position refinement).

    Attributes:
        samples: pixels and defects, in solver units (a square pixel of the mean area is 1).
        splines: radial basis.
        equations: normal equations of the chosen orders on all measured pixels.
        fit: best hyperparameters and the posterior there.
        selection: comparison of the symmetry orders.
        aspect: (dy, dx) of a pixel in solver units.
        floor: least noise variance.
        excess: the strongest projection of the residual onto an angular order over that of white noise; 1 where there is none.
        stretch: of the coordinates in which all of this holds; None is nothing.
        whitener: turns the noise of the map into white noise (the equations are those of the whitened map); None where it is white.
    """

    samples: MapSamples
    splines: RadialSplines
    equations: NormalEquations
    fit: Fit
    selection: Selection
    aspect: tuple[float, float]
    floor: float
    excess: float
    stretch: Stretch | None = None
    whitener: Whitener | None = None

    @cached_property
    def frame(self) -> SolverFrame:
        """The coordinates in which all of this holds."""
        return SolverFrame(self.aspect, None if self.stretch is None else self.stretch.matrix)

    @cached_property
    def remainder(self) -> Remainder | None:
        """What the kernel may hold beyond the model (see remainder.py), as if there were no other class; None where that is nothing."""
        return find_remainder(self.samples, self.splines, self.equations, self.fit, self.frame, self.whitener)

    def whitened(self, rows: Array) -> Array:
        """Return values at the samples, (pixels, k), as white noise sees them: about the mean, or through the whitener."""
        if self.whitener is None:
            return np.asarray(rows - rows.mean(axis=0))
        return self.whitener.at(*self.samples.places, rows)


def fit_harmonics(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...],
    extended: bool = True,
    start: HarmonicStart | None = None,
    stretchable: bool = False,
) -> HarmonicModel:
    """Return the model behind solve_harmonic; the arguments are checked already.

    With extended=False only the angular orders {0, n} with one shared profile are considered: enough while positions are uncertain.
    With stretchable the model may be one in stretched coordinates (see harmonic_stretch).
    """
    problem = (values, positions, kernel_size, weights, pixel_size_nm, symmetry_orders)
    begun = start or start_harmonics(*problem)
    chosen = None
    doubtful = extended and bool(doubtful_orders(begun, symmetry_orders))
    if extended and stretchable and begun.whitener is None and (doubtful or begun.stretch is not None):
        found = find_stretch(*problem, begun)
        if begun.stretch is not None:
            begun = start_harmonics(*problem)
            doubtful = bool(doubtful_orders(begun, symmetry_orders))
        if found is not None:
            stretched, pixels = choose_orders(found, symmetry_orders), begun.samples.values.size
            # Both or neither may carry more orders than the start: a stretch makes many of few, so that a warped contour that is not
            # stretched at all would lose against its own distortion.
            richer = stretched.fit.hyperparameters.orders != found.selection.best.hyperparameters.orders
            chosen = choose_orders(begun, symmetry_orders, doubtful) if richer or stretched.excess > 1 else None
            rival = begun.selection.best if chosen is None else chosen.fit
            if log_evidence(stretched.fit, pixels) - np.log(pixels) > log_evidence(rival, pixels):
                begun, chosen = found, stretched
    if chosen is None:
        chosen = choose_orders(begun, symmetry_orders, doubtful)
    splines, aspect, floor = begun.splines, begun.aspect, begun.floor
    fit, equations = chosen.fit, chosen.equations
    matrix = None if begun.stretch is None else stretch_matrix(begun.stretch)
    samples = take_samples(values, positions, weights, aspect, stretch=matrix)
    if samples.values.size != begun.samples.values.size:
        subspace = None if equations is None else equations.subspace

        def on_all_pixels(orders: tuple[int, ...]) -> NormalEquations:
            if begun.whitener is None:
                return accumulate([ClassBasis(samples, splines, orders, subspace)]).alone()
            return whitened_equations(samples, *samples.places, splines, orders, begun.whitener, subspace)

        equations = on_all_pixels(fit.hyperparameters.orders)
        fit = refine(equations, splines.nodes, fit.hyperparameters, floor)
        if extended:
            equations, fit = with_next_orders(on_all_pixels, equations, splines.nodes, fit, floor)
    elif equations is None:
        equations = begun.design.equations(fit.hyperparameters.orders)
    if extended:
        fit = shape_profiles(equations, splines.nodes, fit, floor, doubtful)
    else:
        fit = without_dephasing(equations, splines.nodes, fit, floor)
    stretch = None
    if begun.stretch is not None:
        stretch = describe_stretch(begun, fit, equations.pixels) if extended else Stretch.known(begun.stretch, fit.evidence.profiles)
    return HarmonicModel(samples, splines, equations, fit, chosen.selection, aspect, floor, chosen.excess, stretch, begun.whitener)


def model_evidence(model: HarmonicModel) -> float:
    """Return the log evidence of the map with the price of the hyperparameters and of a stretch taken off."""
    pixels = model.equations.pixels
    return log_evidence(model.fit, pixels) - (0.0 if model.stretch is None else float(np.log(pixels)))


def pattern_gain(model: HarmonicModel) -> float:
    """Return the log evidence of a kernel over that of noise about a constant."""
    pixels = model.equations.pixels
    nothing = 0.5 * (pixels - 1) * float(np.log(model.equations.total + (pixels - 1) * model.floor))
    return log_evidence(model.fit, pixels) + nothing
