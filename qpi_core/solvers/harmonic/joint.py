"""Kernels of several classes of defects in one map by empirical-Bayes circular harmonics, solved together.

Every class has the prior of the harmonic solver with hyperparameters of its own. They are raised in turn by the marginal
likelihood of the whole map, the kernels of the other classes integrated out (see equations.accumulation), so the end is a maximum of
the joint evidence, and means and error bars are those of one joint linear-Gaussian solve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.solution import KernelSolution
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.answer import harmonic_solution, superposition
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate, low_rank_factor
from qpi_core.solvers.harmonic.equations.normal_equations import StoredDesign
from qpi_core.solvers.harmonic.equations.whitened_equations import accumulate_whitened
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.radial_prior import shape_profiles
from qpi_core.solvers.harmonic.orders.selection import select_orders
from qpi_core.solvers.harmonic.orders.significant_orders import ChosenOrders, choose_orders
from qpi_core.solvers.harmonic.posterior import KernelGrid, Renderer, kernel_deviation, laplace
from qpi_core.solvers.harmonic.search import Fit, Hyperparameters, refine
from qpi_core.solvers.harmonic.start import SELECTION_PIXELS, SYMMETRY_ORDERS, HarmonicStart, noise_floor, solver_aspect, splines_for

Array = NDArray[np.float64]

_QUICK_SWEEPS = 2
"""Rounds with the simple model of every class before more orders may join: they would take the other patterns for kernel."""
_FINAL_SWEEPS = 3
_SETTLED = 0.02
"""Change of the log evidence in a sweep below which the sweeps end."""


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
class JointModel:
    """The models of all classes, each on equations in which the others are marginalised.

    Attributes:
        models: one a class, in the order given.
        background: the constant b.
        variance: noise variance, the floor included.
        widening: how much wider a class's error bars are for not knowing the other kernels, as a ratio, one a class.
        log_evidence: of the map, all kernels integrated out, with the price of their hyperparameters taken off.
    """

    models: tuple[HarmonicModel, ...]
    background: float
    variance: float
    widening: tuple[float, ...]
    log_evidence: float


def joint_solutions(
    joint: JointModel, classes: Sequence[DefectClass], shape: tuple[int, int], kernel_size: int, pixel_size_nm: tuple[float, float] | None
) -> list[KernelSolution]:
    """Return one solution a class of a joint model of a map of this shape."""
    noise = float(np.sqrt(max(joint.variance - joint.models[0].floor, 0.0)))
    solutions = []
    for model, one, widening in zip(joint.models, classes, joint.widening, strict=True):
        solution = harmonic_solution(model, kernel_size, pixel_size_nm, len(one.positions))
        details = {**solution.details, "widening_by_other_classes": widening}
        image = superposition(model, shape)
        solutions.append(replace(solution, background=joint.background, noise_sigma=noise, superposition=image, details=details))
    return solutions


def fit_jointly(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
) -> JointModel:
    """Return the models of all classes at a maximum of the joint evidence; it does not depend on the order of the classes."""
    ranks = ranked_classes(classes)
    ordered = [classes[k] for k in ranks]
    starts = open_classes(values, ordered, kernel_size, pixel_size_nm, symmetry_orders)
    chosen = choose_jointly(starts, symmetry_orders)
    return in_their_order(finish_jointly(values, ordered, starts, chosen, kernel_size), ranks)


def ranked_classes(classes: Sequence[DefectClass]) -> list[int]:
    """Return the places of the classes in the order in which they are solved: nothing depends on the order that they are given in."""
    return sorted(range(len(classes)), key=lambda k: _rank(classes[k]))


def in_their_order(joint: JointModel, ranks: Sequence[int]) -> JointModel:
    """Return the model of ranked classes in the order in which these were given."""
    back = np.argsort(ranks)
    return replace(joint, models=tuple(joint.models[k] for k in back), widening=tuple(joint.widening[k] for k in back))


def _rank(one: DefectClass) -> tuple[float, list[list[float]]]:
    """Return what the classes are sorted by: the strongest first, whatever its label."""
    return -float(np.sum(one.weights**2)), sorted(one.positions.tolist())


@dataclass(frozen=True)
class ClassStart:
    """The design of one class on the pixels that choose the orders.

    Attributes:
        samples: the pixels, with the defects of this class.
        splines: radial basis.
        design: of all candidate orders; whitened where the noise is not white.
        aspect: (dy, dx) of a pixel in solver units.
        floor: least noise variance.
    """

    samples: MapSamples
    splines: RadialSplines
    design: StoredDesign
    aspect: tuple[float, float]
    floor: float


def _samples_of(samples: MapSamples, one: DefectClass, aspect: tuple[float, float]) -> MapSamples:
    return replace(samples, positions=one.positions * [aspect[1], aspect[0]], weights=one.weights)


def open_classes(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    most: int | None = SELECTION_PIXELS,
) -> list[ClassStart]:
    """Return the designs of all classes on at most so many pixels, the same for all; None is all that were measured."""
    aspect, floor = solver_aspect(pixel_size_nm), noise_floor(values)
    everywhere, weights = (np.concatenate([getattr(one, name) for one in classes]) for name in ("positions", "weights"))
    common = take_samples(values, everywhere, weights, aspect, most=most)
    starts = []
    for one in classes:
        samples = _samples_of(common, one, aspect)
        splines = splines_for(samples, kernel_size, aspect)
        starts.append(ClassStart(samples, splines, StoredDesign(samples, splines, tuple(sorted({0, *symmetry_orders}))), aspect, floor))
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
            begun = HarmonicStart(start.samples, start.splines, design, selection, start.aspect, start.floor)
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


def finish_jointly(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    starts: Sequence[ClassStart],
    chosen: Sequence[ChosenOrders],
    kernel_size: int,
    whitener: Whitener | None = None,
) -> JointModel:
    """Refine all hyperparameters on all pixels and return the models at the joint optimum; the noise is white without a whitener."""
    aspect, floor = starts[0].aspect, starts[0].floor
    everywhere, weights = (np.concatenate([getattr(one, name) for one in classes]) for name in ("positions", "weights"))
    common = take_samples(values, everywhere, weights, aspect)
    bases = [
        ClassBasis(
            _samples_of(common, one, aspect),
            start.splines,
            choice.fit.hyperparameters.orders,
            None if choice.equations is None else choice.equations.subspace,
        )
        for one, start, choice in zip(classes, starts, chosen, strict=True)
    ]
    places = SolverFrame(aspect).indices(common)
    equations = accumulate(bases) if whitener is None else accumulate_whitened(bases, *places, whitener)
    fits = _sweep(equations, [choice.fit for choice in chosen], floor)
    points = [fit.hyperparameters for fit in fits]
    models, widening = [], []
    for index, (basis, choice) in enumerate(zip(bases, chosen, strict=True)):
        own, nodes, point = equations.marginalised(index, points), basis.splines.nodes, points[index]
        evidence = evaluate(own, nodes, point.radial, point.mixing(), floor)
        fit = Fit(point, evidence, fits[index].cost, fits[index].evaluations)
        known = (own, fit, choice.selection, aspect, floor, choice.excess)
        model = HarmonicModel(basis.samples, basis.splines, *known, whitener=whitener)
        models.append(model)
        widening.append(_widening(model, equations, index, kernel_size))
    background = equations.background([model.fit.evidence.profiles for model in models])
    penalty = sum(fit.cost - fit.evidence.cost for fit in fits)
    price = 0.5 * sum(point.searched for point in points) * float(np.log(equations.pixels))
    log_evidence = -equations.joint_cost(points, floor) - penalty - price
    return JointModel(tuple(models), background, models[0].fit.evidence.variance, tuple(widening), log_evidence)


def _sweep(equations: MapEquations, fits: list[Fit], floor: float) -> list[Fit]:
    """Return the fits at a joint optimum, all in units of one noise variance."""
    noise = fits[-1].evidence.variance
    points = [fit.hyperparameters.rescaled(fit.evidence.variance / noise) for fit in fits]
    fits, last = list(fits), np.inf
    for sweep in range(_FINAL_SWEEPS):
        for index, basis in enumerate(equations.bases):
            own, nodes = equations.marginalised(index, points), basis.splines.nodes
            fit = refine(own, nodes, points[index], floor, rounds=2)
            if sweep == 0:
                fit = shape_profiles(own, nodes, fit, floor)
            fits[index], points = fit, _in_units_of(points, noise / fit.evidence.variance)
            points[index], noise = fit.hyperparameters, fit.evidence.variance
        if last - fits[-1].cost < _SETTLED and sweep:
            break
        last = fits[-1].cost
    return [replace(fit, hyperparameters=point) for fit, point in zip(fits, points, strict=True)]


def _in_units_of(points: list[Hyperparameters], ratio: float) -> list[Hyperparameters]:
    return [point.rescaled(ratio) for point in points]


def _widening(model: HarmonicModel, equations: MapEquations, index: int, kernel_size: int) -> float:
    """Return the ratio of a class's mean posterior deviation to what it would be were the other kernels known."""
    nodes, fit = model.splines.nodes, model.fit
    window = Renderer(KernelGrid.of_size(kernel_size, model.aspect), model.splines, fit.hyperparameters.orders)
    spread = laplace(model.equations, nodes, fit, model.floor)
    none = replace(spread, profile_slopes=np.zeros_like(spread.profile_slopes))
    pair = [kernel_deviation(one, nodes, fit, none, window) for one in (model.equations, equations.alone(index))]
    return float(np.sqrt(np.mean(pair[0] ** 2) / np.mean(pair[1] ** 2)))
