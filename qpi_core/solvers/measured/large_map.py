"""The noise model of a map that is too large for one covariance: chosen on a part of it, used on all of it, tile by tile.

Which terms there are and how strong they are is as well known from some ten thousand pixels as anybody needs; the kernel is not. So the
hyperparameters are those of the square with the most defects, with the kernel as that square has it, and the kernel is then solved on
every pixel with a covariance of tiles (see qpi_core.noise.tiles). Strengths and cores of single defects are not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.components import MixedModel
from qpi_core.noise.lattice_waves import LatticeWave, find_lattice_waves
from qpi_core.noise.outliers import find_outliers
from qpi_core.noise.row_drift import drift_columns, left_to_rows
from qpi_core.noise.selection import NoiseFit, SelectionOptions, score_white_noise
from qpi_core.noise.tiles import PART_PX, Tile, fullest_part, may_be_tiled, tiles_of
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import design_tiles, take_samples
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.all_pixels import away_from_defects
from qpi_core.solvers.measured.decimated_map import decimated, find_noise_by_stride, stride_of
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import DRIFT, LATTICE, Effects, NoisyStage, NoisyStart

Array = NDArray[np.float64]


def find_noise_of_map(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    begun: HarmonicStart,
    known: NoisyStart | None = None,
    movable: bool = False,
) -> NoisyStart | None:
    """Return the first stage under the noise model that a map of any size asks for; None where white noise explains it.

    Whoever asks again of the same first stage gets what was found.

    Args:
        problem: the map.
        positions, weights: its defects.
        begun: the first stage under white noise.
        known: the answer for another list of the same map, to begin with.
        movable: the listed places may be off; of a large map they are taken as they are.
    """

    def find() -> NoisyStart | None:
        if not may_be_modelled(np.isfinite(problem.values)):
            return find_noise_of_large_map(problem, positions, weights, begun, known=known)
        return find_noise(problem, positions, weights, begun, known=known, movable=movable)

    return begun.remembered(("noise model", movable), find)


def find_noise_of_large_map(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    begun: HarmonicStart,
    options: SelectionOptions | None = None,
    known: NoisyStart | None = None,
) -> NoisyStart | None:
    """Return the first stage under the noise model that the map asks for; None where white noise explains it, or it has too many gaps.

    Args:
        problem: the map.
        positions, weights: its defects.
        begun: the first stage under white noise.
        options: numbers of the choice.
        known: the answer for another list of the same map, to begin with.
    """
    chosen = options or SelectionOptions()
    measured = np.isfinite(problem.values)
    if begun.stretch is not None or is_explained(begun.selection.best, begun.floor) or not may_be_tiled(measured):
        return None
    if not _asks(left_of_part(problem.values, positions, weights, begun), begun, chosen):
        return None
    square = _fullest_square(problem, positions, weights, begun)
    if square is None:
        return None
    own, points, amplitudes, corner = square
    stride, found = stride_of(begun, problem.kernel_size, (measured.shape[0], measured.shape[1])), None
    if stride > 1:
        coarse = _fullest_square(decimated(problem, stride), positions / stride, weights, begun)
        if coarse is not None:
            found = find_noise_by_stride(own, points, amplitudes, (*coarse[:3], stride), chosen)
    if found is None:
        found = find_noise(own, points, amplitudes, own.start(points, amplitudes), chosen, unequal=False, known=known)
    return None if found is None else _on_every_pixel(problem, positions, weights, found, corner)


def _fullest_square(
    problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart
) -> tuple[HarmonicProblem, Array, Array, Array] | None:
    """Return the square with the most defects as a problem of its own: with the defects that it sees, their weights, its corner (x, y)."""
    part = fullest_part(np.isfinite(problem.values), positions, PART_PX)
    near = _near(positions, part, begun)
    corner = np.array([part[1].start, part[0].start], dtype=np.float64)
    return (replace(problem, values=problem.values[part]), positions[near] - corner, weights[near], corner) if near.any() else None


def left_of_part(values: NDArray[np.float32], positions: Array, weights: Array, start: HarmonicStart) -> Array:
    """Return what the kernel of a first stage leaves of the square of a map with the most defects, NaN where not measured."""
    return _left(values, positions, weights, start, fullest_part(np.isfinite(values), positions, PART_PX))


def _left(values: NDArray[np.float32], positions: Array, weights: Array, start: HarmonicStart, part: Tile) -> Array:
    """Return what the kernel of a first stage leaves of a part of the map, (height, width), NaN where not measured."""
    own = values[part]
    samples = take_samples(own, positions - [part[1].start, part[0].start], weights, start.aspect)
    fit = start.selection.best
    coefficients = fit.evidence.profiles @ start.splines.interpolation.T
    left = np.full(own.shape, np.nan)
    rows, columns = samples.places
    for piece, design in design_tiles(samples, start.splines, fit.hyperparameters.orders):
        left[rows[piece], columns[piece]] = samples.values[piece] - np.einsum("apk,ak->p", design, coefficients)
    return left


def _asks(left: Array, begun: HarmonicStart, options: SelectionOptions) -> bool:
    """Say whether what a kernel leaves of a part of the map holds anything but white noise."""
    centred = left - np.nanmean(left)
    model = MixedModel(left, (), begun.aspect, begun.floor)
    chances = score_white_noise(model, centred, begun.selection.best.evidence.variance, options)
    return min(chances.values()) < options.probability or bool(find_outliers(centred).any()) or bool(find_lattice_waves(centred))


def _near(positions: Array, part: Tile, begun: HarmonicStart) -> NDArray[np.bool_]:
    """Return (n,) which defects a part of the map sees."""
    reach = SolverFrame(begun.aspect).reach(begun.splines.radius)
    low, high = np.array([part[1].start, part[0].start]) - reach, np.array([part[1].stop, part[0].stop]) + reach
    return np.asarray(((positions >= low) & (positions < high)).all(axis=1))


def _on_every_pixel(problem: HarmonicProblem, positions: Array, weights: Array, found: NoisyStart, corner: Array) -> NoisyStart:
    """Return a first stage with the whitener of the whole map in place of that of the part, its defects those of the whole list."""
    start, shape = found.start, (problem.values.shape[0], problem.values.shape[1])
    left = _left(problem.values, positions, weights, start, (slice(0, shape[0]), slice(0, shape[1])))
    whole = noise_on_every_pixel(problem.values, left, found, positions, start.aspect)
    pixels = int(np.isfinite(whole.values).sum())
    price = 0.5 * (found.noise.searched - 1) * float(np.log(pixels))
    evidence = log_evidence(start.selection.best, pixels) - 0.5 * whole.whitener.log_determinant - price
    samples = replace(start.samples, positions=SolverFrame(start.aspect).coordinates(positions - corner), weights=weights)
    begun = replace(start, whitener=whole.whitener, samples=samples)
    white = evidence - (found.evidence - found.white)
    return NoisyStart(whole.values, begun, whole.noise, whole.effects, whole.waves, evidence, white, weights)


@dataclass(frozen=True, eq=False)
class WholeNoise:
    """The noise model of a part of a map on all of it.

    Attributes:
        values: (height, width) without outliers (NaN there).
        whitener: of the whole map, in tiles.
        noise, effects, waves: as in NoisyStage.
    """

    values: NDArray[np.float32]
    whitener: Whitener
    noise: NoiseFit
    effects: Effects
    waves: tuple[LatticeWave, ...]


def noise_on_every_pixel(
    values: NDArray[np.float32], left: Array, found: NoisyStage[Any], positions: Array, aspect: tuple[float, float]
) -> WholeNoise:
    """Return the noise model of a part of a map on all of it: the lattice and the outliers are looked for again.

    Args:
        values: (height, width) the map.
        left: (height, width) what the kernels of the part leave of it, NaN where not measured.
        found: of the part.
        positions: (n, 2) of all defects in px.
        aspect: (dy, dx) of a pixel in the unit of the covariance's lengths.
    """
    shape = (values.shape[0], values.shape[1])
    columns, waves, parameters = dict[str, Array](), found.waves, found.noise.parameters
    if found.strength(LATTICE) > 0:
        # The whole map has sharper peaks.
        waves = find_lattice_waves(left) or waves
        columns[LATTICE] = np.concatenate([wave.columns(shape) for wave in waves], axis=2)
    if (drift := found.strength(DRIFT)) > 0:
        columns[DRIFT] = drift_columns(shape)
        shorter = max(left_to_rows(shape[0]) - left_to_rows(min(PART_PX, shape[0])), 0.0)
        parameters = replace(parameters, rows=parameters.rows + drift * shorter)
    effects = Effects(tuple(columns), tuple(columns.values()))
    strengths = (*found.noise.strengths[:1], *(found.strength(name) for name in columns))

    def whitener_of(measured: NDArray[np.bool_]) -> Whitener:
        scaled = [np.sqrt(v) * group for v, group in zip(strengths[1:], effects.columns, strict=True)]
        return Whitener(measured, parameters, scaled, aspect, tiles_of(measured))

    measured = np.isfinite(values)
    whitener = whitener_of(measured)
    white_part = whitener.precision(np.where(measured, left - np.nanmean(left), 0.0).reshape(-1, 1)).reshape(shape)
    outliers = away_from_defects(find_outliers(np.where(measured, white_part, np.nan)), positions)
    if outliers.any() and may_be_tiled(measured & ~outliers):
        values = np.where(outliers, np.float32(np.nan), values)
        whitener = whitener_of(measured & ~outliers)
    return WholeNoise(values, whitener, replace(found.noise, parameters=parameters, strengths=strengths), effects, waves)
