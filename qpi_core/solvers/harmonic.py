"""Kernel by empirical-Bayes circular harmonics.

A kernel with n-fold symmetry has the angular orders 0, n, 2 n, ... only. Its radial profiles get a Gaussian-process prior, a
decaying oscillation; decay, wave vector, coherence, noise and the symmetry order itself follow from the marginal
likelihood of the map. Nothing is assumed of the formula of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.errors import InputError
from qpi_core.solvers.harmonic_basis import MapSamples, RadialSplines, design_tiles, take_samples
from qpi_core.solvers.harmonic_evidence import evaluate
from qpi_core.solvers.harmonic_orders import choose_orders, doubtful_orders
from qpi_core.solvers.harmonic_posterior import (
    Laplace,
    Renderer,
    kernel_deviation,
    laplace,
    local_amplitude,
    representation_error,
    with_deviation,
)
from qpi_core.solvers.harmonic_search import SHARED, Fit, refine, without_dephasing
from qpi_core.solvers.harmonic_selection import Selection, log_evidence
from qpi_core.solvers.harmonic_shape import shape_profiles
from qpi_core.solvers.harmonic_start import SYMMETRY_ORDERS, HarmonicStart, start_harmonics
from qpi_core.solvers.harmonic_stretch import (
    Stretch,
    describe_stretch,
    may_be_stretched,
    stretch_deviation,
    stretched_start,
)
from qpi_core.solvers.normal_equations import NormalEquations, accumulate_equations
from qpi_core.solvers.solution import KernelSolution
from qpi_core.solvers.solver_frame import SolverFrame, stretch_matrix
from qpi_core.validation import require_pixel_size, require_problem

Array = NDArray[np.float64]

LEAST_GAIN = 3.0
"""Log evidence over plain noise below which a map is said to show no kernel."""
_PULL = 0.08
"""Error that the floor under the noise variance makes by its pull on the profiles, in units of the deviation that it claims (measured)."""


@dataclass(frozen=True)
class HarmonicModel:
    """Everything that the solve found, for those that go on from it (parametric fit, position refinement).

    Attributes:
        samples: pixels and defects, in solver units (a square pixel of the mean area is 1).
        splines: radial basis.
        equations: normal equations of the chosen orders on all measured pixels.
        fit: best hyperparameters and the posterior there.
        selection: comparison of the symmetry orders.
        aspect: (dy, dx) of a pixel in solver units.
        floor: least noise variance.
        excess: the strongest projection of the residual onto an angular order over that of white noise; 1 where there is none.
        stretch: of the coordinates in which all of this holds; None is nothing.
    """

    samples: MapSamples
    splines: RadialSplines
    equations: NormalEquations
    fit: Fit
    selection: Selection
    aspect: tuple[float, float]
    floor: float
    excess: float
    stretch: Stretch | None = None

    @cached_property
    def frame(self) -> SolverFrame:
        """The coordinates in which all of this holds."""
        return SolverFrame(self.aspect, None if self.stretch is None else self.stretch.matrix)


def solve_harmonic(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    start: HarmonicStart | None = None,
) -> KernelSolution:
    """Return the kernel, its uncertainty, symmetry, wave vector and decay.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in px, fractions allowed and used exactly.
        kernel_size: side of the kernel window in px.
        weights: amplitude of each defect; None is 1 for each.
        pixel_size_nm: (dy, dx) or one number; gives the parameters' units and makes rings round on pixels that are not square.
        symmetry_orders: candidates, out of 0 (isotropic), 1 (none), 2, 3, 4, 6, ...
        start: the first stage of this very problem, where it was made already.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    values, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    candidates = _require_orders(symmetry_orders)
    if is_constant(values):
        return nothing_to_see(values, size)
    model = fit_harmonics(values, points, size, amplitudes, pitch, candidates, start=start, stretchable=True)
    return with_superposition(harmonic_solution(model, size, pitch, len(points)), model, points, values)


def fit_harmonics(
    values: NDArray[np.float32],
    positions: Array,
    kernel_size: int,
    weights: Array,
    pixel_size_nm: tuple[float, float] | None,
    symmetry_orders: tuple[int, ...],
    extended: bool = True,
    start: HarmonicStart | None = None,
    stretchable: bool = False,
) -> HarmonicModel:
    """Return the model behind solve_harmonic; the arguments are checked already.

    With extended=False only the angular orders {0, n} with one shared profile are considered: enough while positions are uncertain.
    With stretchable the model may be one in stretched coordinates (see harmonic_stretch).
    """
    problem = (values, positions, kernel_size, weights, pixel_size_nm, symmetry_orders)
    begun = start or start_harmonics(*problem)
    chosen = None
    if extended and stretchable and (begun.stretch is not None or may_be_stretched(begun, doubtful_orders(begun, symmetry_orders))):
        found = stretched_start(*problem, begun)
        if found is not None:
            stretched, pixels = choose_orders(found, symmetry_orders), begun.samples.values.size
            if stretched.excess > 1:
                chosen = choose_orders(begun, symmetry_orders)
            if chosen is None or log_evidence(stretched.fit, pixels) - np.log(pixels) > log_evidence(chosen.fit, pixels):
                begun, chosen = found, stretched
    if chosen is None:
        chosen = choose_orders(begun, symmetry_orders, extended)
    splines, aspect, floor = begun.splines, begun.aspect, begun.floor
    fit, equations = chosen.fit, chosen.equations
    matrix = None if begun.stretch is None else stretch_matrix(begun.stretch)
    samples = take_samples(values, positions, weights, aspect, stretch=matrix)
    if samples.values.size != begun.samples.values.size:
        subspace = None if equations is None else equations.subspace
        equations = accumulate_equations(samples, splines, fit.hyperparameters.orders, subspace)
        fit = refine(equations, splines.nodes, fit.hyperparameters, floor)
    elif equations is None:
        equations = begun.design.equations(fit.hyperparameters.orders)
    fit = shape_profiles(equations, splines.nodes, fit, floor) if extended else without_dephasing(equations, splines.nodes, fit, floor)
    stretch = None
    if begun.stretch is not None:
        described = extended and stretchable
        stretch = describe_stretch(begun, fit, equations.pixels) if described else Stretch.known(begun.stretch, fit.evidence.profiles)
    return HarmonicModel(samples, splines, equations, fit, chosen.selection, aspect, floor, chosen.excess, stretch)


def _require_orders(symmetry_orders: tuple[int, ...]) -> tuple[int, ...]:
    candidates = tuple(dict.fromkeys(1 if order is None else int(order) for order in symmetry_orders))
    if not candidates or min(candidates) < 0 or max(candidates) > 12:
        raise InputError(f"symmetry_orders must hold whole numbers from 0 to 12, but it is {symmetry_orders!r}.")
    return candidates


def harmonic_solution(
    model: HarmonicModel, size: int, pitch: tuple[float, float] | None, count: int, position_variance: Array | None = None
) -> KernelSolution:
    """Return the answer of a model: a kernel of `size` px, parameters in nm where the pitch (dy, dx) is known; count defects.

    position_variance, (size, size), is what every pixel owes to positions that are not known (joint_positions); None: all are.
    """
    nodes, fit = model.splines.nodes, model.fit
    orders = fit.hyperparameters.orders
    wide = _wide_kernel(model, fit.evidence.profiles, size)
    start = len(wide) // 2 - size // 2
    kernel = wide[start : start + size, start : start + size]
    spread = laplace(model.equations, nodes, fit, model.floor)
    window = Renderer(model.frame.grid(size), model.splines, orders)
    own = kernel_deviation(model.equations, nodes, fit, spread, window)
    if model.stretch is not None:
        own = np.hypot(own, stretch_deviation(model.stretch, model.frame.grid(size), model.splines, fit))
    if position_variance is not None:
        own = np.sqrt(own**2 + position_variance)
    deviation = _honest_deviation(model, own, wide)
    symmetry, probability = _symmetry(model.selection, model.stretch is not None)
    gain = pattern_gain(model)
    parameters = {"symmetry_probability": (probability, 0.0), **_parameters(model, spread, pitch)}
    details: dict[str, float | int | str] = {
        "profiles": fit.hyperparameters.mixing_kind,
        "angular_orders": ",".join(str(order) for order in orders),
        "residual_excess": model.excess,
        "radius_px": model.splines.radius,
        "log_evidence_over_noise": gain,
        **{f"log_evidence_symmetry_{order}": score for order, score in model.selection.scores.items()},
    }
    return KernelSolution(
        kernel=kernel.astype(np.float32),
        wide_kernel=wide.astype(np.float32),
        background=model.equations.background(fit.evidence.profiles),
        noise_sigma=float(np.sqrt(max(fit.evidence.variance - model.floor, 0.0))),
        uncertainty=deviation.astype(np.float32),
        symmetry_order=symmetry if gain > LEAST_GAIN else None,
        parameters=parameters,
        warnings=_warnings(model, gain, symmetry, probability, count),
        details=details,
    )


def _honest_deviation(model: HarmonicModel, deviation: Array, wide: Array) -> Array:
    """Return the posterior deviation, (k, k), with what the model itself leaves out.

    Where the residual is not white, its power in the kernel's own patterns is the noise that counts. Without noise, the floor under
    the noise variance counts no longer, but the error of the radial splines on the wave that was found does.
    """
    radial, left = model.fit.hyperparameters.radial, model.equations.squared_residual(model.fit.evidence.profiles)
    variance = max(left / model.equations.pixels, _PULL**2 * model.floor)
    # Other kernels than a single endless wave need the floor: it also stands for what their model leaves out.
    point = model.fit.hyperparameters
    single = point.mixing_kind == SHARED and point.periodic
    share = variance / (variance + model.floor) if single else 1.0
    fastest = float(radial.wavenumbers.max()) + float(np.exp(-radial.log_coherence))
    missed = representation_error(model.splines, min(fastest, 0.95 * np.pi / model.splines.step)) * np.sqrt(radial.oscillating_share)
    start, size = len(wide) // 2 - len(deviation) // 2, len(deviation)
    amplitude = local_amplitude(wide)[start : start + size, start : start + size]
    return np.asarray(np.sqrt(share * model.excess * deviation**2 + (missed * amplitude) ** 2))


def kernel_without(
    model: HarmonicModel, values: NDArray[np.float32], positions: Array, weights: Array, size: int, held: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the model's kernel, (K, K) with K >= size, as it would be without some pixels, its hyperparameters kept.

    Args:
        model: of this map and these defects.
        values, positions, weights, size: as for fit_harmonics.
        held: (height, width), the pixels that take no part.
    """
    samples = take_samples(np.where(held, np.float32(np.nan), values), positions, weights, model.aspect, stretch=model.frame.stretch)
    point = model.fit.hyperparameters
    equations = accumulate_equations(samples, model.splines, point.orders, model.equations.subspace)
    evidence = evaluate(equations, model.splines.nodes, point.radial, point.mixing(), model.floor)
    return _wide_kernel(model, evidence.profiles, size).astype(np.float32)


def _wide_kernel(model: HarmonicModel, profiles: Array, size: int) -> Array:
    """Return the kernel on a window that holds all of the splines, and size px."""
    half = max(model.frame.reach(model.splines.radius), size // 2)
    return Renderer(model.frame.grid(2 * half + 1), model.splines, model.fit.hyperparameters.orders)(profiles)


def with_superposition(solution: KernelSolution, model: HarmonicModel, positions: Array, values: NDArray[np.float32]) -> KernelSolution:
    """Return the solution with the exact A*M where a defect lies between the pixels."""
    if not np.any(positions != np.round(positions)):
        return solution
    return replace(solution, superposition=superposition(model, (values.shape[0], values.shape[1])))


def superposition(model: HarmonicModel, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return A*M at the measured pixels with every profile evaluated at the true offsets, (height, width); zero elsewhere."""
    image = np.zeros(shape, dtype=np.float32)
    coefficients = model.fit.evidence.profiles @ model.splines.interpolation.T
    samples = model.samples
    columns, rows = np.rint(model.frame.pixels(np.stack([samples.x, samples.y], axis=1))).astype(np.intp).T
    for part, design in design_tiles(samples, model.splines, model.fit.hyperparameters.orders):
        image[rows[part], columns[part]] = np.einsum("apk,ak->p", design, coefficients)
    return image


def _symmetry(selection: Selection, stretched: bool) -> tuple[int | None, float]:
    """Return the most probable symmetry order with its probability; None for no symmetry, or when nothing is probable.

    Of the symmetry of a pattern that was stretched half a turn is left, and that only where the order is even.
    """
    probabilities = selection.probabilities()
    if stretched:
        even = sum(share for order, share in probabilities.items() if order % 2 == 0)
        return (2, even) if even >= 0.5 else (None, 1 - even)
    order = next(iter(selection.scores))
    probability = probabilities[order]
    return (None if order == 1 or probability < 0.5 else order), probability


def pattern_gain(model: HarmonicModel) -> float:
    """Return the log evidence of a kernel over that of noise about a constant."""
    pixels = model.equations.pixels
    nothing = 0.5 * (pixels - 1) * float(np.log(model.equations.total + (pixels - 1) * model.floor))
    return log_evidence(model.fit, pixels) + nothing


def _parameters(model: HarmonicModel, spread: Laplace, pitch: tuple[float, float] | None) -> dict[str, tuple[float, float]]:
    """Return wave vector (2 B of Eq. 7), decay (c of Eq. 7), coherence length, orientation and contrast with deviations."""
    point = model.fit.hyperparameters
    unit = 1.0 if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))
    length = "px" if pitch is None else "nm"
    found = {}
    if model.stretch is not None:
        found["stretch_ratio"], found["stretch_direction_rad"] = model.stretch.ratio, model.stretch.direction
    for wave in range(point.waves):
        name = f"wave_vector_rad_per_{length}" if wave == 0 else f"wave_vector_{wave + 1}_rad_per_{length}"
        found[name] = with_deviation(lambda v, k=2 + wave: float(v[k]) / unit, point, spread.covariance)  # type: ignore[misc]
    found[f"decay_per_{length}2"] = with_deviation(lambda v: float(np.exp(v[0])) / unit**2, point, spread.covariance)
    if not point.periodic:
        found[f"coherence_length_{length}"] = with_deviation(lambda v: float(np.exp(v[1])) * unit, point, spread.covariance)
    if len(point.orders) > 1 and point.mixing_kind == SHARED:
        order = point.orders[1]
        reference = _angle(point.mixing()[:, 0])

        def orientation(vector: Array) -> float:
            turn = _angle(replace(point, vector=vector).mixing()[:, 0]) - reference
            return float(reference + np.angle(np.exp(1j * turn))) / order

        value, deviation = with_deviation(orientation, point, spread.covariance)
        found["orientation_rad"] = (value % (2 * np.pi / order), deviation)

        def contrast(vector: Array) -> float:
            mixing = replace(point, vector=vector).mixing()[:, 0]
            return float(np.hypot(mixing[1], mixing[2]) / abs(mixing[0]))

        found["angular_contrast"] = with_deviation(contrast, point, spread.covariance)
    return found


def _angle(mixing: Array) -> float:
    """Return the phase of the first anisotropic order relative to the isotropic part."""
    sign = -1.0 if mixing[0] < 0 else 1.0
    return float(np.arctan2(sign * mixing[2], sign * mixing[1]))


def _warnings(model: HarmonicModel, gain: float, symmetry: int | None, probability: float, count: int) -> tuple[str, ...]:
    found = []
    if gain < LEAST_GAIN:
        found.append("The map shows no pattern that repeats at the given positions; the kernel is not determined by the data.")
    elif probability < 0.95:
        found.append(f"The data do not decide the kernel's symmetry: the most probable order has a probability of {probability:.2f}.")
    elif symmetry is None:
        found.append("The kernel has no rotational symmetry; it was solved with all low angular orders.")
    if model.excess > 1:
        found.append(
            "The residual still holds structure around the defects: positions may be off, defects missing or of several kinds; "
            "the uncertainty was widened accordingly."
        )
    if model.stretch is not None:
        ratio, angle = model.stretch.ratio[0], float(np.degrees(model.stretch.direction[0]))
        found.append(
            f"The kernel is a symmetric pattern that is {ratio:.3f} times as long along {angle:.0f} degrees (from x towards y) as across: "
            "an elliptic contour, a strained crystal or a sheared image. Wave vectors are geometric means over the directions."
        )
    if count == 1:
        found.append("Only one defect was given: the kernel cannot be told from other features around that defect.")
    positions = model.samples.positions
    if len(np.unique(np.round(positions, 3), axis=0)) < count:
        found.append("Some defects lie at the same position; they act as one of their summed amplitude.")
    if model.equations.pixels < 4 * model.splines.count:
        found.append(f"Only {model.equations.pixels} measured pixels: the kernel rests mostly on the assumption that it is smooth.")
    return tuple(found)


def is_constant(values: NDArray[np.float32]) -> bool:
    """Tell whether a map varies by no more than single precision does."""
    return float(np.nanstd(values, dtype=np.float64)) <= 1e-6 * float(np.nanmax(np.abs(values)))


def nothing_to_see(values: NDArray[np.float32], size: int) -> KernelSolution:
    """Return the empty answer for a constant map."""
    zero = np.zeros((size, size), dtype=np.float32)
    sentence = "The map is constant: it holds no information about a kernel."
    return KernelSolution(zero, zero, float(np.nanmean(values)), 0.0, None, None, {}, (sentence,), {})
