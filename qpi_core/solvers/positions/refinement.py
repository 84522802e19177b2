"""Positions and amplitudes of the defects from the map itself, together with the kernel.

Kernel and positions are solved in turn: the harmonic posterior mean for given positions, then one Gauss-Newton step in all
positions (and amplitudes) for the given kernel, with the spread of the clicks as prior. The noise is estimated anew every
round, so that the first steps, when the kernel is still blurred, are short. In some rounds defects in the wrong valley of the
misfit, which such steps never leave, are looked for (see position_search). The last steps are joint ones (see joint_positions).
Where what is left asks for a stretch of the kernel, all is done again in stretched coordinates, and the evidence decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import (
    is_constant,
    require_kernel_size,
    require_observation,
    require_pixel_size,
    require_positions,
    require_weights,
)
from qpi_core.runtime.progress import Progress, no_progress, part_of
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.positions.jacobian import Sensitivities, sensitivities, solve_again
from qpi_core.solvers.positions.local_minima import Misfit, ValleySearch
from qpi_core.solvers.positions.refinement_options import RefinementOptions
from qpi_core.solvers.positions.shape_score import model_of_its_shape
from qpi_core.solvers.positions.variable_projection import converged, joint_system, position_covariance

Array = NDArray[np.float64]

_ROUNDS = 20
_JOINT_STEPS, MOST_JOINT_PIXELS = 6, 40_000
"""Larger maps hold so many defects that the kernel hardly depends on any of them; solving in turn is enough there."""
_RESELECT_AFTER = 5
_FIRST_SHARE = 0.6
"""Share of the work before a stretch of the kernel is known."""
_SEARCH_IN = (2, 4, 6, 8, 11)
_LONGEST_STEP_PX = 0.5
_SETTLED_PX, _NEARLY_SETTLED_PX = 0.01, 0.05
"""Longest move of a round at which places have settled, and at which joint steps, which end in a few, take over where they follow."""
_WEIGHT_SIGMA = 0.3
_SUPPORTED_WEIGHT = 0.4


@dataclass(frozen=True)
class RefinedDefects:
    """Defects after refinement.

    Attributes:
        positions: (n, 2) in px.
        weights: (n,) amplitudes, on the scale of those given (the kernel carries the common factor).
        moved_px: (n,) how far each defect moved.
        deviation_px: (n,) one standard deviation of a position in each direction, what is not known of the kernel included (not on
            maps of more than 40,000 pixels).
        unsupported: (n,) true where the map shows too little of the kernel at that defect.
        warnings: plain sentences.
    """

    positions: Array
    weights: Array
    moved_px: Array
    deviation_px: Array
    unsupported: NDArray[np.bool_]
    warnings: tuple[str, ...]


@one_thread()
def refine(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    options: RefinementOptions | None = None,
    report: Progress = no_progress,
) -> RefinedDefects:
    """Return the defects' positions and amplitudes that the map supports best.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in px, as clicked.
        kernel_size: side of the kernel window in px.
        weights: amplitude of each defect; None is 1 for each.
        pixel_size_nm: (dy, dx) or one number.
        options: what may change, and how far; None is as RefinementOptions is at first.
        report: called before each round with the share of the work that is done and a few words; what it raises stops the work.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    asked = options or RefinementOptions()
    values = require_observation(observation)
    shape = (values.shape[0], values.shape[1])
    clicked = require_positions(positions, shape)
    size = require_kernel_size(kernel_size, shape)
    amplitudes = require_weights(weights, len(clicked))
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    points, sizes, deviation = clicked, amplitudes, np.full(len(clicked), float(asked.sigma_px))
    unsupported = np.zeros(len(clicked), dtype=bool)
    if not is_constant(values):
        problem = HarmonicProblem(values, size, pitch, asked.stretch, asked.symmetry_orders)
        rounds = _Rounds(problem, clicked, amplitudes, asked.sigma_px, asked.positions, asked.weights)
        points, sizes, model = rounds.run(part_of(report, 0.0, _FIRST_SHARE))
        stretched = rounds.stretched(points, sizes) if asked.positions and asked.stretch is None else problem
        if stretched is not problem:
            # A round kernel for a stretched one has drawn the defects towards where the two differ least.
            other = replace(rounds, problem=stretched)
            again = other.run(part_of(report, _FIRST_SHARE, 1.0), points, sizes)
            if other.worth(*again) > rounds.worth(points, sizes, model):
                rounds, (points, sizes, model) = other, again
        if pattern_gain(model) >= LEAST_GAIN:
            deviation, unsupported = rounds.judge(model, points, sizes)
    moved = np.hypot(*(points - clicked).T)
    return RefinedDefects(points, sizes, moved, deviation, unsupported, tuple(_sentences(moved, unsupported, asked.sigma_px)))


@dataclass(frozen=True)
class DefectPrior:
    """What is known of the defects beside the maps: independent Gaussians about what was given.

    Attributes:
        clicked: (n, 2) px.
        given: (n,) amplitudes.
        sigma: standard deviation of the clicks in each direction, px.
        move: positions are free.
        resize: amplitudes are free.
    """

    clicked: Array
    given: Array
    sigma: float
    move: bool
    resize: bool


def gauss_newton_step(
    systems: Sequence[Sensitivities], prior: DefectPrior, points: Array, weights: Array, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """Return positions and amplitudes after one step towards the maximum of their posterior, at most half a pixel long.

    Args:
        systems: of the maps that show these defects, each at points and weights; their information adds up.
        prior: of the defects.
        points: (n, 2) px.
        weights: (n,).
        shape: (height, width).
    """
    count = len(points)
    precision = np.concatenate([np.full(2 * count, 1 / prior.sigma**2), 1 / (_WEIGHT_SIGMA * np.abs(prior.given) + 1e-6) ** 2])
    offset = np.concatenate([(points - prior.clicked).T.ravel(), weights - prior.given])
    free = np.concatenate([np.full(2 * count, prior.move), np.full(count, prior.resize)])
    information = sum((one.information / one.variance for one in systems), start=np.diag(precision))
    pull = sum((one.pull / one.variance for one in systems), start=-precision * offset)
    change = np.zeros(3 * count)
    change[free] = np.linalg.solve(information[np.ix_(free, free)], pull[free])
    step = change[: 2 * count].reshape(2, count).T
    longest = np.abs(step).max(axis=1, keepdims=True)
    step = step * np.minimum(1.0, _LONGEST_STEP_PX / np.maximum(longest, 1e-12))
    height, width = shape
    moved = np.clip(points + step, -0.5, [width - 0.5, height - 0.5])
    resized = weights + change[2 * count :]
    overlap = float(resized @ prior.given)
    if prior.resize and overlap > 0:
        resized = resized * (float(prior.given @ prior.given) / overlap)
    return moved, resized


@dataclass(frozen=True)
class _Rounds:
    """The alternation, with what stays the same during it."""

    problem: HarmonicProblem
    clicked: Array
    given: Array
    sigma: float
    move: bool
    resize: bool

    @property
    def values(self) -> NDArray[np.float32]:
        """The map."""
        return self.problem.values

    def run(
        self, report: Progress = no_progress, points: Array | None = None, weights: Array | None = None
    ) -> tuple[Array, Array, HarmonicModel]:
        """Return positions, amplitudes, and the last model; the rounds begin at points with weights, or at what was given."""
        points, weights = self.clicked if points is None else points, self.given if weights is None else weights
        model = self.problem.simple_fit(points, weights)
        if pattern_gain(model) < LEAST_GAIN:
            return points, weights, model
        jointly = self.move and not self.resize and self.values.size <= MOST_JOINT_PIXELS
        settled = _NEARLY_SETTLED_PX if jointly else _SETTLED_PX
        pace, last = np.ones(len(points)), np.zeros_like(points)
        for attempt in range(_ROUNDS if self.move or self.resize else 0):
            report(attempt / _ROUNDS, f"Moving the defects, round {attempt + 1} of at most {_ROUNDS}")
            moved, weights = self._step(model, points, weights, attempt in _SEARCH_IN)
            # Two defects that share one spot push each other to and fro: whoever turns back walks half as far from then on.
            pace = np.where(np.sum((moved - points) * last, axis=1) < 0, 0.5 * pace, np.minimum(1.0, 1.5 * pace))
            last = pace[:, None] * (moved - points)
            points = points + last
            if attempt > _RESELECT_AFTER and np.abs(last).max() < settled:
                break
            again = attempt == _RESELECT_AFTER
            model = model_of_its_shape(self.problem, points, weights) if again else solve_again(self.values, model, points, weights)
        if jointly:
            model = solve_again(self.values, model, points, weights, most=None)
            points, model = converged(self.values, model, points, weights, np.full(len(points), self.sigma), self.clicked, _JOINT_STEPS)
        return points, weights, model

    def worth(self, points: Array, weights: Array, model: HarmonicModel) -> float:
        """Return the log evidence of an outcome on a fixed choice of pixels, less the moves' prior and the price of a stretch."""
        same = solve_again(self.values, model, points, weights)
        pixels = same.equations.pixels
        price = 0.5 * float(np.sum((points - self.clicked) ** 2)) / self.sigma**2
        return log_evidence(same.fit, pixels) - price - (float(np.log(pixels)) if self.problem.stretch is not None else 0.0)

    def stretched(self, points: Array, weights: Array) -> HarmonicProblem:
        """Return the problem with the stretch that the kernel has; the same one where it has none."""
        return self.problem.stretched(points, weights, self.problem.start(points, weights))[0]

    def _step(self, model: HarmonicModel, points: Array, weights: Array, search: bool) -> tuple[Array, Array]:
        """Return positions and amplitudes after one Gauss-Newton step, or with search after moves to better valleys."""
        system = sensitivities(self.values, model, points, weights)
        if search and self.move:
            misfit = Misfit(self.values, model, points, weights, system.variance)
            found = ValleySearch((misfit,), self.clicked, self.sigma).moved()
            if not np.array_equal(found, points):
                return found, weights
        return gauss_newton_step([system], self.prior, points, weights, (self.values.shape[0], self.values.shape[1]))

    @property
    def prior(self) -> DefectPrior:
        """What is known of the defects beside the map."""
        return DefectPrior(self.clicked, self.given, self.sigma, self.move, self.resize)

    def judge(self, model: HarmonicModel, points: Array, weights: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return the positions' standard deviations, and which defects would have far less amplitude than given, were it free."""
        system = sensitivities(self.values, model, points, weights)
        count = len(points)
        if self.values.size <= MOST_JOINT_PIXELS:
            whole = solve_again(self.values, model, points, weights, most=None)
            _, covariance = position_covariance(joint_system(whole), np.full(count, self.sigma))
        else:
            places = system.information[: 2 * count, : 2 * count] / system.variance + np.eye(2 * count) / self.sigma**2
            covariance = np.asarray(np.linalg.inv(places), dtype=np.float64)
        spread = np.sqrt(covariance.diagonal().reshape(2, count).mean(axis=0))
        own = slice(2 * count, 3 * count)
        information = system.information[own, own]
        # A weak prior keeps defects that hardly any pixel sees from counting as anything but unknown.
        wide = 1e2 * np.maximum(np.abs(self.given), 1e-3 * np.abs(self.given).max())
        inverse = np.linalg.inv(information / system.variance + np.diag(wide**-2.0))
        given = np.where(self.given == 0, 1.0, self.given)
        amplitude = (weights + inverse @ system.pull[own] / system.variance) / given
        deviation = np.sqrt(inverse.diagonal()) / np.abs(given)
        return spread, np.asarray((amplitude < _SUPPORTED_WEIGHT) & (amplitude + 2 * deviation < 2 * _SUPPORTED_WEIGHT))


def _sentences(moved: Array, unsupported: NDArray[np.bool_], sigma: float) -> list[str]:
    found = []
    far = int(np.sum(moved > 3 * sigma))
    if far:
        found.append(f"{far} of {moved.size} defects moved by more than {3 * sigma:.1f} px from where they were given; check them.")
    if unsupported.any():
        count = int(unsupported.sum())
        found.append(f"The map shows hardly any of the kernel at {count} of {moved.size} positions; they may not be defects.")
    return found
