"""Where the joint solve of several classes of defects begins: their designs on the same pixels, and the choice of their orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.frame import SolverFrame, stretch_matrix
from qpi_core.solvers.harmonic.orders.selection import Selection, select_orders
from qpi_core.solvers.harmonic.orders.significant_orders import ChosenOrders, choose_orders
from qpi_core.solvers.harmonic.start import SELECTION_PIXELS, SYMMETRY_ORDERS, HarmonicStart, noise_floor, solver_aspect, splines_for

Array = NDArray[np.float64]

_QUICK_SWEEPS = 2
"""Rounds with the simple model of every class before more orders may join: they would take the other patterns for kernel."""


@dataclass(frozen=True)
class DefectClass:
    """The defects of one class.

    Attributes:
        positions: (n, 2) columns (x, y) in px.
        weights: (n,) amplitudes.
    """

    positions: Array
    weights: Array


@dataclass(frozen=True)
class ClassStart:
    """The design of one class on the pixels that choose the orders.

    Attributes:
        samples: the pixels, with the defects of this class.
        splines: radial basis.
        design: of all candidate orders; whitened where the noise is not white.
        aspect: (dy, dx) of a pixel in solver units.
        floor: least noise variance.
        stretch: (2,) numbers of the stretch of the class's coordinates (see harmonic.stretch); None is nothing.
    """

    samples: MapSamples
    splines: RadialSplines
    design: StoredDesign
    aspect: tuple[float, float]
    floor: float
    stretch: Array | None = None

    @property
    def frame(self) -> SolverFrame:
        """The coordinates of samples and kernel."""
        return SolverFrame(self.aspect, None if self.stretch is None else stretch_matrix(self.stretch))

    def begun(self, selection: Selection) -> HarmonicStart:
        """Return the first stage of the class with a selection of its orders."""
        return HarmonicStart(self.samples, self.splines, self.design, selection, self.aspect, self.floor, self.stretch)


def samples_of(samples: MapSamples, one: DefectClass, aspect: tuple[float, float], stretch: Array | None = None) -> MapSamples:
    """Return samples that were taken without a stretch as those of a class, in its own coordinates."""
    own = replace(samples, positions=one.positions * [aspect[1], aspect[0]], weights=one.weights)
    return own if stretch is None else own.stretched(stretch_matrix(stretch))


def open_classes(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    most: int | None = SELECTION_PIXELS,
    stretches: Sequence[Array | None] | None = None,
) -> list[ClassStart]:
    """Return the designs of all classes on at most so many pixels, the same for all; None is all that were measured.

    With stretches, the numbers of each class's (see harmonic.stretch), the classes have coordinates of their own.
    """
    aspect, floor = solver_aspect(pixel_size_nm), noise_floor(values)
    everywhere, weights = (np.concatenate([getattr(one, name) for one in classes]) for name in ("positions", "weights"))
    common = take_samples(values, everywhere, weights, aspect, most=most)
    starts = []
    for one, stretch in zip(classes, stretches or [None] * len(classes), strict=True):
        samples = samples_of(common, one, aspect, stretch)
        splines = splines_for(samples, kernel_size, aspect, stretch)
        design = StoredDesign(samples, splines, tuple(sorted({0, *symmetry_orders})))
        starts.append(ClassStart(samples, splines, design, aspect, floor, stretch))
    return starts


def choose_jointly(
    starts: Sequence[ClassStart],
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    known: Sequence[ChosenOrders] = (),
    sweeps: int = _QUICK_SWEEPS + 1,
    extended: bool = True,
) -> list[ChosenOrders]:
    """Return the angular orders of every class, each chosen with the others marginalised, over and over.

    Args:
        starts: one a class.
        symmetry_orders: candidates.
        known: a choice to begin with, one a class.
        sweeps: number of rounds.
        extended: whether more orders than those of one symmetry may join in the last round.
    """
    found = dict(enumerate(known))
    noise = known[-1].fit.evidence.variance if known else np.inf
    for sweep in range(sweeps):
        for index, start in enumerate(starts):
            others = [class_columns(starts[k], one, noise) for k, one in found.items() if k != index]
            design = start.design.past(np.concatenate(others, axis=1)) if others else start.design
            selection = select_orders(design, start.splines.nodes, symmetry_orders, start.floor)
            begun = replace(start, design=design).begun(selection)
            found[index] = choose_orders(begun, symmetry_orders, None if extended and sweep == sweeps - 1 else False)
            noise = found[index].fit.evidence.variance
    return [found[index] for index in range(len(starts))]


def class_columns(start: ClassStart, one: ChosenOrders, noise: float, tolerance: float = 1e-8) -> Array:
    """Return a class's patterns with its prior, (pixels, m), in units of the noise variance that is known by now.

    What the prior has below a tolerance, relative to its largest variance, is left out.
    """
    point = one.fit.hyperparameters.rescaled(one.fit.evidence.variance / noise)
    factor = low_rank_factor(point.radial.covariance(start.splines.nodes), tolerance)
    if one.equations is not None and one.equations.subspace is not None:
        factor = one.equations.subspace @ (one.equations.subspace.T @ factor)
    return start.design.prior_columns(point.orders, point.mixing(), factor)
