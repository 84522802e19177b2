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
from qpi_core.solvers.harmonic.answer import harmonic_solution, superposition
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate, low_rank_factor
from qpi_core.solvers.harmonic.equations.normal_equations import StoredDesign
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
    """

    models: tuple[HarmonicModel, ...]
    background: float
    variance: float
    widening: tuple[float, ...]


def solve_joint_harmonic(
    values: NDArray[np.float32], classes: Sequence[DefectClass], kernel_size: int, pixel_size_nm: tuple[float, float] | None = None
) -> tuple[JointModel, list[KernelSolution]]:
    """Return the joint model and one solution a class; the arguments are checked already, the map is not constant."""
    joint = fit_jointly(values, classes, kernel_size, pixel_size_nm)
    noise = float(np.sqrt(max(joint.variance - joint.models[0].floor, 0.0)))
    solutions = []
    for model, one, widening in zip(joint.models, classes, joint.widening, strict=True):
        solution = harmonic_solution(model, kernel_size, pixel_size_nm, len(one.positions))
        image = superposition(model, (values.shape[0], values.shape[1]))
        details = {**solution.details, "widening_by_other_classes": widening}
        solutions.append(replace(solution, background=joint.background, noise_sigma=noise, superposition=image, details=details))
    return joint, solutions


def fit_jointly(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
) -> JointModel:
    """Return the models of all classes at a maximum of the joint evidence; it does not depend on the order of the classes."""
    ranks = sorted(range(len(classes)), key=lambda k: _rank(classes[k]))
    ordered = [classes[k] for k in ranks]
    starts = _open(values, ordered, kernel_size, pixel_size_nm, symmetry_orders)
    chosen = _choose(starts, symmetry_orders)
    joint = _finish(values, ordered, starts, chosen, kernel_size)
    back = np.argsort(ranks)
    return replace(joint, models=tuple(joint.models[k] for k in back), widening=tuple(joint.widening[k] for k in back))


def _rank(one: DefectClass) -> tuple[float, list[list[float]]]:
    """Return what the classes are sorted by: the strongest first, whatever its label."""
    return -float(np.sum(one.weights**2)), sorted(one.positions.tolist())


@dataclass(frozen=True)
class _Start:
    """The design of one class on the pixels that choose the orders."""

    samples: MapSamples
    splines: RadialSplines
    design: StoredDesign
    aspect: tuple[float, float]
    floor: float


def _samples_of(samples: MapSamples, one: DefectClass, aspect: tuple[float, float]) -> MapSamples:
    return replace(samples, positions=one.positions * [aspect[1], aspect[0]], weights=one.weights)


def _open(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...],
) -> list[_Start]:
    aspect, floor = solver_aspect(pixel_size_nm), noise_floor(values)
    everywhere, weights = (np.concatenate([getattr(one, name) for one in classes]) for name in ("positions", "weights"))
    common = take_samples(values, everywhere, weights, aspect, most=SELECTION_PIXELS)
    starts = []
    for one in classes:
        samples = _samples_of(common, one, aspect)
        splines = splines_for(samples, kernel_size, aspect)
        starts.append(_Start(samples, splines, StoredDesign(samples, splines, tuple(sorted({0, *symmetry_orders}))), aspect, floor))
    return starts


def _choose(starts: list[_Start], symmetry_orders: tuple[int, ...]) -> list[ChosenOrders]:
    """Return the angular orders of every class, each chosen with the others marginalised, over and over."""
    found: dict[int, ChosenOrders] = {}
    noise = np.inf
    for sweep in range(_QUICK_SWEEPS + 1):
        for index, start in enumerate(starts):
            others = [_columns(starts[k], one, noise) for k, one in found.items() if k != index]
            design = start.design.past(np.concatenate(others, axis=1)) if others else start.design
            selection = select_orders(design, start.splines.nodes, symmetry_orders, start.floor)
            begun = HarmonicStart(start.samples, start.splines, design, selection, start.aspect, start.floor)
            found[index] = choose_orders(begun, symmetry_orders, None if sweep == _QUICK_SWEEPS else False)
            noise = found[index].fit.evidence.variance
    return [found[index] for index in range(len(starts))]


def _columns(start: _Start, one: ChosenOrders, noise: float) -> Array:
    """Return a class's patterns with its prior, (pixels, m), in units of the noise variance that is known by now."""
    point = one.fit.hyperparameters.rescaled(one.fit.evidence.variance / noise)
    factor = low_rank_factor(point.radial.covariance(start.splines.nodes))
    if one.equations is not None and one.equations.subspace is not None:
        factor = one.equations.subspace @ (one.equations.subspace.T @ factor)
    return start.design.prior_columns(point.orders, point.mixing(), factor)


def _finish(
    values: NDArray[np.float32], classes: Sequence[DefectClass], starts: list[_Start], chosen: list[ChosenOrders], kernel_size: int
) -> JointModel:
    """Refine all hyperparameters on all pixels and return the models at the joint optimum."""
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
    equations = accumulate(bases)
    fits = _sweep(equations, [choice.fit for choice in chosen], floor)
    points = [fit.hyperparameters for fit in fits]
    models, widening = [], []
    for index, (basis, choice) in enumerate(zip(bases, chosen, strict=True)):
        own, nodes, point = equations.marginalised(index, points), basis.splines.nodes, points[index]
        evidence = evaluate(own, nodes, point.radial, point.mixing(), floor)
        fit = Fit(point, evidence, fits[index].cost, fits[index].evaluations)
        model = HarmonicModel(basis.samples, basis.splines, own, fit, choice.selection, aspect, floor, choice.excess)
        models.append(model)
        widening.append(_widening(model, equations, index, kernel_size))
    background = equations.background([model.fit.evidence.profiles for model in models])
    return JointModel(tuple(models), background, models[0].fit.evidence.variance, tuple(widening))


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
