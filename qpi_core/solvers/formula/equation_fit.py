"""Least-squares fits of Eq. 7 of the paper to a map, one formula a class of defects.

The fit runs on the harmonic normal equations (a few hundred numbers whatever the map's size), then ends with exact steps on the map
itself where that is affordable. With several classes all parameters are fitted together, so that what two classes could both explain
widens the error bars of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import least_squares

from qpi_core.solvers.formula.equation_seven import EquationSeven
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate, superpose
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.model import HarmonicModel

Array = NDArray[np.float64]

_EXACT_PAIRS = 4_000_000
_PAIRS_AT_ONCE = 400_000
_EXACT_STEPS = 4
_PHASES = 12


@dataclass(frozen=True)
class EquationFit:
    """Fitted formulas.

    Attributes:
        kernels: the formula with its best parameters, one a class.
        covariance: (5 classes, 5 classes) of their vectors; zero for what is not fitted.
        misfit: sum of squares that they leave of the map.
        background: constant b.
    """

    kernels: tuple[EquationSeven, ...]
    covariance: Array
    misfit: float
    background: float

    @property
    def searched(self) -> int:
        """Number of fitted parameters."""
        return sum(len(one.free) for one in self.kernels)

    def part(self, index: int) -> Array:
        """Return the covariance of the vector of a class, (5, 5), those of the others marginalised."""
        own = slice(5 * index, 5 * index + 5)
        return self.covariance[own, own]

    def log_evidence(self, pixels: int, floor: float) -> float:
        """Return the log evidence of so many pixels, floor the least noise variance, with the price of the parameters taken off."""
        price = 2.5 * len(self.kernels) * float(np.log(pixels))
        return -0.5 * (pixels - 1) * float(np.log(self.misfit + pixels * floor)) - price


def fit_equation_seven(model: HarmonicModel, symmetry_orders: tuple[int, ...]) -> EquationFit:
    """Return the best fit of Eq. 7, over the orders too where the harmonic model is not of the form {0, n}.

    Under a noise model it is the fit to the whitened normal equations, which hold all but what the radial splines miss.
    """
    begun = _begun(model, symmetry_orders)
    return begun if model.whitener is not None else _polish(begun, [model.samples])


def _begun(model: HarmonicModel, symmetry_orders: tuple[int, ...]) -> EquationFit:
    """Return the best fit to the normal equations of a class."""
    found = model.fit.hyperparameters.orders
    if len(found) <= 2 and found[-1] != 1 and model.equations.subspace is None:
        candidates = {found[-1]: model.equations}
    else:
        candidates = {order: accumulate([_basis(model, (0, order) if order else (0,))]).alone() for order in symmetry_orders}
    fits = [_fit_normal_equations(model, equations, order) for order, equations in candidates.items()]
    return min(fits, key=lambda fit: fit.misfit)


def fit_equations_jointly(models: Sequence[HarmonicModel], symmetry_orders: tuple[int, ...]) -> EquationFit:
    """Return the best fit of one Eq. 7 a class to a map, all parameters together; the models are those of one joint solve.

    Each class begins with the fit to what the harmonic kernels of the others leave.
    """
    images = [superpose([_basis(model, model.fit.hyperparameters.orders)], [model.fit.evidence.profiles]) for model in models]
    kernels: list[EquationSeven] = []
    for index, model in enumerate(models):
        others = sum((image for k, image in enumerate(images) if k != index), start=np.zeros(model.samples.values.size))
        samples = replace(model.samples, values=model.samples.values - others)
        equations = accumulate([ClassBasis(samples, model.splines, model.fit.hyperparameters.orders)]).alone()
        kernels.append(_begun(replace(model, samples=samples, equations=equations), symmetry_orders).kernels[0])
    fit = _fit_together(models, kernels)
    return _polish(fit, [model.samples for model in models])


def _fit_normal_equations(model: HarmonicModel, equations: NormalEquations, order: int) -> EquationFit:
    """Return the fit on normal equations: the misfit is a quadratic form of the profiles, written as a sum of squares."""
    nodes = model.splines.nodes
    size = len(equations.projection) * nodes.size
    whiten, target = _as_squares(equations.gram.transpose(0, 2, 1, 3).reshape(size, size), equations.projection.ravel())
    rest = max(equations.total - float(target @ target), 0.0)
    starts = _starts(model, order)
    free = starts[0].free

    def at(vector: Array) -> EquationSeven:
        full = starts[0].vector.copy()
        full[free] = vector
        return EquationSeven(order, full)

    def residual(vector: Array) -> Array:
        return np.asarray(whiten @ at(vector).profiles(nodes)[0].ravel() - target)

    def jacobian(vector: Array) -> Array:
        return np.asarray(whiten @ at(vector).profiles(nodes)[1][free].reshape(len(free), -1).T)

    scaled = [_best_amplitude(start, whiten, target, nodes) for start in starts]
    scaled.sort(key=lambda start: float(np.sum(residual(start.vector[free]) ** 2)))
    method = "lm" if target.size >= len(free) else "trf"
    solutions = [
        least_squares(residual, start.vector[free], jac=jacobian, method=method, x_scale="jac", max_nfev=200) for start in scaled[:4]
    ]
    best = min(solutions, key=lambda solution: float(solution.cost))
    kernel = at(np.asarray(best.x))
    misfit = 2 * float(best.cost) + rest
    covariance = _covariance(np.asarray(best.jac), misfit / max(equations.pixels - len(free) - 1, 1), [kernel])
    return EquationFit((kernel,), covariance, misfit, equations.background(kernel.profiles(nodes)[0]))


def _fit_together(models: Sequence[HarmonicModel], kernels: Sequence[EquationSeven]) -> EquationFit:
    """Return the fit of all classes on their common normal equations, beginning with these kernels."""
    equations = accumulate([_basis(model, (0, one.order) if one.order else (0,)) for model, one in zip(models, kernels, strict=True)])
    whiten, target = _as_squares(equations.gram, equations.projections[0])
    rest = max(float(equations.totals[0]) - float(target @ target), 0.0)
    edges = np.cumsum([0, *(len(one.free) for one in kernels)])

    def at(vector: Array) -> list[EquationSeven]:
        return [_moved(one, vector[a:b]) for one, a, b in zip(kernels, edges[:-1], edges[1:], strict=True)]

    def profiles(vector: Array) -> list[tuple[Array, Array]]:
        return [one.profiles(model.splines.nodes) for one, model in zip(at(vector), models, strict=True)]

    def residual(vector: Array) -> Array:
        return np.asarray(whiten @ np.concatenate([values.ravel() for values, _ in profiles(vector)]) - target)

    def jacobian(vector: Array) -> Array:
        blocks = [slopes[one.free].reshape(len(one.free), -1) for one, (_, slopes) in zip(kernels, profiles(vector), strict=True)]
        return np.asarray(whiten @ block_diag(*blocks).T)

    start = np.concatenate([one.vector[one.free] for one in kernels])
    best = least_squares(residual, start, jac=jacobian, x_scale="jac", max_nfev=200)
    found, misfit = at(np.asarray(best.x)), 2 * float(best.cost) + rest
    covariance = _covariance(np.asarray(best.jac), misfit / max(equations.pixels - len(start) - 1, 1), found)
    return EquationFit(tuple(found), covariance, misfit, equations.background([values for values, _ in profiles(np.asarray(best.x))]))


def _as_squares(gram: Array, projection: Array) -> tuple[Array, Array]:
    """Return W, (k, size), and t, (k,), with |W g - t|^2 = g^T gram g - 2 g^T projection + t^T t."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values[-1]
    root = np.sqrt(values[kept])
    return (vectors[:, kept] * root).T, (vectors[:, kept].T @ projection) / root


def _basis(model: HarmonicModel, orders: tuple[int, ...]) -> ClassBasis:
    return ClassBasis(model.samples, model.splines, orders)


def _moved(kernel: EquationSeven, free: Array) -> EquationSeven:
    """Return a kernel with other values of its fitted parameters."""
    vector = kernel.vector.copy()
    vector[kernel.free] = free
    return replace(kernel, vector=vector)


def _starts(model: HarmonicModel, order: int) -> list[EquationSeven]:
    """Return starting points over the phases, with the harmonic fit's decay and half its wave vectors (and twice, and half)."""
    point = model.fit.hyperparameters
    decay = float(np.exp(point.radial.log_decay))
    wavenumbers = [0.5 * float(q) * factor for q in point.radial.wavenumbers for factor in (1.0, 0.97, 1.03, 0.5, 2.0)]
    turns = np.arange(4) * np.pi / 4 + 0.1 if order else [np.pi / 2]
    if order and point.orders == (0, order) and point.mixing_kind == "shared":
        mixing = point.mixing()[:, 0] * np.sign(point.mixing()[0, 0] or 1.0)
        orientation = 0.5 * np.arctan2(mixing[2], -mixing[1])
        turns = [orientation, orientation + np.pi / 2]
    phases = np.arange(_PHASES) * np.pi / _PHASES
    return [
        EquationSeven(order, np.array([1.0, turn, phase, wavenumber, decay]))
        for wavenumber in wavenumbers
        for turn in turns
        for phase in phases
    ]


def _best_amplitude(start: EquationSeven, whiten: Array, target: Array, nodes: Array) -> EquationSeven:
    shape = whiten @ start.profiles(nodes)[0].ravel()
    vector = start.vector.copy()
    vector[0] *= float(shape @ target) / max(float(shape @ shape), 1e-300)
    return replace(start, vector=vector)


def _covariance(jacobian: Array, variance: float, kernels: Sequence[EquationSeven]) -> Array:
    """Return the covariance of the parameters of all kernels, (5 classes, 5 classes), from the slopes by the fitted ones."""
    free = _free_of(kernels)
    full = np.zeros((5 * len(kernels), 5 * len(kernels)))
    full[np.ix_(free, free)] = variance * np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
    return full


def _free_of(kernels: Sequence[EquationSeven]) -> list[int]:
    """Return the places of the fitted parameters in the vectors of all kernels, one below the other."""
    return [5 * index + place for index, one in enumerate(kernels) for place in one.free]


def _polish(fit: EquationFit, classes: Sequence[MapSamples]) -> EquationFit:
    """Return the fit after Gauss-Newton steps on the map, the formulas evaluated at every pixel and defect, where that is affordable."""
    values = classes[0].values
    if values.size * sum(len(samples.positions) for samples in classes) > _EXACT_PAIRS:
        return fit
    free = _free_of(fit.kernels)
    kernels, best = fit.kernels, None
    centred = values - values.mean()
    for _ in range(_EXACT_STEPS):
        parts = [_predict(kernel, samples) for kernel, samples in zip(kernels, classes, strict=True)]
        predicted = sum((one for one, _ in parts[1:]), start=parts[0][0])
        slopes = np.concatenate([one for _, one in parts])
        residual = centred - (predicted - predicted.mean())
        jacobian = (slopes - slopes.mean(axis=1, keepdims=True))[free].T
        misfit = float(residual @ residual)
        if best is not None and misfit > best.misfit * (1 - 1e-9):
            return best if misfit > best.misfit else replace(best, kernels=kernels, misfit=misfit)
        covariance = _covariance(jacobian, misfit / max(centred.size - len(free) - 1, 1), kernels)
        best = EquationFit(kernels, covariance, misfit, float(values.mean() - predicted.mean()))
        step, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
        vector = np.concatenate([kernel.vector for kernel in kernels])
        vector[free] += step
        kernels = tuple(replace(one, vector=part) for one, part in zip(kernels, np.split(vector, len(kernels)), strict=True))
    assert best is not None
    return best


def superposition_of_fit(fit: EquationFit, model: HarmonicModel, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return A*M of a fit of one class, (height, width), zero where not measured.

    The formula is evaluated at the true offsets, on large maps through the radial splines of its model.
    """
    image = np.zeros(shape, dtype=np.float32)
    kernel, samples = fit.kernels[0], model.samples
    if samples.values.size * len(samples.positions) > _EXACT_PAIRS:
        basis = _basis(model, (0, kernel.order) if kernel.order else (0,))
        image[samples.places] = superpose([basis], [kernel.profiles(model.splines.nodes)[0]])
    else:
        image[samples.places] = _predict(kernel, samples)[0]
    return image


def _predict(kernel: EquationSeven, samples: MapSamples) -> tuple[Array, Array]:
    """Return the sum over defects at every sampled pixel and its derivatives, (5, pixels)."""
    predicted, slopes = np.empty(samples.x.size), np.empty((5, samples.x.size))
    chunk = max(1, _PAIRS_AT_ONCE // len(samples.positions))
    for start in range(0, samples.x.size, chunk):
        part = slice(start, start + chunk)
        dx = samples.x[part, None] - samples.positions[:, 0]
        dy = samples.y[part, None] - samples.positions[:, 1]
        value, slope = kernel.values(dx, dy)
        predicted[part] = value @ samples.weights
        slopes[:, part] = slope @ samples.weights
    return predicted, slopes
