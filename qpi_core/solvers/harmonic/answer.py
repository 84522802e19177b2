"""From a harmonic model to the answer: kernel, honest error bars, symmetry, parameters, and what the data do not say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.caution import NO_PATTERN, ONE_DEFECT, Caution, CautionKind
from qpi_core.estimates.solution import KernelSolution
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate, superpose
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import Selection
from qpi_core.solvers.harmonic.posterior.kernel import (
    Renderer,
    kernel_deviation,
    laplace,
    local_amplitude,
    representation_error,
)
from qpi_core.solvers.harmonic.posterior.parameters import kernel_parameters, solver_pixel
from qpi_core.solvers.harmonic.posterior.remainder import Remainder
from qpi_core.solvers.harmonic.posterior.wave_evidence import wave_evidence
from qpi_core.solvers.harmonic.search import SHARED
from qpi_core.solvers.harmonic.stretch import stretch_deviation

Array = NDArray[np.float64]

_PULL = 0.08
"""Error that the floor under the noise variance makes by its pull on the profiles, in units of the deviation that it claims (measured)."""


def harmonic_solution(
    model: HarmonicModel,
    size: int,
    pitch: tuple[float, float] | None,
    count: int,
    position_variance: Array | None = None,
    remainder: Remainder | None = None,
) -> KernelSolution:
    """Return the answer of a model: a kernel of `size` px, parameters in nm where the pitch (dy, dx) is known; count defects.

    position_variance, (size, size), is what every pixel owes to positions that are not known (joint_positions); None: all are.
    remainder is what the kernel may hold beyond the model.
    """
    nodes, fit = model.splines.nodes, model.fit
    orders, profiles = _whole(model, remainder)
    wide = _wide_kernel(model, orders, profiles, size)
    start = len(wide) // 2 - size // 2
    kernel = wide[start : start + size, start : start + size]
    spread = laplace(model.equations, nodes, fit, model.floor)
    window = Renderer(model.frame.grid(size), model.splines, fit.hyperparameters.orders)
    own = kernel_deviation(model.equations, nodes, fit, spread, window)
    if model.stretch is not None:
        own = np.hypot(own, stretch_deviation(model.stretch, model.frame.grid(size), model.splines, fit))
    if remainder is not None:
        more = Renderer(model.frame.grid(size), model.splines, remainder.orders)(remainder.factor)
        own = np.sqrt(own**2 + np.sum(more**2, axis=-1))
    if position_variance is not None:
        own = np.sqrt(own**2 + position_variance)
    deviation = _honest_deviation(model, own, wide)
    symmetry, probability = _symmetry(model.selection, model.stretch is not None)
    gain = pattern_gain(model)
    # A kernel that cannot be told from nothing has no symmetry to tell of.
    told = gain > LEAST_GAIN and float(np.mean(deviation**2)) < float(np.mean(kernel**2))
    waves = wave_evidence(model.equations, nodes, fit, model.floor) if gain > LEAST_GAIN else ()
    decisive = [wave.decisive for wave in waves]
    parameters = {
        "symmetry_probability": (probability, 0.0),
        **kernel_parameters(fit.hyperparameters, spread.covariance, pitch, model.stretch, decisive),
    }
    details: dict[str, float | int | str] = {
        "profiles": fit.hyperparameters.mixing_kind,
        "angular_orders": ",".join(str(order) for order in fit.hyperparameters.orders),
        "strength_beyond_model": 0.0 if remainder is None else remainder.strength,
        "residual_excess": model.excess,
        "radius_px": model.splines.radius,
        "log_evidence_over_noise": gain,
        **{f"log_evidence_symmetry_{order}": score for order, score in model.selection.scores.items()},
        **{f"log_evidence_wave_{number}": wave.gain for number, wave in enumerate(waves, start=1) if np.isfinite(wave.gain)},
    }
    return KernelSolution(
        kernel=kernel.astype(np.float32),
        wide_kernel=wide.astype(np.float32),
        background=model.equations.background(fit.evidence.profiles) + (0.0 if remainder is None else remainder.offset),
        noise_sigma=float(np.sqrt(max(fit.evidence.variance - model.floor, 0.0))),
        uncertainty=deviation.astype(np.float32),
        symmetry_order=symmetry if told else None,
        parameters=parameters,
        warnings=(
            *_warnings(model, gain, symmetry, probability, count),
            *(wave.sentence(None if pitch is None else solver_pixel(pitch)) for wave in waves if not wave.decisive),
        ),
        details=details,
    )


def _honest_deviation(model: HarmonicModel, deviation: Array, wide: Array) -> Array:
    """Return the posterior deviation, (k, k), with what the model itself leaves out.

    Where the residual is not white, its power in the kernel's own patterns is the noise that counts. Without noise, the floor under
    the noise variance counts no longer, but the error of the radial splines on the wave that was found does.
    """
    left = model.equations.squared_residual(model.fit.evidence.profiles)
    variance = max(left / model.equations.pixels, _PULL**2 * model.floor)
    # Other kernels than a single endless wave need the floor: it also stands for what their model leaves out.
    point = model.fit.hyperparameters
    single = point.mixing_kind == SHARED and point.periodic
    share = variance / (variance + model.floor) if single else 1.0
    return np.asarray(np.sqrt(share * model.excess * deviation**2 + missed_by_splines(model, wide, len(deviation)) ** 2))


def missed_by_splines(model: HarmonicModel, wide: Array, size: int) -> Array:
    """Return the error of the radial splines on the fastest wave of a model where its kernel, (K, K), is as strong: (size, size)."""
    radial = model.fit.hyperparameters.radial
    fastest = float(radial.wavenumbers.max()) + float(np.exp(-radial.log_coherence))
    missed = representation_error(model.splines, min(fastest, 0.95 * np.pi / model.splines.step)) * np.sqrt(radial.oscillating_share)
    start = len(wide) // 2 - size // 2
    return np.asarray(missed * local_amplitude(wide)[start : start + size, start : start + size])


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
    equations = accumulate([ClassBasis(samples, model.splines, point.orders, model.equations.subspace)]).alone()
    evidence = evaluate(equations, model.splines.nodes, point.radial, point.mixing(), model.floor)
    return _wide_kernel(model, point.orders, evidence.profiles, size).astype(np.float32)


def _whole(model: HarmonicModel, remainder: Remainder | None) -> tuple[tuple[int, ...], Array]:
    """Return the angular orders and the profiles, (a, nodes), of a model with what the kernel holds beyond it."""
    orders, profiles = model.fit.hyperparameters.orders, model.fit.evidence.profiles
    return (orders, profiles) if remainder is None else (remainder.orders, remainder.total(orders, profiles))


def _wide_kernel(model: HarmonicModel, orders: tuple[int, ...], profiles: Array, size: int) -> Array:
    """Return the kernel on a window that holds all of the splines, and size px."""
    half = max(model.frame.reach(model.splines.radius), size // 2)
    return Renderer(model.frame.grid(2 * half + 1), model.splines, orders)(profiles)


def with_superposition(
    solution: KernelSolution, model: HarmonicModel, positions: Array, values: NDArray[np.float32], remainder: Remainder | None = None
) -> KernelSolution:
    """Return the solution with the exact A*M where a defect lies between the pixels."""
    if not np.any(positions != np.round(positions)):
        return solution
    return replace(solution, superposition=superposition(model, (values.shape[0], values.shape[1]), remainder))


def superposition(model: HarmonicModel, shape: tuple[int, int], remainder: Remainder | None = None) -> NDArray[np.float32]:
    """Return A*M at the measured pixels with every profile evaluated at the true offsets, (height, width); zero elsewhere."""
    image = np.zeros(shape, dtype=np.float32)
    orders, profiles = _whole(model, remainder)
    image[model.samples.places] = superpose([ClassBasis(model.samples, model.splines, orders)], [profiles])
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


def _warnings(model: HarmonicModel, gain: float, symmetry: int | None, probability: float, count: int) -> tuple[str, ...]:
    found = []
    if gain < LEAST_GAIN:
        found.append(Caution(NO_PATTERN, CautionKind.NO_PATTERN))
    elif probability < 0.95:
        undecided = f"The data do not decide the kernel's symmetry: the most probable order has a probability of {probability:.2f}."
        found.append(Caution(undecided, CautionKind.SYMMETRY))
    elif symmetry is None and model.stretch is None:
        found.append(Caution("The kernel has no rotational symmetry; it was solved with all low angular orders.", CautionKind.SYMMETRY))
    if model.excess > 1:
        found.append(
            Caution(
                "The residual still holds structure around the defects: positions may be off, defects missing or of several kinds; "
                "the uncertainty was widened accordingly.",
                CautionKind.LEFT_AROUND_DEFECTS,
                model.excess,
            )
        )
    if model.stretch is not None:
        found.append(model.stretch.sentence())
    if count == 1:
        found.append(ONE_DEFECT)
    positions = model.samples.positions
    if len(np.unique(np.round(positions, 3), axis=0)) < count:
        found.append(Caution("Some defects lie at the same position; they act as one of their summed amplitude.", CautionKind.SAME_PLACE))
    if model.equations.pixels < 4 * model.splines.count:
        few = f"Only {model.equations.pixels} measured pixels: the kernel rests mostly on the assumption that it is smooth."
        found.append(Caution(few, CautionKind.FEW_PIXELS))
    return tuple(found)
