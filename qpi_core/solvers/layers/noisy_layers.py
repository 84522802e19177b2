"""Layers of a stack that hold more than kernels and white noise: each has a noise model of its own.

What the kernels of a layer leave is tested first, so a stack of white noise is solved as if there were no noise models. Where a layer
fails the test, kernels and noise model are found in turn as for one map (see noise_model.search), beginning with the noise model of
the nearest pilot, and the marginal likelihood of the layer decides whether it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import movements
from qpi_core.diagnostics.identifiability import may_be_modelled, warn_about_fit
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.noise.model import MapNoise
from qpi_core.noise.outliers import find_outliers
from qpi_core.noise.selection import SelectionOptions
from qpi_core.noise.tiles import PART_PX, Tile, fullest_part, may_be_tiled
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import noise_floor
from qpi_core.solvers.layers.one_layer.harmonic_layer import HarmonicLayer
from qpi_core.solvers.layers.one_layer.layer_kernels import LayerKernels, LayerStage, bases_of
from qpi_core.solvers.layers.one_layer.layer_solver import LayerOptions
from qpi_core.solvers.layers.one_layer.layer_stretch import LayerStretch
from qpi_core.solvers.layers.pilots import ModelKind
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.measured.all_pixels import away_from_defects
from qpi_core.solvers.measured.large_map import noise_on_every_pixel
from qpi_core.solvers.measured.map_parts import FoundKernels, described_noise
from qpi_core.solvers.measured.model_checks.free_kernels import predict_unseen_parts
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStage
from qpi_core.solvers.measured.noise_model.search import NoiseSearch
from qpi_core.solvers.positions.catalogue.repaired_positions import SMALL_MOVEMENT_PX

Array = NDArray[np.float64]


def _bases_of_part(
    bases: Sequence[ClassBasis], square: NDArray[np.float32], part: Tile, aspect: tuple[float, float]
) -> list[ClassBasis] | None:
    """Return bases of a square of a layer, with the defects that it sees; None where it sees none of a class."""
    corner = np.array([part[1].start, part[0].start], dtype=np.float64)
    size, found = np.array([square.shape[1], square.shape[0]]), []
    for basis in bases:
        frame = SolverFrame(aspect, basis.samples.stretch)
        places, reach = frame.pixels(basis.samples.positions) - corner, frame.reach(basis.splines.radius)
        near = ((places >= -reach) & (places < size + reach)).all(axis=1)
        if not near.any():
            return None
        samples = take_samples(square, places[near], basis.samples.weights[near], aspect, stretch=frame.stretch)
        found.append(replace(basis, samples=samples))
    return found


@dataclass(frozen=True, eq=False)
class NoisyLayer:
    """A layer under its noise model.

    Attributes:
        solved: the kernels, one a class.
        noise: everything else.
        kernels: the windows of the kernels, (k, k) each.
        pattern: (height, width) what the kernels make of the layer.
        moves: (n, 2) px from the listed positions to those in use, class after class; None where they are as listed.
    """

    solved: list[HarmonicLayer]
    noise: MapNoise
    kernels: list[NDArray[np.float32]]
    pattern: Array
    moves: Array | None = None

    def answers(self, values: NDArray[np.float32], pixel_size_nm: tuple[float, float] | None) -> tuple[LayerKernel, ...]:
        """Return the answers of all classes of a layer with these values, (height, width), and pixels of this pitch (dy, dx)."""
        noise, sigma = self.noise, self.solved[0].noise_sigma
        background = noise.background.astype(np.float32)
        residual = np.asarray(values - self.pattern - background, dtype=np.float32)
        whitened = np.where(np.isfinite(values) & ~noise.outliers, noise.whitened_residual, np.nan)
        off = () if self.moves is None else (_moved(self.moves),)
        said = (*noise.sentences(), *off, *warn_about_fit(values - background, residual, sigma, whitened))
        found = []
        for one, kernel in zip(self.solved, self.kernels, strict=True):
            warnings = (*one.sentences(pixel_size_nm), *said)
            about = (one.background, sigma, one.symmetry_order, warnings)
            terms = (dict(noise.parameters), one.parameters(pixel_size_nm))
            found.append(LayerKernel(kernel, one.uncertainty, *about, background, *terms))
        return tuple(found)


class LayerNoise:
    """Finds the noise models of the layers of a stack."""

    def __init__(self, problem: StackProblem, kinds: Sequence[tuple[ModelKind, ...]], known: Mapping[int, NoisyStage[Any]]) -> None:
        """Remember what the pilots found.

        Args:
            problem: the stack.
            kinds: of model, one tuple a class.
            known: index of a pilot -> its noise model, of those that have one.
        """
        self.problem, self._kinds, self._known = problem, kinds, known

    def find(
        self, index: int, bases: Sequence[ClassBasis], excess: Sequence[float], stretches: tuple[LayerStretch | None, ...]
    ) -> NoisyLayer | None:
        """Return the layer under the noise model that it asks for; None where white noise is as good, it is too large, or
        free kernels predict all of it.

        Args:
            index: of the layer.
            bases: one a class, on the pixels that were measured.
            excess: as for LayerSolver.solve.
            stretches: of the bases.
        """
        values, aspect = self.problem.layer(index), self.problem.aspect
        measured = np.isfinite(values)
        if predict_unseen_parts(values, self.problem.classes, self.problem.kernel_size):
            return None
        options = LayerOptions(self.problem.kernel_size, aspect, stretches, noise_floor(values))
        if may_be_modelled(measured):
            found = self._searched(values, bases_of(bases, values), self.problem.positions, (index, options))
            return None if found is None else self._described(found, index, excess)
        # As for one large map: the noise model of the square with the most defects, then the kernels on every pixel.
        part = fullest_part(measured, self.problem.positions, PART_PX)
        square = values[part]
        near = _bases_of_part(bases, square, part, aspect)
        if not may_be_tiled(measured) or near is None:
            return None
        places = SolverFrame(aspect, near[0].samples.stretch).pixels(near[0].samples.positions)
        found = self._searched(square, near, places, (index, options), unequal=False)
        if found is None or found.start.whitener is None:
            return None
        return self._described(self._on_every_pixel(found, values, bases, (index, options)), index, excess)

    def _searched(
        self,
        values: NDArray[np.float32],
        bases: Sequence[ClassBasis],
        positions: Array,
        about: tuple[int, LayerOptions],
        unequal: bool = True,
    ) -> NoisyStage[LayerStage] | None:
        """Return the kernels and the noise model of a layer, or of a square of it; None where white noise is as good.

        About a layer are its index and its options. With unequal the defects may have strengths and cores of their own.
        """
        shape = (values.shape[0], values.shape[1])
        kernels = LayerKernels(shape, bases, self._kinds, *about)
        outliers = away_from_defects(find_outliers(np.where(np.isfinite(values), kernels.left(kernels.white), np.nan)), positions)
        if outliers.any():
            values = np.where(outliers, np.float32(np.nan), values)
            kernels = LayerKernels(shape, bases_of(bases, values), self._kinds, *about)
        search = NoiseSearch(values, kernels, SelectionOptions(), unequal, unequal and self.problem.movable)
        search.look_for_waves()
        return search.run(self._nearest(about[0]))

    def _on_every_pixel(
        self,
        found: NoisyStage[LayerStage],
        values: NDArray[np.float32],
        bases: Sequence[ClassBasis],
        about: tuple[int, LayerOptions],
    ) -> NoisyStage[LayerStage]:
        """Return the kernels of a whole layer under the noise model of a square of it."""
        shape = (values.shape[0], values.shape[1])
        kernels = LayerKernels(shape, bases_of(bases, values), self._kinds, *about)
        left = np.where(np.isfinite(values), kernels.left_by(found.start.fits), np.nan)
        whole = noise_on_every_pixel(values, left, found, self.problem.positions, self.problem.aspect)
        if whole.values is not values:
            kernels = LayerKernels(shape, bases_of(bases, whole.values), self._kinds, *about)
        stage = kernels.solved(whole.whitener)
        same = (whole.noise, whole.effects, whole.waves, found.evidence, found.white, found.given)
        return NoisyStage(whole.values, stage, *same)

    def _nearest(self, index: int) -> NoisyStage[Any] | None:
        if not self._known:
            return None
        return self._known[min(self._known, key=lambda pilot: abs(pilot - index))]

    def _described(self, found: NoisyStage[LayerStage], index: int, excess: Sequence[float]) -> NoisyLayer:
        problem, stage = self.problem, found.start
        solver, aspect = stage.solver, problem.aspect
        part = np.zeros(problem.stack.shape[1:])
        part[solver.samples.places] = solver.fitted(stage.fits)
        weights = np.concatenate([basis.samples.weights for basis in solver.bases])
        defects = (found.places(problem.positions), weights)
        kernels = FoundKernels(part, stage.variance, noise_floor(found.values), aspect, stage.whitener, *defects)
        whole = HarmonicProblem(problem.layer(index), problem.kernel_size, problem.pixel_size_nm)
        noise = described_noise(whole, found, kernels)
        solved = solver.answers(stage.fits, 0, excess)
        sigma = float(np.hypot(solved[0].noise_sigma, noise.coloured_sigma))
        answers = [replace(one, background=noise.constant, noise_sigma=sigma) for one in solved]
        return NoisyLayer(answers, noise, [solver.crop(one) for one in solved], part, found.moves)


def _moved(moves: Array) -> Caution:
    """Return how far the places of a layer's defects were led from the list, in words."""
    far = np.hypot(*moves.T)
    kind = CautionKind.MOVED if float(np.median(far)) < SMALL_MOVEMENT_PX else CautionKind.LIST_CONTRADICTED
    return Caution(f"The layer contradicts the places of the list; its kernel is that of defects moved by {movements(far)}.", kind)
