"""Hyperparameters of the harmonic solver by maximum marginal likelihood.

A grid over wave vector and decay, with a strictly periodic profile (three functions an angular part, a closed form), finds
where to start; L-BFGS with the evidence's exact gradient goes on from there. Weak Gaussian priors on the logarithms keep
what the data do not determine from running away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.base.optimiser import minimise
from qpi_core.solvers.harmonic.equations.evidence import Evidence, RadialPrior, average_information, evaluate
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations

Array = NDArray[np.float64]

SHARED, INDEPENDENT = "shared", "independent"
_WAVENUMBER_STEP = 0.05
_WAVENUMBER_GRID = np.arange(0.1, 2.8, _WAVENUMBER_STEP)
_DECAY_COUNT = 7
_ZOOMS = 3
_LOG_COHERENCE_PRIOR = (np.log(30.0), 2.0)
_LOG_DECAY_PRIOR = (np.log(0.005), 3.0)
_LOGIT_PRIOR = (0.0, 2.0)
_LOG_POWER_PRIOR = (np.log(1.2), 0.5)
_RATIO_PRIOR = 1.5
_LOG_ENDLESS = float(np.log(3000.0))
"""Logarithm of a coherence length in px that is beyond any window."""


@dataclass(frozen=True)
class Hyperparameters:
    """A point of the search.

    Attributes:
        vector: log a, log L, q_1.., logit_1.., log p, then the mixing: shared: log |V| of the pivot and the ratios of the others to
            it; independent: one log amplitude an order.
        waves: number of wave vectors.
        orders: angular orders.
        mixing_kind: "shared" (one profile for all angular parts) or "independent".
        pivot: index of the angular function whose amplitude is the scale (shared only).
        periodic: the profile never loses its phase: L is not searched but beyond any window.
        gaussian: the envelope is that of Eq. 7: p is not searched but 2.
    """

    vector: Array
    waves: int
    orders: tuple[int, ...]
    mixing_kind: str
    pivot: int = 0
    periodic: bool = False
    gaussian: bool = True

    @property
    def searched(self) -> int:
        """Number of hyperparameters that the data choose."""
        return self.vector.size - int(self.periodic) - int(self.gaussian)

    @property
    def head(self) -> int:
        """Number of entries before the mixing, those of the radial prior."""
        return 3 + 2 * self.waves

    @property
    def radial(self) -> RadialPrior:
        """Prior of a profile."""
        w = self.waves
        wavenumbers, logits = self.vector[2 : 2 + w], self.vector[2 + w : 2 + 2 * w]
        return RadialPrior(float(self.vector[0]), float(self.vector[1]), wavenumbers, logits, float(self.vector[2 + 2 * w]))

    @property
    def _mixing_part(self) -> Array:
        return self.vector[self.head :]

    @property
    def order_of_function(self) -> list[int]:
        """Index into orders of every angular function."""
        return [k for k, order in enumerate(self.orders) for _ in range(1 if order == 0 else 2)]

    def mixing(self) -> Array:
        """Return V, (angular functions, columns)."""
        part = self._mixing_part
        if self.mixing_kind == SHARED:
            return np.asarray(np.exp(part[0]) * np.insert(part[1:], self.pivot, 1.0)[:, None])
        return np.diag(np.exp(part)[self.order_of_function])

    def rescaled(self, variance_ratio: float) -> Hyperparameters:
        """Return the same prior in units of another noise variance: the old one over the new one."""
        vector = self.vector.copy()
        vector[self.head : self.head + 1 if self.mixing_kind == SHARED else None] += 0.5 * np.log(variance_ratio)
        return replace(self, vector=vector)

    def mixing_slopes(self) -> Array:
        """Return the derivatives of V, (k, angular functions, columns), by the mixing part of the vector."""
        mixing = self.mixing()
        if self.mixing_kind == SHARED:
            by_ratio = np.delete(np.eye(len(mixing)), self.pivot, axis=0) * np.exp(self._mixing_part[0])
            return np.concatenate([mixing[None], by_ratio[..., None]])
        return np.asarray((np.arange(len(self.orders))[:, None] == self.order_of_function)[..., None] * mixing)

    def mixing_gradient(self, by_mixing: Array) -> Array:
        """Return the derivative by the mixing part of the vector from that by V."""
        mixing = self.mixing()
        if self.mixing_kind == SHARED:
            by_ratio = np.delete(by_mixing[:, 0], self.pivot) * np.exp(self._mixing_part[0])
            return np.concatenate([[float(np.sum(by_mixing * mixing))], by_ratio])
        by_function = (by_mixing * mixing).diagonal()
        return np.bincount(self.order_of_function, weights=by_function, minlength=len(self.orders)).astype(np.float64)

    def search_box(self, spacing: float) -> tuple[Array, Array, Array]:
        """Return the longest step, the lower and the upper bound of every entry of the vector; spacing of the nodes in px."""
        w, size = self.waves, self.vector.size
        scales, lower, upper = np.full(size, 0.3), np.full(size, -50.0), np.full(size, 50.0)
        scales[0], lower[0], upper[0] = 0.3, np.log(1e-6), np.log(2.0)
        scales[1], lower[1], upper[1] = 1.0, _LOG_ENDLESS if self.periodic else np.log(1.5), _LOG_ENDLESS
        scales[2 : 2 + w], lower[2 : 2 + w], upper[2 : 2 + w] = 0.05, 0.02, 0.95 * np.pi / spacing
        scales[2 + w : 2 + 2 * w], lower[2 + w : 2 + 2 * w], upper[2 + w : 2 + 2 * w] = 1.0, -8.0, 8.0
        power = 2 + 2 * w
        scales[power], lower[power], upper[power] = 0.2, np.log(2.0 if self.gaussian else 0.4), np.log(2.0 if self.gaussian else 3.0)
        amplitudes = slice(self.head, self.head + 1 if self.mixing_kind == SHARED else size)
        scales[amplitudes], lower[amplitudes], upper[amplitudes] = 1.0, -12.0, 14.0
        return scales, lower, upper

    def _hyperprior(self) -> list[tuple[int, float, float]]:
        """Return (entry, mean, width) of every normal term of the hyperprior."""
        w = self.waves
        terms = [(0, *_LOG_DECAY_PRIOR)] + [(2 + w + i, *_LOGIT_PRIOR) for i in range(w)]
        if not self.periodic:
            terms.append((1, *_LOG_COHERENCE_PRIOR))
        if not self.gaussian:
            terms.append((2 + 2 * w, *_LOG_POWER_PRIOR))
        if self.mixing_kind == SHARED:
            terms += [(k, 0.0, _RATIO_PRIOR) for k in range(self.head + 1, self.vector.size)]
        return terms

    def stiffness(self) -> Array:
        """Return the second derivative of the penalty by every entry."""
        curvature = np.zeros_like(self.vector)
        for index, _, width in self._hyperprior():
            curvature[index] = width**-2
        return curvature

    def penalty(self) -> tuple[float, Array]:
        """Return minus the log of the weak hyperprior and its gradient."""
        value, gradient = 0.0, np.zeros_like(self.vector)
        for index, mean, width in self._hyperprior():
            offset = (self.vector[index] - mean) / width
            value += 0.5 * offset**2
            gradient[index] = offset / width
        return float(value), gradient


@dataclass(frozen=True)
class Fit:
    """Hyperparameters at their optimum, with the evidence there (penalty included in cost)."""

    hyperparameters: Hyperparameters
    evidence: Evidence
    cost: float
    evaluations: int = 0


def cost_and_gradient(equations: NormalEquations, nodes: Array, point: Hyperparameters, floor: float) -> tuple[float, Array, Evidence]:
    """Return minus the log posterior of the hyperparameters, its gradient, and the evidence."""
    evidence = evaluate(equations, nodes, point.radial, point.mixing(), floor)
    penalty, by_vector = point.penalty()
    gradient = by_vector + np.concatenate([evidence.by_radial, point.mixing_gradient(evidence.by_mixing)])
    return evidence.cost + penalty, gradient, evidence


def refine(equations: NormalEquations, nodes: Array, start: Hyperparameters, floor: float, rounds: int = 6) -> Fit:
    """Return the local optimum that a quasi-Newton search reaches from start, in so many rounds at most (see optimiser.minimise)."""

    def objective(vector: Array) -> tuple[float, Array]:
        try:
            cost, gradient, _ = cost_and_gradient(equations, nodes, replace(start, vector=vector), floor)
        except LinAlgError:
            return np.inf, np.zeros_like(vector)
        return cost, gradient

    scales, lower, upper = start.search_box(nodes[1] - nodes[0])
    curvature = None if start.mixing_kind == SHARED else partial(_information, equations, nodes, start, floor)
    result = minimise(objective, start.vector, scales, lower, upper, rounds=rounds, curvature=curvature)
    best = replace(start, vector=result.point)
    cost, _, evidence = cost_and_gradient(equations, nodes, best, floor)
    return Fit(best, evidence, cost, result.evaluations)


def _information(equations: NormalEquations, nodes: Array, start: Hyperparameters, floor: float, vector: Array) -> Array:
    """Return the approximate Hessian of cost_and_gradient for independent profiles: of many amplitudes it costs one evaluation."""
    point = replace(start, vector=vector)
    groups = np.array(point.order_of_function)
    return np.asarray(
        average_information(equations, nodes, point.radial, point.mixing().diagonal(), groups, floor) + np.diag(point.stiffness())
    )


def without_dephasing(equations: NormalEquations, nodes: Array, fit: Fit, floor: float) -> Fit:
    """Return the fit with a strictly periodic profile where the evidence prefers it (one hyperparameter less), else fit itself."""
    vector = fit.hyperparameters.vector.copy()
    if vector[1] < np.log(nodes[-1] / 2):
        return fit
    vector[1] = _LOG_ENDLESS
    candidate = refine(equations, nodes, replace(fit.hyperparameters, vector=vector, periodic=True), floor)
    price = 0.5 * float(np.log(equations.pixels))
    return candidate if candidate.cost - price < fit.cost else fit


@dataclass(frozen=True)
class GridPoint:
    """Least squares with a strictly periodic profile, envelope times (1, cos q r, sin q r), for every angular function.

    Attributes:
        decay: a in 1/px^2.
        wavenumber: q in rad/px.
        amplitudes: (a, 3).
        misfit: sum of squares that is left, the floor included.
    """

    decay: float
    wavenumber: float
    amplitudes: Array
    misfit: float


def scan_grid(equations: NormalEquations, nodes: Array, floor: float, count: int = 2) -> list[GridPoint]:
    """Return the best points over all decays and wave vectors, best first, well apart in wave vector."""
    decays = 1.0 / np.geomspace(3.0, nodes[-1] / 1.2, _DECAY_COUNT) ** 2
    # Nodes that lie further apart cannot tell the faster waves from slower ones.
    tried = _WAVENUMBER_GRID[0.95 * np.pi / (nodes[1] - nodes[0]) > _WAVENUMBER_GRID]
    coarse = _least_squares(equations, nodes, floor, decays, tried)
    chosen: list[GridPoint] = []
    for point in coarse:
        if all(abs(point.wavenumber - other.wavenumber) > 3.5 * _WAVENUMBER_STEP for other in chosen):
            chosen.append(point)
        if len(chosen) == count:
            break
    decay_ratio, q_step = decays[0] / decays[1], _WAVENUMBER_STEP
    for _ in range(_ZOOMS):
        decay_ratio, q_step = decay_ratio**0.4, 0.4 * q_step
        factors, offsets = decay_ratio ** np.arange(-2.0, 2.5), q_step * np.arange(-2.0, 2.5)
        chosen = [_least_squares(equations, nodes, floor, p.decay * factors, p.wavenumber + offsets)[0] for p in chosen]
    return sorted(chosen, key=lambda point: point.misfit)


def _least_squares(equations: NormalEquations, nodes: Array, floor: float, decays: Array, wavenumbers: Array) -> list[GridPoint]:
    """Return the fits at every pair of a decay and a wave vector, best first."""
    size, pairs = len(equations.projection), decays.size * wavenumbers.size
    phase = wavenumbers[:, None] * nodes
    waves = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=1)
    features = (np.exp(-decays[:, None] * nodes**2)[:, None, None, :] * waves).reshape(pairs, 3, nodes.size)
    flat = features.reshape(-1, nodes.size)
    blocks = np.empty((pairs, size, 3, size, 3))
    for i in range(size):
        for j in range(i + 1):
            seen = (flat @ equations.gram[j, i]).reshape(features.shape)
            block = features @ seen.transpose(0, 2, 1)
            blocks[:, i, :, j, :] = block
            blocks[:, j, :, i, :] = block.transpose(0, 2, 1)
    gram = blocks.reshape(pairs, 3 * size, 3 * size)
    right = (flat @ equations.projection.T).reshape(pairs, 3, size).transpose(0, 2, 1).reshape(pairs, -1)
    ridge = 1e-9 * np.trace(gram, axis1=1, axis2=2) / (3 * size) + 1e-12
    solution = np.linalg.solve(gram + ridge[:, None, None] * np.eye(3 * size), right[..., None])[..., 0]
    explained = np.sum(solution * right, axis=1)
    misfit = np.maximum(equations.total - explained, 0.0) + equations.pixels * floor
    points = []
    for index in np.argsort(misfit):
        row, column = divmod(int(index), wavenumbers.size)
        amplitudes = solution[index].reshape(size, 3)
        points.append(GridPoint(float(decays[row]), float(wavenumbers[column]), amplitudes, float(misfit[index])))
    return points


def shared_start(equations: NormalEquations, point: GridPoint) -> Hyperparameters:
    """Return where to start the search for a profile that all angular parts share."""
    left, singular, right = np.linalg.svd(point.amplitudes, full_matrices=False)
    mixing, shape = left[:, 0], right[0] ** 2
    pivot = int(np.argmax(np.abs(mixing)))
    variance = point.misfit / equations.pixels
    scale = 0.5 * np.log(singular[0] ** 2 * mixing[pivot] ** 2 / variance + 1e-12)
    logit = np.clip(np.log((shape[1] + shape[2] + 1e-6) / 2) - np.log(shape[0] + 1e-6), -3, 3)
    ratios = np.clip(np.delete(mixing / mixing[pivot], pivot), -1, 1)
    vector = np.concatenate([[np.log(point.decay), np.log(200.0), point.wavenumber, logit, np.log(2.0), scale], ratios])
    return Hyperparameters(vector, 1, equations.orders, SHARED, pivot)
