"""What each part of a map is, once kernel and noise model are known: posterior means, and the parameters with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.components import MixedModel, evaluate_components
from qpi_core.noise.model import CORES, DRIFT, LATTICE, LONG_PX, ROWS, SMOOTH, STEP, STREAKS, MapNoise, stationary_parameters
from qpi_core.noise.selection import TERMS
from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters
from qpi_core.noise.tiles import PART_PX, Tile, fullest_part
from qpi_core.noise.unlisted_patterns import unlisted_patterns
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.noise_model import noisy_start
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStage

Array = NDArray[np.float64]

_DIFFERENCE = 1e-2
_NAMES = {noisy_start.CORES: CORES, noisy_start.LATTICE: LATTICE, noisy_start.STEP: STEP, noisy_start.DRIFT: DRIFT}
_OPPOSITE = -0.25
"""Strength in units of the mean size, times the sign that was given, below which a defect has the other sign."""
_SQUARE_PX = 64
"""Side of the square of a large map that the errors of its noise parameters are computed on."""


@dataclass(frozen=True, eq=False)
class FoundKernels:
    """What the parts of a map depend on, of its kernels under a noise model.

    Attributes:
        part: (height, width) what they make of the map.
        variance: of the white noise, units of the map squared.
        floor: least noise variance.
        aspect: (dy, dx) of a pixel in the unit of the covariance's lengths.
        whitener: of the noise model.
        positions: (n, 2) the defects, columns (x, y) in px.
        weights: (n,) their strengths in use.
    """

    part: Array
    variance: float
    floor: float
    aspect: tuple[float, float]
    whitener: Whitener | None
    positions: Array
    weights: Array

    @classmethod
    def of_models(cls, models: Sequence[HarmonicModel], shape: tuple[int, int]) -> FoundKernels:
        """Return those of harmonic models, one a class, on a map of this shape."""
        one = models[0]
        part = np.sum([superposition(model, shape) for model in models], axis=0, dtype=np.float64)
        positions = np.concatenate([model.frame.pixels(model.samples.positions) for model in models])
        weights = np.concatenate([model.samples.weights for model in models])
        return cls(np.asarray(part), one.fit.evidence.variance, one.floor, one.aspect, one.whitener, positions, weights)


def described_noise(problem: HarmonicProblem, noisy: NoisyStage[Any], kernels: FoundKernels) -> MapNoise:
    """Return the posterior means of all parts for the kernels as they were found, and the parameters with their errors.

    Args:
        problem: the map.
        noisy: the search's result.
        kernels: under the noise model.
    """
    names, columns, strengths = noisy.effects.names, noisy.effects.columns, noisy.noise.strengths[1:]
    measured = np.isfinite(noisy.values)
    left = np.where(measured, noisy.values - kernels.part, np.nan)
    kept = [k for k, name in enumerate(names) if name not in noisy_start.OF_THE_DESIGN and strengths[k] > 0]
    mixed = MixedModel(left, tuple(columns[k] for k in kept), kernels.aspect, kernels.floor)
    parameters = noisy.noise.parameters
    own = tuple(strengths[k] for k in kept)
    whitener = kernels.whitener
    tiled = whitener is not None and len(whitener.tiles) > 1
    found = _tiled_means(mixed, own, whitener) if tiled and whitener is not None else _means(mixed, parameters, own)
    tiles = whitener.tiles if tiled and whitener is not None else ((slice(None), slice(None)),)
    parts = _parts(found.scaled_residual, parameters, tiles, kernels.aspect)
    for k, effects in zip(kept, found.effects, strict=True):
        parts[_NAMES[names[k]]] = columns[k] @ effects
    variance = kernels.variance
    pitch = problem.pixel_size_nm
    unit = None if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))
    errors = _log_covariance(mixed, parameters, own) if not tiled else _part_covariance(mixed, parameters, own)
    numbers = stationary_parameters(parameters, errors, variance, unit)
    if (drift := noisy.strength(noisy_start.DRIFT)) > 0:
        # As well known as the amplitudes of its waves are many.
        step = float(np.sqrt(drift * variance))
        numbers["row_drift_step_sigma"] = (step, step / float(np.sqrt(2 * columns[names.index(noisy_start.DRIFT)].shape[2])))
    numbers["white_noise_sigma"] = (float(np.sqrt(variance)), float(np.sqrt(variance / (2 * mixed.pixels))))
    unequal, used = noisy.strength(noisy_start.STRENGTHS) > 0, kernels.weights
    spread = float(np.std(used) / np.mean(np.abs(used))) if unequal else 0.0
    if unequal:
        numbers["strength_spread"] = (spread, spread / float(np.sqrt(2 * len(used))))
    if (places := noisy.strength(noisy_start.PLACES)) > 0:
        # Each defect says it twice, by its x and by its y.
        numbers["position_error_px"] = (float(np.sqrt(places * variance)), float(np.sqrt(places * variance / (4 * len(used)))))
    opposite = np.empty((0, 2))
    if unequal:
        relative = used * np.sign(noisy.given) / np.mean(np.abs(used))
        opposite = kernels.positions[relative < _OPPOSITE]
    lengths = {"background": (SMOOTH, parameters.background_length), "streak": (STREAKS, parameters.streak_length)}
    short = [f"{name}_length" for name, (part, _) in lengths.items() if part not in parts and f"{name}_sigma" in numbers]
    return MapNoise(
        parts=parts,
        parameters=numbers,
        strength_spread=spread,
        outliers=np.isfinite(problem.values) & ~measured,
        whitened_residual=found.scaled_residual / np.sqrt(found.variance),
        log_evidence_gain=noisy.evidence - noisy.white,
        signal=float(kernels.part[measured].std()),
        constant=found.background,
        waves=noisy.waves,
        pixel_size_nm=pitch,
        short=short[0] if short else None,
        opposite=opposite,
        # Unequal strengths look like it where they are not modelled.
        strange=np.empty((0, 2)) if tiled else unlisted_patterns(found.scaled_residual),
        step=noisy.step,
    )


@dataclass(frozen=True)
class _Means:
    """What is left of a map besides the kernel, as a noise model has it.

    Attributes:
        scaled_residual: (height, width), Sigma^-1 (left - constant), zero where not measured.
        variance: of the white noise.
        effects: posterior means of the groups, (k_g,) each.
        background: the constant.
    """

    scaled_residual: Array
    variance: float
    effects: tuple[Array, ...]
    background: float


def _means(mixed: MixedModel, parameters: StationaryParameters, strengths: tuple[float, ...]) -> _Means:
    found = evaluate_components(mixed, parameters, strengths)
    return _Means(found.scaled_residual, found.variance, found.effects, found.background)


def _tiled_means(mixed: MixedModel, strengths: tuple[float, ...], whitener: Whitener) -> _Means:
    """Return the same for the covariance of tiles: the means of random effects are v X^T Sigma^-1 (left - constant)."""
    measured = np.isfinite(mixed.values)
    centre = float(np.nanmean(mixed.values))
    image = np.where(measured, mixed.values - centre, 0.0).reshape(-1, 1)
    scaled = whitener.precision(image).reshape(mixed.values.shape)
    effects = tuple(v * np.tensordot(group, scaled, axes=((0, 1), (0, 1))) for v, group in zip(strengths, mixed.groups, strict=True))
    freedom = mixed.pixels - 1
    variance = max(float(image.ravel() @ scaled.ravel()), 0.0) / freedom + mixed.floor
    return _Means(scaled, variance, effects, centre + float(whitener.means(image)[0]))


def _parts(scaled: Array, parameters: StationaryParameters, tiles: tuple[Tile, ...], aspect: tuple[float, float]) -> dict[str, Array]:
    """Return the posterior means of the stationary terms that are long enough to be background."""
    wanted: dict[str, str] = {}
    if parameters.background > 0 and parameters.background_length >= LONG_PX:
        wanted[SMOOTH] = "background"
    if parameters.rows > 0:
        wanted[ROWS] = "rows"
    if parameters.streaks > 0 and parameters.streak_length >= LONG_PX:
        wanted[STREAKS] = "streaks"
    parts = {name: np.zeros(scaled.shape) for name in wanted}
    for tile in tiles if wanted else ():
        image = scaled[tile][..., None]
        covariance = StationaryCovariance((image.shape[0], image.shape[1]), parameters, aspect)
        for name, term in wanted.items():
            parts[name][tile] = covariance.part(term, image)[..., 0]
    return parts


def _part_covariance(mixed: MixedModel, parameters: StationaryParameters, strengths: tuple[float, ...]) -> Array:
    """Return _log_covariance for the part of a large map that the parameters were chosen on, from a smaller square of it.

    What is known of them grows with the area.
    """
    measured = np.isfinite(mixed.values)
    square = fullest_part(measured, np.empty((0, 2)), _SQUARE_PX)
    own = replace(mixed, values=mixed.values[square], groups=tuple(group[square] for group in mixed.groups))
    return _log_covariance(own, parameters, strengths) * min(own.pixels / PART_PX**2, 1.0)


def _log_covariance(mixed: MixedModel, parameters: StationaryParameters, strengths: tuple[float, ...]) -> Array:
    """Return the covariance of the logarithms of the stationary parameters in use (Laplace), (5, 5)."""
    names = StationaryParameters.names()
    terms = [needed for needed in TERMS.values() if getattr(parameters, needed[0]) > 0]
    used = [names.index(name) for needed in terms for name in needed]
    covariance = np.zeros((len(names), len(names)))
    if not used:
        return covariance
    rows = []
    for k in used:
        sides = []
        for sign in (1, -1):
            moved = replace(parameters, **{names[k]: getattr(parameters, names[k]) * float(np.exp(sign * _DIFFERENCE))})
            sides.append(evaluate_components(mixed, moved, strengths).gradient[used])
        rows.append((sides[0] - sides[1]) / (2 * _DIFFERENCE))
    hessian = 0.5 * (np.array(rows) + np.array(rows).T)
    values, vectors = np.linalg.eigh(hessian)
    # What the map leaves open is known to an order of magnitude at best.
    covariance[np.ix_(used, used)] = (vectors / np.maximum(values, 0.2)) @ vectors.T
    return covariance
