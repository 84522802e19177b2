"""Whether a list of one kind holds defects of two: who belongs to which, by least squares in turn, and what the evidence says.

    Y = b + A*M + sum_(j of the second kind) w_j D(p - r_j) + noise

For given kinds the kernels are a linear fit in a local basis; for given kernels the kinds are a binary least-squares problem, solved by
turning over one defect after the other. From several starts that ends where it cannot be bettered in a few rounds. Defects that only
differ in strength or in their cores, or lie beside their places, leave much the same: two kinds have to beat each of these.
Then the full solver fits both kernels together, and the marginal likelihood, the price of naming the kinds taken off, has to be far
above that of one kernel. So a list is split only where that explains the map, and it is offered to the user: the list stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.joint.fit import JointModel, fit_jointly
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid, Renderer
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import SHARED
from qpi_core.solvers.measured.kinds.local_patterns import LocalBasis, LocalPatterns
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise
from qpi_core.solvers.measured.noise_model.defect_effects import CORE_RADII_PX
from qpi_core.solvers.positions.catalogue.check import gain_of_another_list

Array = NDArray[np.float64]

LEAST_OF_A_KIND = 2
"""Defects of a kind below which it is no kind but an accident."""
_LEAST_DEFECTS = 6
DECISIVE = 10.0
"""Log evidence that two kinds have to be ahead by, as for a repaired list."""
_PROMISING = 100.0
"""Gain in log likelihood, in the local basis, from which on two kernels are solved for (measured, seed 91000, noise 0.2: 860 to 1430 for
two kinds, below 0 for white noise and unequal strengths)."""
OF_ANOTHER_LIST = 0.5
"""Share of what another list of one kind promises that a second kind has to promise before it is solved for. (Measured, seeds 601 and
4711, 64 x 64 pixels, noise 0.2: 0.10 to 0.36 where clicks are 0.7 px off, 0.10 to 0.76, mostly below 0.5, where a tenth of the defects
is missing, 0.64 to 34 where the list holds two kinds, with clicks 0.5 px off 0.64 to 5.)"""
_SAME_SHAPE = 0.98
"""Cosine of two kernels beyond which the kinds differ in strength or sign only."""
_ROUNDS, _CHANCE_STARTS = 25, 6
_FIRST_SHARE, _RIVAL_RIDGE, _MOST_NAMED = 0.25, 1e-3, 8


@dataclass(frozen=True, eq=False)
class TwoKinds:
    """The two kinds of a list, which the list itself does not tell apart.

    Attributes:
        second: (n,) whether a defect is of the second, rarer kind.
        gain: in log evidence over one kind, the price of naming the kinds taken off.
        positions: (n, 2) of the list, columns (x, y) in px.
        kernel: (k, k) of the first kind, solved beside the second.
    """

    second: NDArray[np.bool_]
    gain: float
    positions: Array
    kernel: NDArray[np.float32]

    @property
    def classes(self) -> tuple[str, ...]:
        """The kind of each defect: "A", or "B" for the rarer one."""
        return tuple("B" if second else "A" for second in self.second)

    def record(self) -> dict[str, object]:
        """Return plain values for the side-car."""
        return {"classes": list(self.classes), "log_evidence_gain": self.gain}

    def sentence(self) -> Caution:
        """Return what was found, in words."""
        places, few = self.positions[self.second], int(self.second.sum())
        named = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in places[:_MOST_NAMED])
        rest = f" and {few - _MOST_NAMED} others" if few > _MOST_NAMED else ""
        return Caution(
            f"The list holds defects of two kinds: {few} of the {self.second.size} have a kernel of another shape, at these pixels "
            f"(x, y): {named}{rest}. The kernel given here mixes both; solved as two classes, the map is explained far better.",
            CautionKind.TWO_KINDS,
            few,
        )


@dataclass(frozen=True, eq=False)
class SortedKinds:
    """The kinds that least squares find.

    Attributes:
        second: (n,) whether a defect is of the rarer kind.
        coefficients: of the two kernels beyond the one that was taken off, in the local basis.
        misfit: sum of squares that is left.
        promised: gain in log likelihood over unequal strengths or cores and wrong places, the price of naming the kinds taken off.
    """

    second: NDArray[np.bool_]
    coefficients: tuple[Array, Array]
    misfit: float
    promised: float = 0.0


def find_two_kinds(
    problem: HarmonicProblem, positions: Array, weights: Array, one: HarmonicModel, explained: Callable[[], bool] | None = None
) -> TwoKinds | None:
    """Return the two kinds that a list of one holds; None where the map does not ask for them.

    Args:
        problem: the map, with a constant background and white noise beside its kernels.
        positions, weights: the list.
        one: one kernel for it, as simple_fit gives it.
        explained: says whether one kernel of another shape explains the map, which takes less time than two kernels do.
    """
    found = sort_kinds(problem.values, positions, weights, one)
    if found is None or found.promised < OF_ANOTHER_LIST * gain_of_another_list(problem.values, one, weights):
        return None
    if explained is not None and explained():
        return None
    parts = [DefectClass(positions[own], weights[own]) for own in (~found.second, found.second)]
    joint = fit_jointly(problem.values, parts, problem.kernel_size, problem.pixel_size_nm, problem.symmetry_orders)
    gain = joint.log_evidence - price_of_kinds(found.second) - log_evidence(one.fit, one.equations.pixels)
    right = gain > DECISIVE and differ_in_shape(joint, problem.kernel_size) and explains_all(problem.values, joint, positions)
    return TwoKinds(found.second, gain, positions, first_kernel(joint, problem.kernel_size)) if right else None


def sort_kinds(values: NDArray[np.float32], positions: Array, weights: Array, one: HarmonicModel) -> SortedKinds | None:
    """Return the kinds that least squares find; None where another explanation leaves as little, or there are too few defects.

    Args:
        values: (height, width) the map, NaN where not measured.
        positions, weights: the list.
        one: one kernel for it.
    """
    if len(positions) < _LEAST_DEFECTS:
        return None
    shape = (values.shape[0], values.shape[1])
    measured = np.isfinite(values)
    left = np.where(measured, values - superposition(one, shape), 0.0).astype(np.float64)
    left = np.where(measured, left - left[measured].mean(), 0.0).ravel()
    patterns = LocalPatterns.around(positions, weights, measured, one.aspect)
    found = _best_sorting(patterns, left)
    if found is None:
        return None
    rival = misfit_of_one_kind(patterns, left, one, shape)
    promised = 0.5 * float(measured.sum()) * float(np.log(rival / found.misfit)) - price_of_kinds(found.second)
    if promised < _PROMISING or _are_alike(one, found, patterns.basis):
        return None
    return replace(found, promised=promised)


def price_of_kinds(second: NDArray[np.bool_]) -> float:
    """Return the logarithm of the number of ways to name the second kind: every number of them, then every choice, as likely."""
    count, few = second.size, int(second.sum())
    return float(gammaln(count + 1) - gammaln(few + 1) - gammaln(count - few + 1) + np.log(count))


def differ_in_shape(joint: JointModel, size: int) -> bool:
    """Say whether the first two kernels of a joint model differ by more than a factor."""
    return _likeness(*(_kernel(model, size) for model in joint.models[:2])) < _SAME_SHAPE


def _likeness(one: Array, other: Array) -> float:
    return abs(float(np.vdot(one, other))) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-300)


def _are_alike(one: HarmonicModel, found: SortedKinds, basis: LocalBasis) -> bool:
    """Say whether the kernels of the two kinds differ, near a defect, by a factor only."""
    grid = KernelGrid.of_size(2 * int(basis.radius) + 1, (1.0, 1.0))
    first = Renderer(grid, one.splines, one.fit.hyperparameters.orders)(one.fit.evidence.profiles).ravel()
    rows = basis.rows(grid.dx.ravel(), grid.dy.ravel())
    return _likeness(*(first + rows @ more for more in found.coefficients)) > _SAME_SHAPE


def first_kernel(joint: JointModel, size: int) -> NDArray[np.float32]:
    """Return the kernel of the first class of a joint model, (size, size)."""
    return _kernel(joint.models[0], size).astype(np.float32)


def _kernel(model: HarmonicModel, size: int) -> Array:
    grid = KernelGrid.of_size(size, model.aspect)
    return Renderer(grid, model.splines, model.fit.hyperparameters.orders)(model.fit.evidence.profiles)


def explains_all(values: NDArray[np.float32], joint: JointModel, positions: Array) -> bool:
    """Say whether two kernels leave neither patterns around the defects nor anything else but white noise.

    Independent profiles of many orders follow a background, too, so they settle nothing.
    """
    if any(model.excess > 1 or model.fit.hyperparameters.mixing_kind != SHARED for model in joint.models):
        return False
    part = np.sum([superposition(model, (values.shape[0], values.shape[1])) for model in joint.models], axis=0)
    return leaves_white_noise(values - part, joint.models[0].aspect, positions)


def _best_sorting(patterns: LocalPatterns, left: Array) -> SortedKinds | None:
    """Return the kinds that leave least of what one kernel leaves, (pixels,), over all starts; the rarer kind is the second."""
    best: SortedKinds | None = None
    for start in _starts(patterns, left):
        found = _sorted_from(start, patterns, left)
        if found is not None and (best is None or found.misfit < best.misfit):
            best = found
    if best is not None and best.second.mean() > 0.5:
        best = SortedKinds(~best.second, best.coefficients[::-1], best.misfit)
    return best


def _starts(patterns: LocalPatterns, left: Array) -> Iterator[Array]:
    """Yield kinds to begin with: either side of the main directions in which defects differ, and some by chance."""
    each = patterns.alone(left)
    scores = np.linalg.svd(each - each.mean(axis=0), full_matrices=False)[0]
    for column in scores.T[:3]:
        low, high = np.quantile(column, [0.2, 0.8])
        for _ in range(_ROUNDS):
            upper = column > (low + high) / 2
            if upper.all() or not upper.any():
                break
            low, high = float(column[~upper].mean()), float(column[upper].mean())
        yield upper.astype(np.float64)
    rng, count = np.random.default_rng(0), len(patterns.near)
    for _ in range(_CHANCE_STARTS):
        chosen = np.zeros(count)
        chosen[rng.permutation(count)[: max(LEAST_OF_A_KIND, round(_FIRST_SHARE * count))]] = 1.0
        yield chosen


def _sorted_from(second: Array, patterns: LocalPatterns, left: Array) -> SortedKinds | None:
    """Return where kernels and kinds in turn lead; None where a kind dies out."""
    for _ in range(_ROUNDS):
        if not LEAST_OF_A_KIND <= second.sum() <= second.size - LEAST_OF_A_KIND:
            return None
        (one, other), rest = patterns.fitted(left, [1 - second, second])
        turned = _turned_over(second, patterns.images(other - one), rest)
        if np.array_equal(turned, second):
            return SortedKinds(second > 0.5, (one, other), float(rest @ rest))
        second = turned
    return None


def _turned_over(second: Array, changes: Array, rest: Array) -> Array:
    """Return the kinds after turning over defects as long as that lowers the sum of squares.

    Args:
        second: (n,) 0 or 1.
        changes: (n, pixels) what turning each to the second kind adds to the map.
        rest: (pixels,) what is left so far.
    """
    overlaps, pull, second = changes @ changes.T, changes @ rest, second.copy()
    for _ in range(4 * second.size):
        sign = 1 - 2 * second
        gains = sign * pull - 0.5 * overlaps.diagonal()
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        pull = pull - sign[best] * overlaps[:, best]
        second[best] = 1 - second[best]
    return second


def misfit_of_one_kind(patterns: LocalPatterns, left: Array, one: HarmonicModel, shape: tuple[int, int]) -> float:
    """Return the least sum of squares of one kernel whose defects differ in strength or in their cores, or lie beside their places."""
    y, x = (grid.ravel() for grid in np.indices(shape))
    count, fit = len(patterns.near), one.fit
    columns = np.zeros((3, left.size, count))
    for j, (near, place) in enumerate(zip(patterns.near, one.samples.positions, strict=True)):
        dx, dy = x[near] * one.aspect[1] - place[0], y[near] * one.aspect[0] - place[1]
        columns[:, near, j] = kernel_with_slopes(one.splines, fit.hyperparameters.orders, fit.evidence.profiles, dx, dy)
    spots = [np.zeros((left.size, count)) for _ in CORE_RADII_PX]
    for j, (near, place) in enumerate(zip(patterns.near, one.samples.positions, strict=True)):
        squares = (x[near] * one.aspect[1] - place[0]) ** 2 + (y[near] * one.aspect[0] - place[1]) ** 2
        for spot, radius in zip(spots, CORE_RADII_PX, strict=True):
            spot[near, j] = np.exp(-0.5 * squares / radius**2)
    misfits = []
    for design in (columns[0], np.concatenate([columns[1], columns[2]], axis=1), np.concatenate(spots, axis=1)):
        # The shape of the kernel may follow.
        wider = np.concatenate([design, patterns.design(np.ones(count))], axis=1)
        system = wider.T @ wider
        system[np.diag_indices_from(system)] += _RIVAL_RIDGE * float(np.mean(system.diagonal())) + 1e-12
        rest = left - wider @ np.linalg.solve(system, wider.T @ left)
        misfits.append(float(rest @ rest))
    return min(misfits)
