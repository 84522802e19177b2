"""Kernels that are symmetric but for a stretch: strained crystals, elliptic Fermi contours, images that are sheared a little.

In coordinates u = exp([[a, b], [b, -a]]) (p - r_j) such a kernel has one rotation symmetry again, and everything that the harmonic
solver knows holds there: few angular orders, one profile, the marginal likelihood. The two numbers a and b are hyperparameters
like the others. A score test (one Gauss-Newton step from no stretch) says whether there is anything to find, and where it is small;
else a coarse grid with the isotropic part alone finds where to start, and Gauss-Newton steps on the map go on from there.
Only lattices and bands whose contours are ellipses become round in this way; warped contours keep their higher angular orders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, defects_near, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate, posterior_factor
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.frame import stretch_matrix
from qpi_core.solvers.harmonic.orders.residual_test import DOUBTFUL, widened
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.orders.significant_orders import doubtful_orders
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid, Renderer
from qpi_core.solvers.harmonic.search import Fit, refine
from qpi_core.solvers.harmonic.start import HarmonicStart, start_harmonics

Array = NDArray[np.float64]

_GRID_STEP, _GRID_RADIUS, _MOST_STRETCH = 0.06, 0.30, 0.36
"""Spacing and radius of the grid in a and b, and what is still believed: axes of 2 to 1."""
_GRID_PIXELS, _GRID_PAIRS = 2048, 60_000
_FIRST_SHARE, _GRID_KEPT, _GRID_TILE = 0.25, 24, 64
"""Share of those pixels on which the whole grid is looked at, how many of its points are looked at on all of them, and the side in px of
the tiles of so few pixels."""
_STARTS = 2
_MARGIN = 25.0
_STEPS, _LONGEST_STEP, _SHORTER, _SETTLED = 12, 0.05, 0.3, 3e-6
_COHERENCE_PX = 4.0
_SMALL_STEP = 0.08
"""First step up to which no grid is needed: a wave keeps within a quarter of its period where the kernel is strong."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of the plane that keeps areas, and how well it is known.

    Attributes:
        numbers: (2,) a and b.
        covariance: (2, 2) of a and b, to first order in the stretch.
        profile_slopes: (2, a, nodes) how the posterior mean of the profiles follows a and b.
    """

    numbers: Array
    covariance: Array
    profile_slopes: Array

    @classmethod
    def known(cls, numbers: Array, profiles: Array) -> Stretch:
        """Return a stretch that is taken as given, for profiles (a, nodes)."""
        return cls(numbers, np.zeros((2, 2)), np.zeros((2, *profiles.shape)))

    @property
    def matrix(self) -> Array:
        """The symmetric matrix, (2, 2), that offsets (x, y) in solver units are multiplied by."""
        return stretch_matrix(self.numbers)

    @property
    def ratio(self) -> tuple[float, float]:
        """Ratio of the kernel's long to its short axis, and its standard deviation."""
        size = float(np.hypot(*self.numbers))
        along = self.numbers / max(size, 1e-12)
        ratio = float(np.exp(2 * size))
        return ratio, 2 * ratio * float(np.sqrt(along @ self.covariance @ along))

    @property
    def direction(self) -> tuple[float, float]:
        """Direction of the long axis in rad, 0 to pi, from x towards y, and its standard deviation."""
        size = max(float(np.hypot(*self.numbers)), 1e-12)
        across = np.array([-self.numbers[1], self.numbers[0]]) / size
        # Solver coordinates grow along the short axis.
        angle = 0.5 * float(np.arctan2(self.numbers[1], self.numbers[0])) + np.pi / 2
        return angle % np.pi, float(np.sqrt(across @ self.covariance @ across)) / (2 * size)

    def sentence(self) -> Caution:
        """Return what that says of the kernel, in words."""
        ratio, angle = self.ratio[0], float(np.degrees(self.direction[0]))
        return Caution(
            f"The kernel is a symmetric pattern that is {ratio:.3f} times as long along {angle:.0f} degrees (from x towards y) as "
            "across: an elliptic contour, a strained crystal or a sheared image. Wave vectors and lengths are geometric means over "
            "the directions.",
            CautionKind.SYMMETRY,
        )


def may_be_stretched(begun: HarmonicStart, surprising: dict[int, float]) -> bool:
    """Say whether what the first stage leaves looks like a stretch: it turns order n into n - 2 and n + 2, and the isotropic part into 2.

    Args:
        begun: the first stage without a stretch.
        surprising: the orders of its residual that white noise does not explain, strongest first.
    """
    order = begun.selection.best.hyperparameters.orders[-1]
    if not surprising or order == 1:
        return False
    return next(iter(surprising)) % 2 == 0 if order % 2 == 0 else 2 in surprising or abs(order - 2) in surprising


def find_stretch(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...],
    begun: HarmonicStart,
    probability: float = DOUBTFUL,
) -> HarmonicStart | None:
    """Return the first stage in the most probable stretched coordinates; None where nothing asks for a stretch or it does not pay.

    Args:
        values, positions, kernel_size, weights, pixel_size_nm, symmetry_orders: as for fit_harmonics.
        begun: the first stage without a stretch, or with one that is to be improved.
        probability: of white noise below which what the first stage leaves is looked at.
    """
    problem = (values, positions, kernel_size, weights, pixel_size_nm, symmetry_orders)
    if begun.stretch is not None:
        plain = begun.samples.stretched(stretch_matrix(-begun.stretch))
        better = _polished(plain, begun.splines, begun.selection.best, begun.stretch, begun.floor)[0]
        return start_harmonics(*problem, better) if np.hypot(*better) <= _MOST_STRETCH else None
    if not may_be_stretched(begun, doubtful_orders(begun, symmetry_orders, probability)):
        return None
    return begun.remembered("stretch", lambda: _searched(*problem, begun))


def _searched(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...],
    begun: HarmonicStart,
) -> HarmonicStart | None:
    """Return the first stage in the most probable stretched coordinates, begun without any; None where it does not pay."""
    pixels = begun.samples.values.size
    price = float(np.log(pixels))
    problem = (values, positions, kernel_size, weights, pixel_size_nm, symmetry_orders)
    first, promised = _gauss_newton(begun.samples, begun.design, begun.splines, begun.selection.best)
    if promised < price:
        return None
    promising = [first] if np.hypot(*first) < _SMALL_STEP else _promising(values, positions, weights, begun)
    coarse = [start_harmonics(*problem, numbers, _GRID_PIXELS).selection.best for numbers in promising]
    lowest = min(fit.cost for fit in coarse)
    polished = [
        _polished(begun.samples, begun.splines, fit, numbers, begun.floor)
        for fit, numbers in zip(coarse, promising, strict=True)
        if fit.cost < lowest + _MARGIN
    ]
    believed = [found for found in polished if np.hypot(*found[0]) <= _MOST_STRETCH]
    if not believed:
        return None
    numbers, fit = min(believed, key=lambda found: found[1].cost)
    if log_evidence(fit, pixels) - price <= log_evidence(begun.selection.best, pixels):
        return None
    return start_harmonics(*problem, numbers)


def describe_stretch(start: HarmonicStart, fit: Fit, pixels: int) -> Stretch:
    """Return a stretch with its covariance, the kernel's profiles marginalised (Schur complement).

    Args:
        start: first stage in the stretched coordinates.
        fit: in the same coordinates.
        pixels: that the fit rests on, at least as many as those of the start.
    """
    assert start.stretch is not None, "the start is not stretched"
    slopes = start.design.as_seen(_stretch_slopes(start.samples, start.splines, fit))
    start.design.add_orders(fit.hyperparameters.orders)
    seen, factor = _taken_up(start.design, start.splines, fit, slopes)
    whole = slopes.T @ slopes
    values, vectors = np.linalg.eigh(whole - seen.T @ seen)
    share = start.samples.values.size / pixels
    covariance = share * fit.evidence.variance * (vectors / np.maximum(values, 1e-6 * np.trace(whole) + 1e-300)) @ vectors.T
    response = np.tensordot(seen.T, factor, axes=(1, 2))
    return Stretch(start.stretch, covariance, -response)


def stretch_deviation(stretch: Stretch, grid: KernelGrid, splines: RadialSplines, fit: Fit) -> Array:
    """Return the standard deviation of every pixel of a window, (k, k), that comes from not knowing the stretch exactly."""
    orders = fit.hyperparameters.orders
    _, by_x, by_y = kernel_with_slopes(splines, orders, fit.evidence.profiles, grid.dx, grid.dy)
    direct = np.stack([by_x * grid.dx - by_y * grid.dy, by_x * grid.dy + by_y * grid.dx])
    renderer = Renderer(grid, splines, orders)
    slopes = direct + np.stack([renderer(profiles) for profiles in stretch.profile_slopes])
    return np.asarray(np.sqrt(np.maximum(np.einsum("iyx,ij,jyx->yx", slopes, stretch.covariance, slopes), 0.0)))


def _promising(values: NDArray[np.float32], positions: Array, weights: Array, begun: HarmonicStart) -> list[Array]:
    """Return the best points of the grid that are no neighbours: the evidence of the isotropic part under a wide prior.

    A quarter of the pixels sorts out most of the grid.
    """
    steps = _GRID_STEP * np.arange(-5, 6)
    grid = [np.array([a, b]) for a in steps for b in steps if np.hypot(a, b) <= _GRID_RADIUS + 1e-9]
    pixels = int(np.clip(_GRID_PAIRS / len(positions), 0.5 * _GRID_PIXELS, _GRID_PIXELS))
    for share, kept in ((_FIRST_SHARE, _GRID_KEPT), (1.0, len(grid))):
        samples = take_samples(values, positions, weights, begun.aspect, most=round(share * pixels), tile=_GRID_TILE)
        costs = [_isotropic_cost(samples.stretched(stretch_matrix(numbers)), begun) for numbers in grid]
        grid = [grid[index] for index in np.argsort(costs)[:kept]]
    chosen: list[Array] = []
    for numbers in grid:
        if all(np.hypot(*(numbers - other)) > 2.5 * _GRID_STEP for other in chosen):
            chosen.append(numbers)
        if len(chosen) == _STARTS:
            break
    return chosen


def _isotropic_cost(samples: MapSamples, begun: HarmonicStart) -> float:
    """Return minus the log evidence of an isotropic kernel under a wide prior at stretched samples."""
    nodes, fit = begun.splines.nodes, begun.selection.best
    wide = widened(replace(fit.hyperparameters.radial, log_coherence=float(np.log(_COHERENCE_PX))), nodes)
    strength = np.array([[float(np.abs(fit.evidence.profiles).max()) / np.sqrt(fit.evidence.variance)]])
    equations = accumulate([ClassBasis(samples, begun.splines, (0,))]).alone()
    try:
        return evaluate(equations, nodes, wide, strength, begun.floor).cost
    except LinAlgError:
        return float(np.inf)


def _polished(samples: MapSamples, splines: RadialSplines, fit: Fit, numbers: Array, floor: float) -> tuple[Array, Fit]:
    """Return (a, b) and the fit after Gauss-Newton steps on unstretched samples, in which the kernel's profiles give way."""

    def solved(at: Array, start: Fit) -> tuple[MapSamples, StoredDesign, Fit]:
        orders, turned = start.hyperparameters.orders, samples.stretched(stretch_matrix(at))
        design = StoredDesign(turned, splines, orders)
        return turned, design, refine(design.equations(orders), splines.nodes, start.hyperparameters, floor, rounds=1)

    turned, design, fit = solved(numbers, fit)
    for _ in range(_STEPS):
        step, _ = _gauss_newton(turned, design, splines, fit)
        step *= min(1.0, _LONGEST_STEP / max(float(np.hypot(*step)), 1e-12))
        try:
            tried = solved(numbers + step, fit)
            if tried[2].cost > fit.cost:
                step = _SHORTER * step
                tried = solved(numbers + step, fit)
        except LinAlgError:
            break
        if tried[2].cost > fit.cost:
            break
        numbers, (turned, design, fit) = numbers + step, tried
        if np.hypot(*step) < _SETTLED:
            break
    return numbers, fit


def _gauss_newton(samples: MapSamples, design: StoredDesign, splines: RadialSplines, fit: Fit) -> tuple[Array, float]:
    """Return the step in a and b, (2,), that would explain most of what a fit leaves, and the log likelihood that it promises."""
    slopes, residual = _stretch_slopes(samples, splines, fit), design.residual(fit.hyperparameters.orders, fit.evidence.profiles)
    seen, _ = _taken_up(design, splines, fit, slopes)
    whole, pull = slopes.T @ slopes, slopes.T @ residual
    step = np.linalg.solve(whole - seen.T @ seen + 1e-3 * np.trace(whole) * np.eye(2), pull)
    return step, 0.5 * float(step @ pull) / fit.evidence.variance


def _taken_up(design: StoredDesign, splines: RadialSplines, fit: Fit, slopes: Array) -> tuple[Array, Array]:
    """Return P^T B^T J, (k, 2), and P, (a, nodes, k): what of the slopes J the profiles can take up, their posterior covariance P P^T."""
    point = fit.hyperparameters
    factor = posterior_factor(design.equations(point.orders), splines.nodes, point.radial, point.mixing())
    return np.tensordot(factor, design.projections(point.orders, slopes), axes=((0, 1), (0, 1))), factor


def _stretch_slopes(samples: MapSamples, splines: RadialSplines, fit: Fit) -> Array:
    """Return how the map follows a further small stretch, (pixels, 2), about the mean.

    To first order a stretch on top of another adds (a x + b y, b x - a y) to every offset, and a rotation that the orientation takes up.
    """
    slopes = np.empty((samples.x.size, 2))
    for part in samples.tiles:
        near = defects_near(samples.x[part], samples.y[part], samples.positions, splines.radius)
        dx = samples.x[part, None] - samples.positions[near, 0]
        dy = samples.y[part, None] - samples.positions[near, 1]
        _, by_x, by_y = kernel_with_slopes(splines, fit.hyperparameters.orders, fit.evidence.profiles, dx, dy)
        slopes[part, 0] = (by_x * dx - by_y * dy) @ samples.weights[near]
        slopes[part, 1] = (by_x * dy + by_y * dx) @ samples.weights[near]
    return np.asarray(slopes - slopes.mean(axis=0))
