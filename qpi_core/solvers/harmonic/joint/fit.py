"""Kernels of several classes of defects in one map by empirical-Bayes circular harmonics, solved together.

Every class has the prior of the harmonic solver with hyperparameters of its own. They are raised in turn by the marginal
likelihood of the whole map, the kernels of the other classes integrated out (see equations.accumulation), so the end is a maximum of
the joint evidence, and means and error bars are those of one joint linear-Gaussian solve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.solution import KernelSolution
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.answer import harmonic_solution, superposition
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, accumulate
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.equations.whitened_equations import accumulate_whitened
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.joint.start import ClassStart, DefectClass, choose_jointly, class_columns, open_classes, samples_of
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.next_orders import with_next_orders
from qpi_core.solvers.harmonic.orders.radial_prior import shape_profiles
from qpi_core.solvers.harmonic.orders.significant_orders import ChosenOrders
from qpi_core.solvers.harmonic.posterior.kernel import Renderer, kernel_deviation, laplace
from qpi_core.solvers.harmonic.search import Fit, Hyperparameters, refine
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.harmonic.stretch import Stretch, describe_stretch

Array = NDArray[np.float64]

_FINAL_SWEEPS = 3
_SETTLED = 0.02
"""Change of the log evidence in a sweep below which the sweeps end."""


@dataclass(frozen=True)
class JointModel:
    """The models of all classes, each on equations in which the others are marginalised.

    Attributes:
        models: one a class, in the order given.
        background: the constant b.
        variance: noise variance, the floor included.
        widening: how much wider a class's error bars are for not knowing the other kernels, as a ratio, one a class.
        log_evidence: of the map, all kernels integrated out, with the price of their hyperparameters (and stretches) taken off.
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
    given = [
        ClassBasis(
            samples_of(common, one, aspect, start.stretch),
            start.splines,
            choice.fit.hyperparameters.orders,
            None if choice.equations is None else choice.equations.subspace,
        )
        for one, start, choice in zip(classes, starts, chosen, strict=True)
    ]

    def accumulated(orders: Sequence[tuple[int, ...]]) -> MapEquations:
        bases = [replace(basis, orders=own) for basis, own in zip(given, orders, strict=True)]
        return accumulate(bases) if whitener is None else accumulate_whitened(bases, *common.places, whitener)

    equations = accumulated([basis.orders for basis in given])
    fits = sweep(equations, [choice.fit for choice in chosen], floor)
    if common.values.size > starts[0].samples.values.size:
        equations, fits = _with_next_orders(accumulated, equations, fits, floor)
    ended, models, widening = list(chosen), [], []
    for index, (own, fit) in enumerate(at_joint_optimum(equations, fits, floor)):
        basis, choice = equations.bases[index], chosen[index]
        ended[index] = replace(choice, fit=fit)
        known = (own, fit, choice.selection, aspect, floor, choice.excess)
        model = HarmonicModel(basis.samples, basis.splines, *known, whitener=whitener)
        models.append(model)
        widening.append(_widening(model, equations, index, kernel_size, starts[index].frame))
    models = [
        model if start.stretch is None else replace(model, stretch=_described(starts, ended, index, equations.pixels))
        for index, (start, model) in enumerate(zip(starts, models, strict=True))
    ]
    background = equations.background([model.fit.evidence.profiles for model in models])
    points = [fit.hyperparameters for fit in fits]
    penalty = sum(fit.cost - fit.evidence.cost for fit in fits)
    searched = sum(point.searched for point in points) + 2 * sum(start.stretch is not None for start in starts)
    price = 0.5 * searched * float(np.log(equations.pixels))
    log_evidence = -equations.joint_cost(points, floor) - penalty - price
    return JointModel(tuple(models), background, models[0].fit.evidence.variance, tuple(widening), log_evidence)


def _described(starts: Sequence[ClassStart], ended: Sequence[ChosenOrders], index: int, pixels: int) -> Stretch:
    """Return the stretch of a class with its covariance, the kernels of all classes marginalised."""
    noise = ended[index].fit.evidence.variance
    others = [class_columns(starts[k], one, noise) for k, one in enumerate(ended) if k != index]
    own, chosen = starts[index], ended[index]
    seen = replace(own, design=own.design.past(np.concatenate(others, axis=1))) if others else own
    return describe_stretch(seen.begun(chosen.selection), chosen.fit, pixels)


def sweep(
    equations: MapEquations, fits: Sequence[Fit], floor: float, layer: int = 0, sweeps: int = _FINAL_SWEEPS, shaped: bool = True
) -> list[Fit]:
    """Return the fits of all classes at a joint optimum, all in units of one noise variance.

    Args:
        equations: of the map.
        fits: to begin with, one a class.
        floor: least noise variance.
        layer: its place among the layers.
        sweeps: rounds over the classes at most; a single one searches less far, and shapes no profiles.
        shaped: whether the first sweep compares shapes of the profiles, too.
    """
    noise = fits[-1].evidence.variance
    points = [fit.hyperparameters.rescaled(fit.evidence.variance / noise) for fit in fits]
    found, last = list(fits), np.inf
    for attempt in range(sweeps):
        for index, basis in enumerate(equations.bases):
            own, nodes = equations.marginalised(index, points, layer), basis.splines.nodes
            fit = refine(own, nodes, points[index], floor, rounds=min(2, sweeps))
            if shaped and attempt == 0:
                fit = shape_profiles(own, nodes, fit, floor)
            found[index], points = fit, _in_units_of(points, noise / fit.evidence.variance)
            points[index], noise = fit.hyperparameters, fit.evidence.variance
        if last - found[-1].cost < _SETTLED and attempt:
            break
        last = found[-1].cost
    return [replace(fit, hyperparameters=point) for fit, point in zip(found, points, strict=True)]


def at_joint_optimum(equations: MapEquations, fits: Sequence[Fit], floor: float, layer: int = 0) -> list[tuple[NormalEquations, Fit]]:
    """Return of every class the equations, the other kernels marginalised at their hyperparameters, and its fit to these.

    The fits were found while the others were still on their way; here all are where they ended, in units of one noise variance.
    """
    points = [fit.hyperparameters for fit in fits]
    found = []
    for index, (basis, fit) in enumerate(zip(equations.bases, fits, strict=True)):
        own = equations.marginalised(index, points, layer)
        evidence = evaluate(own, basis.splines.nodes, fit.hyperparameters.radial, fit.hyperparameters.mixing(), floor)
        found.append((own, replace(fit, evidence=evidence, cost=fit.cost - fit.evidence.cost + evidence.cost)))
    return found


def _with_next_orders(
    accumulated: Callable[[Sequence[tuple[int, ...]]], MapEquations], equations: MapEquations, fits: list[Fit], floor: float
) -> tuple[MapEquations, list[Fit]]:
    """Return equations and fits at the joint optimum with the further orders that all pixels pay for, class by class."""
    points = [fit.hyperparameters for fit in fits]
    orders, longer = [basis.orders for basis in equations.bases], list(fits)
    for index, basis in enumerate(equations.bases):

        def with_orders(own: tuple[int, ...], index: int = index) -> NormalEquations:
            return accumulated([*orders[:index], own, *orders[index + 1 :]]).marginalised(index, points)

        own = equations.marginalised(index, points)
        _, longer[index] = with_next_orders(with_orders, own, basis.splines.nodes, fits[index], floor)
    found = [fit.hyperparameters.orders for fit in longer]
    if found == orders:
        return equations, fits
    wider = accumulated(found)
    return wider, sweep(wider, longer, floor)


def _in_units_of(points: list[Hyperparameters], ratio: float) -> list[Hyperparameters]:
    return [point.rescaled(ratio) for point in points]


def _widening(model: HarmonicModel, equations: MapEquations, index: int, kernel_size: int, frame: SolverFrame) -> float:
    """Return the ratio of a class's mean posterior deviation to what it would be were the other kernels known."""
    nodes, fit = model.splines.nodes, model.fit
    window = Renderer(frame.grid(kernel_size), model.splines, fit.hyperparameters.orders)
    spread = laplace(model.equations, nodes, fit, model.floor)
    none = replace(spread, profile_slopes=np.zeros_like(spread.profile_slopes))
    pair = [kernel_deviation(one, nodes, fit, none, window) for one in (model.equations, equations.alone(index))]
    return float(np.sqrt(np.mean(pair[0] ** 2) / np.mean(pair[1] ** 2)))
