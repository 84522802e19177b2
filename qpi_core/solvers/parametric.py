"""Kernel by a least-squares fit of Eq. 7: the one method that knows the formula.

    A(r, theta) = s sin^2(n theta / 2 + phi1) sin^2(B r + phi2) exp(-c r^2)

The symmetry order n and the starting point come from the harmonic solver. The fit runs on the harmonic normal equations (a
few hundred numbers whatever the map's size), then ends with exact steps on the map itself where that is affordable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from qpi_core.base.validation import is_constant, require_pixel_size, require_problem
from qpi_core.estimates.caution import NO_PATTERN, Caution, CautionKind
from qpi_core.estimates.solution import KernelSolution
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.fit import nothing_to_see
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, fit_harmonics, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior import KernelGrid
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.harmonic.wave_evidence import wave_evidence

Array = NDArray[np.float64]

_EXACT_PAIRS = 4_000_000
_PAIRS_AT_ONCE = 400_000
_EXACT_STEPS = 4
_PHASES = 12


@dataclass(frozen=True)
class EquationSeven:
    """Eq. 7 with its parameters as a vector (s, phi1, phi2, B, c) in the solver's unit of length.

    Attributes:
        order: symmetry order n; 0 is isotropic, and then phi1 stays at pi / 2.
        vector: (5,).
    """

    order: int
    vector: Array

    @property
    def free(self) -> list[int]:
        """Indices of the parameters that are fitted."""
        return [0, 2, 3, 4] if self.order == 0 else [0, 1, 2, 3, 4]

    def radial(self, radii: Array) -> tuple[Array, Array]:
        """Return sin^2(B r + phi2) exp(-|c| r^2) and its derivatives by (phi2, B, c), (3, ...).

        The magnitude keeps a step of the fit beyond c = 0 from making a pattern that grows without end.
        """
        _, _, phase, wavenumber, decay = self.vector
        turn = 2 * (wavenumber * radii + phase)
        envelope = np.exp(-abs(decay) * radii**2)
        value = 0.5 * (1 - np.cos(turn)) * envelope
        by_phase = np.sin(turn) * envelope
        return value, np.stack([by_phase, radii * by_phase, -np.sign(decay) * radii**2 * value])

    def angular(self, theta: Array) -> tuple[Array, Array]:
        """Return sin^2(n theta / 2 + phi1) and its derivative by phi1."""
        turn = self.order * theta + 2 * self.vector[1]
        return 0.5 * (1 - np.cos(turn)), np.sin(turn)

    def values(self, dx: Array, dy: Array) -> tuple[Array, Array]:
        """Return the kernel at offsets and its derivatives by all five parameters, (5, ...)."""
        radial, by_radial = self.radial(np.hypot(dx, dy))
        angular, by_angular = self.angular(np.arctan2(dy, dx))
        amplitude = self.vector[0]
        slopes = [radial * angular, amplitude * radial * by_angular, *(amplitude * by_radial * angular)]
        return slopes[0] * amplitude, np.stack(slopes)

    def profiles(self, nodes: Array) -> tuple[Array, Array]:
        """Return the radial profiles of 1, cos(n theta), sin(n theta), (a, nodes), and their derivatives, (5, a, nodes)."""
        radial, by_radial = self.radial(nodes)
        amplitude, twice = self.vector[0], 2 * self.vector[1]
        if self.order == 0:
            mixing, by_mixing = np.ones(1), np.zeros(1)
        else:
            mixing = 0.5 * np.array([1.0, -np.cos(twice), np.sin(twice)])
            by_mixing = np.array([0.0, np.sin(twice), np.cos(twice)])
        slopes = [np.outer(mixing, radial), amplitude * np.outer(by_mixing, radial), *(amplitude * mixing[:, None] * by_radial[:, None, :])]
        return slopes[0] * amplitude, np.stack(slopes)


@dataclass(frozen=True)
class EquationFit:
    """A fitted Eq. 7.

    Attributes:
        kernel: the formula with its best parameters.
        covariance: (5, 5) of its vector; zero for what is not fitted.
        misfit: sum of squares that it leaves of the map.
        background: constant b.
    """

    kernel: EquationSeven
    covariance: Array
    misfit: float
    background: float


def solve_parametric(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
) -> KernelSolution:
    """Return the kernel of Eq. 7 that fits the map best, with error bars; arguments as in solve_harmonic.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    values, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    if is_constant(values):
        return nothing_to_see(values, size)
    model = fit_harmonics(values, points, size, amplitudes, pitch, symmetry_orders)
    fit = fit_equation_seven(model, tuple(order for order in symmetry_orders if order != 1) or (0,))
    return _solution(model, fit, size, pitch)


def fit_equation_seven(model: HarmonicModel, symmetry_orders: tuple[int, ...]) -> EquationFit:
    """Return the best fit of Eq. 7, over the orders too where the harmonic model is not of the form {0, n}."""
    found = model.fit.hyperparameters.orders
    if len(found) <= 2 and found[-1] != 1 and model.equations.subspace is None:
        candidates = {found[-1]: model.equations}
    else:
        candidates = {
            order: accumulate([ClassBasis(model.samples, model.splines, (0, order) if order else (0,))]).alone()
            for order in symmetry_orders
        }
    fits = [_fit_normal_equations(model, equations, order) for order, equations in candidates.items()]
    best = min(fits, key=lambda fit: fit.misfit)
    if model.samples.values.size * len(model.samples.positions) <= _EXACT_PAIRS:
        best = _polish(best, model.samples)
    return best


def _fit_normal_equations(model: HarmonicModel, equations: NormalEquations, order: int) -> EquationFit:
    """Return the fit on normal equations: the misfit is a quadratic form of the profiles, written as a sum of squares."""
    nodes = model.splines.nodes
    size = len(equations.projection) * nodes.size
    values, vectors = np.linalg.eigh(equations.gram.transpose(0, 2, 1, 3).reshape(size, size))
    kept = values > 1e-12 * values[-1]
    root = np.sqrt(values[kept])
    whiten = (vectors[:, kept] * root).T
    target = (vectors[:, kept].T @ equations.projection.ravel()) / root
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
    covariance = _covariance(np.asarray(best.jac), misfit / max(equations.pixels - len(free) - 1, 1), free)
    return EquationFit(kernel, covariance, misfit, equations.background(kernel.profiles(nodes)[0]))


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


def _covariance(jacobian: Array, variance: float, free: list[int]) -> Array:
    full = np.zeros((5, 5))
    full[np.ix_(free, free)] = variance * np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
    return full


def _polish(fit: EquationFit, samples: MapSamples) -> EquationFit:
    """Return the fit after Gauss-Newton steps on the map, the formula evaluated at every pixel and defect."""
    free = fit.kernel.free
    kernel, best = fit.kernel, None
    centred = samples.values - samples.values.mean()
    for _ in range(_EXACT_STEPS):
        predicted, slopes = _predict(kernel, samples)
        residual = centred - (predicted - predicted.mean())
        jacobian = (slopes - slopes.mean(axis=1, keepdims=True))[free].T
        misfit = float(residual @ residual)
        if best is not None and misfit > best.misfit * (1 - 1e-9):
            return best if misfit > best.misfit else replace(best, kernel=kernel, misfit=misfit)
        covariance = _covariance(jacobian, misfit / max(centred.size - len(free) - 1, 1), free)
        best = EquationFit(kernel, covariance, misfit, float(samples.values.mean() - predicted.mean()))
        step, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
        vector = kernel.vector.copy()
        vector[free] += step
        kernel = replace(kernel, vector=vector)
    assert best is not None
    return best


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


def _solution(model: HarmonicModel, fit: EquationFit, size: int, pitch: tuple[float, float] | None) -> KernelSolution:
    half = max(int(np.floor(model.splines.radius / min(model.aspect))), size // 2)
    window = KernelGrid.of_size(2 * half + 1, model.aspect)
    wide, slopes = fit.kernel.values(window.dx, window.dy)
    start = half - size // 2
    crop = slice(start, start + size)
    deviation = np.sqrt(np.maximum(np.einsum("iyx,ij,jyx->yx", slopes[:, crop, crop], fit.covariance, slopes[:, crop, crop]), 0.0))
    pixels = model.equations.pixels
    variance = fit.misfit / max(pixels - len(fit.kernel.free) - 1, 1)
    own_evidence = -0.5 * (pixels - 1) * float(np.log(fit.misfit + pixels * model.floor)) - 2.5 * float(np.log(pixels))
    advantage = log_evidence(model.fit, pixels) - own_evidence
    assumed = "This method knows Eq. 7: for a kernel of any other family its kernel and its error bars mean nothing."
    warnings = [Caution(assumed, CautionKind.FORMULA)]
    if advantage > 10:
        worse = "Eq. 7 fits the map much worse than a kernel without a formula does: the kernel is not of that family."
        warnings.append(Caution(worse, CautionKind.WRONG_FORMULA))
    unseen = pattern_gain(model) < LEAST_GAIN
    if unseen:
        warnings.append(Caution(NO_PATTERN, CautionKind.NO_PATTERN))
    parameters = _parameters(fit, pitch)
    waves = () if unseen else wave_evidence(model.equations, model.splines.nodes, model.fit, model.floor)
    if waves and not any(wave.decisive for wave in waves):
        # What a kernel without a formula does not show, the formula only assumes.
        parameters = {name: pair for name, pair in parameters.items() if not name.startswith("wave")}
        warnings.append(waves[0].sentence(None if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))))
    return KernelSolution(
        kernel=wide[crop, crop].astype(np.float32),
        wide_kernel=wide.astype(np.float32),
        background=fit.background,
        noise_sigma=float(np.sqrt(variance)),
        uncertainty=deviation.astype(np.float32),
        symmetry_order=None if unseen else fit.kernel.order,
        parameters=parameters,
        warnings=tuple(warnings),
        details={"knows_formula": True, "log_evidence_of_harmonic_over_formula": advantage},
    )


def _parameters(fit: EquationFit, pitch: tuple[float, float] | None) -> dict[str, tuple[float, float]]:
    unit = 1.0 if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))
    length = "px" if pitch is None else "nm"
    amplitude, turn, phase, wavenumber, decay = fit.kernel.vector
    deviation = np.sqrt(np.maximum(fit.covariance.diagonal(), 0.0))
    if wavenumber < 0:
        wavenumber, phase = -wavenumber, -phase
    found = {
        "amplitude": (float(amplitude), float(deviation[0])),
        "phase_rad": (float(phase % np.pi), float(deviation[2])),
        f"wavenumber_rad_per_{length}": (float(wavenumber) / unit, float(deviation[3]) / unit),
        f"wave_vector_rad_per_{length}": (2 * float(wavenumber) / unit, 2 * float(deviation[3]) / unit),
        f"decay_per_{length}2": (abs(float(decay)) / unit**2, float(deviation[4]) / unit**2),
    }
    if fit.kernel.order:
        found["orientation_phase_rad"] = (float(turn % np.pi), float(deviation[1]))
    return found
