"""Positions and amplitudes of the defects from the map itself, together with the kernel.

Kernel and positions are solved in turn: the harmonic posterior mean for given positions, then one Gauss-Newton step in all
positions (and amplitudes) for the given kernel, with the spread of the clicks as prior. The noise is estimated anew every
round, so that the first steps, when the kernel is still blurred, are short. In some rounds defects in the wrong valley of the
misfit, which such steps never leave, are looked for (see position_search).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.errors import InputError
from qpi_core.solvers.harmonic import LEAST_GAIN, HarmonicModel, fit_harmonics, is_constant, pattern_gain
from qpi_core.solvers.harmonic_basis import take_samples
from qpi_core.solvers.harmonic_search import refine as refine_hyperparameters
from qpi_core.solvers.harmonic_slopes import kernel_with_slopes
from qpi_core.solvers.harmonic_start import SYMMETRY_ORDERS
from qpi_core.solvers.normal_equations import accumulate_equations
from qpi_core.solvers.position_search import ValleySearch
from qpi_core.validation import require_kernel_size, require_observation, require_pixel_size, require_positions, require_weights

Array = NDArray[np.float64]

_ROUNDS = 20
_KERNEL_PIXELS = 16384
_RESELECT_AFTER = 5
_SEARCH_IN = (2, 4, 6, 8, 11)
_LONGEST_STEP_PX = 0.5
_SETTLED_PX = 0.01
_WEIGHT_SIGMA = 0.3
_SUPPORTED_WEIGHT = 0.4


@dataclass(frozen=True)
class RefinedDefects:
    """Defects after refinement.

    Attributes:
        positions: (n, 2) in px.
        weights: (n,) amplitudes, on the scale of those given (the kernel carries the common factor).
        moved_px: (n,) how far each defect moved.
        deviation_px: (n,) one standard deviation of a position in each direction, for the kernel as it was found.
        unsupported: (n,) true where the map shows too little of the kernel at that defect.
        warnings: plain sentences.
    """

    positions: Array
    weights: Array
    moved_px: Array
    deviation_px: Array
    unsupported: NDArray[np.bool_]
    warnings: tuple[str, ...]


def refine(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    weights: ArrayLike | None = None,
    refine_positions: bool = True,
    refine_weights: bool = False,
    position_sigma_px: float = 0.7,
    pixel_size_nm: float | tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    report: Callable[[float, str], None] | None = None,
) -> RefinedDefects:
    """Return the defects' positions and amplitudes that the map supports best.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in px, as clicked.
        kernel_size: side of the kernel window in px.
        weights: amplitude of each defect; None is 1 for each.
        refine_positions: move the defects.
        refine_weights: change the amplitudes.
        position_sigma_px: standard deviation of the clicks in each direction.
        pixel_size_nm: (dy, dx) or one number.
        symmetry_orders: candidates, as in solve_harmonic.
        report: called before each round with the share of the rounds that is done and a few words; what it raises stops the work.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    values = require_observation(observation)
    shape = (values.shape[0], values.shape[1])
    clicked = require_positions(positions, shape)
    size = require_kernel_size(kernel_size, shape)
    amplitudes = require_weights(weights, len(clicked))
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    if not (np.isfinite(position_sigma_px) and position_sigma_px > 0):
        raise InputError(f"position_sigma_px must be a positive number of pixels, but it is {position_sigma_px!r}.")
    points, sizes, deviation = clicked, amplitudes, np.full(len(clicked), float(position_sigma_px))
    unsupported = np.zeros(len(clicked), dtype=bool)
    if not is_constant(values):
        rounds = _Rounds(values, size, pitch, symmetry_orders, clicked, amplitudes, position_sigma_px, refine_positions, refine_weights)
        points, sizes, model = rounds.run(report)
        if pattern_gain(model) >= LEAST_GAIN:
            deviation, unsupported = rounds.judge(model, points, sizes)
    moved = np.hypot(*(points - clicked).T)
    return RefinedDefects(points, sizes, moved, deviation, unsupported, tuple(_sentences(moved, unsupported, position_sigma_px)))


@dataclass(frozen=True)
class _Rounds:
    """The alternation, with what stays the same during it."""

    values: NDArray[np.float32]
    kernel_size: int
    pitch: tuple[float, float] | None
    symmetry_orders: tuple[int, ...]
    clicked: Array
    given: Array
    sigma: float
    move: bool
    resize: bool

    def run(self, report: Callable[[float, str], None] | None = None) -> tuple[Array, Array, HarmonicModel]:
        """Return positions, amplitudes, and the last model."""
        points, weights = self.clicked, self.given
        model = self._select(points, weights)
        if pattern_gain(model) < LEAST_GAIN:
            return points, weights, model
        pace, last = np.ones(len(points)), np.zeros_like(points)
        for attempt in range(_ROUNDS if self.move or self.resize else 0):
            if report is not None:
                report(attempt / _ROUNDS, f"Moving the defects, round {attempt + 1} of at most {_ROUNDS}")
            moved, weights = self._step(model, points, weights, attempt in _SEARCH_IN)
            # Two defects that share one spot push each other to and fro: whoever turns back walks half as far from then on.
            pace = np.where(np.sum((moved - points) * last, axis=1) < 0, 0.5 * pace, np.minimum(1.0, 1.5 * pace))
            last = pace[:, None] * (moved - points)
            points = points + last
            if attempt > _RESELECT_AFTER and np.abs(last).max() < _SETTLED_PX:
                break
            model = self._select(points, weights) if attempt == _RESELECT_AFTER else solve_again(self.values, model, points, weights)
        return points, weights, model

    def _select(self, points: Array, weights: Array) -> HarmonicModel:
        return fit_harmonics(self.values, points, self.kernel_size, weights, self.pitch, self.symmetry_orders, extended=False)

    def _step(self, model: HarmonicModel, points: Array, weights: Array, search: bool) -> tuple[Array, Array]:
        """Return positions and amplitudes after one Gauss-Newton step, or with search after moves to better valleys."""
        system = sensitivities(self.values, model, points, weights)
        if search and self.move:
            found = ValleySearch(self.values, model, points, weights, self.clicked, self.sigma, system.variance).moved()
            if not np.array_equal(found, points):
                return found, weights
        count = len(points)
        prior = np.concatenate([np.full(2 * count, 1 / self.sigma**2), 1 / (_WEIGHT_SIGMA * np.abs(self.given) + 1e-6) ** 2])
        offset = np.concatenate([(points - self.clicked).T.ravel(), weights - self.given])
        free = np.concatenate([np.full(2 * count, self.move), np.full(count, self.resize)])
        information = system.information / system.variance + np.diag(prior)
        pull = system.pull / system.variance - prior * offset
        change = np.zeros(3 * count)
        change[free] = np.linalg.solve(information[np.ix_(free, free)], pull[free])
        step = change[: 2 * count].reshape(2, count).T
        longest = np.abs(step).max(axis=1, keepdims=True)
        step = step * np.minimum(1.0, _LONGEST_STEP_PX / np.maximum(longest, 1e-12))
        height, width = self.values.shape
        moved = np.clip(points + step, -0.5, [width - 0.5, height - 0.5])
        resized = weights + change[2 * count :]
        overlap = float(resized @ self.given)
        if self.resize and overlap > 0:
            resized = resized * (float(self.given @ self.given) / overlap)
        return moved, resized

    def judge(self, model: HarmonicModel, points: Array, weights: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return the positions' standard deviations, and which defects would have far less amplitude than given, were it free."""
        system = sensitivities(self.values, model, points, weights)
        count = len(points)
        places = system.information[: 2 * count, : 2 * count] / system.variance + np.eye(2 * count) / self.sigma**2
        spread = np.sqrt(np.linalg.inv(places).diagonal().reshape(2, count).mean(axis=0))
        own = slice(2 * count, 3 * count)
        information = system.information[own, own]
        # A weak prior keeps defects that hardly any pixel sees from counting as anything but unknown.
        wide = 1e2 * np.maximum(np.abs(self.given), 1e-3 * np.abs(self.given).max())
        inverse = np.linalg.inv(information / system.variance + np.diag(wide**-2.0))
        given = np.where(self.given == 0, 1.0, self.given)
        amplitude = (weights + inverse @ system.pull[own] / system.variance) / given
        deviation = np.sqrt(inverse.diagonal()) / np.abs(given)
        return spread, np.asarray((amplitude < _SUPPORTED_WEIGHT) & (amplitude + 2 * deviation < 2 * _SUPPORTED_WEIGHT))


def solve_again(values: NDArray[np.float32], model: HarmonicModel, points: Array, weights: Array) -> HarmonicModel:
    """Return the model for changed defects, the hyperparameters close to where they were."""
    samples = take_samples(values, points, weights, model.aspect, most=_KERNEL_PIXELS)
    equations = accumulate_equations(samples, model.splines, model.fit.hyperparameters.orders)
    fit = refine_hyperparameters(equations, model.splines.nodes, model.fit.hyperparameters, model.floor, rounds=1)
    return replace(model, samples=samples, equations=equations, fit=fit)


@dataclass(frozen=True)
class Sensitivities:
    """How the map depends on the defects, for a fixed kernel; parameters are all x, then all y (px), then all amplitudes.

    Attributes:
        information: (3 n, 3 n), J^T J.
        pull: (3 n,), J^T residual.
        variance: mean square of the residual.
    """

    information: Array
    pull: Array
    variance: float


def sensitivities(values: NDArray[np.float32], model: HarmonicModel, points: Array, weights: Array) -> Sensitivities:
    """Return the Gauss-Newton system of the defects; pixels count up to where the kernel's envelope has fallen to 0.2."""
    count = len(points)
    samples = take_samples(values, points, weights, model.aspect)
    profiles = model.fit.evidence.profiles
    orders = model.fit.hyperparameters.orders
    background = model.equations.background(profiles)
    reach = float(np.clip(np.sqrt(1.6 / np.exp(model.fit.hyperparameters.vector[0])), 6.0, model.splines.radius))
    information, pull, squares, pixels = np.zeros((3 * count, 3 * count)), np.zeros(3 * count), 0.0, 0
    for part in samples.tiles:
        x, y = samples.x[part], samples.y[part]
        near = _within(x, y, samples.positions, model.splines.radius)
        if not near.size:
            continue
        dx, dy = x[:, None] - samples.positions[near, 0], y[:, None] - samples.positions[near, 1]
        value, by_x, by_y = kernel_with_slopes(model.splines, orders, profiles, dx, dy)
        residual = samples.values[part] - background - value @ weights[near]
        squares += float(residual @ residual)
        pixels += residual.size
        close = np.hypot(dx, dy) <= reach
        # A defect that moves by one px moves the kernel by `aspect` solver units the other way.
        jacobian = np.concatenate(
            [-by_x * close * weights[near] * model.aspect[1], -by_y * close * weights[near] * model.aspect[0], value * close], axis=1
        )
        columns = np.concatenate([near, near + count, near + 2 * count])
        information[np.ix_(columns, columns)] += jacobian.T @ jacobian
        pull[columns] += jacobian.T @ residual
    return Sensitivities(information, pull, squares / max(pixels, 1) + model.floor)


def _within(x: Array, y: Array, positions: Array, radius: float) -> NDArray[np.intp]:
    """Return the defects within radius of the bounding box of pixels."""
    gap_x = np.maximum(0.0, np.maximum(x.min() - positions[:, 0], positions[:, 0] - x.max()))
    gap_y = np.maximum(0.0, np.maximum(y.min() - positions[:, 1], positions[:, 1] - y.max()))
    return np.flatnonzero(np.hypot(gap_x, gap_y) <= radius)


def _sentences(moved: Array, unsupported: NDArray[np.bool_], sigma: float) -> list[str]:
    found = []
    far = int(np.sum(moved > 3 * sigma))
    if far:
        found.append(f"{far} of {moved.size} defects moved by more than {3 * sigma:.1f} px from where they were given; check them.")
    if unsupported.any():
        count = int(unsupported.sum())
        found.append(f"The map shows hardly any of the kernel at {count} of {moved.size} positions; they may not be defects.")
    return found
