"""All layers of a stack by circular harmonics, with a correction where they do not suffice; what layers share is done once."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import central_crop
from qpi_core.base.validation import is_constant
from qpi_core.diagnostics.identifiability import warn_about_fit
from qpi_core.estimates.caution import NO_NOISE_MODEL, Caution, CautionKind
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.noise.tiles import can_be_modelled
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, take_samples
from qpi_core.solvers.harmonic.joint.start import samples_of
from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.harmonic.start import splines_for
from qpi_core.solvers.layers.noisy_layers import LayerNoise
from qpi_core.solvers.layers.one_layer.harmonic_layer import HarmonicLayer
from qpi_core.solvers.layers.one_layer.layer_solver import LayerOptions, LayerSolver
from qpi_core.solvers.layers.pilots import FEWER_PILOTS, PILOTS, ModelKind, Pilot, choose_pilots, kinds_of_model, solve_pilot
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem
from qpi_core.solvers.layers.shared_correction import PilotResidual, SharedCorrection, plan_correction
from qpi_core.solvers.layers.stretched_layers import SettledPilots, settle_stretch
from qpi_core.solvers.measured.class_map import PlainClasses
from qpi_core.solvers.measured.model_checks.kernel_or_noise import CLEAN
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStage
from qpi_core.solvers.refined.corrected_kernel import NO_LONGER_SYMMETRIC, SYMMETRY_LOST

_VALUESAT_ONCE = 2**26
"""Layers x pixels that go through the design matrix together: 256 MiB."""
NOTHING_MEASURED = "Nothing of this layer was measured."
TOO_MANY_GAPS = Caution(
    "This layer holds more than kernels and white noise, but has too many gaps for a noise model of its own; it was taken with a constant "
    "background and white noise. Crop it to a part that was measured throughout, or level it first.",
    CautionKind.NOISE_NOT_MODELLED,
)
CONSTANT = "This layer is constant: it holds no information about a kernel."


@dataclass
class SharedSolver:
    """Solves the layers of a problem one after the other; the answer to a layer does not depend on which others are asked for.

    The answer to a layer is one kernel a class, in the order of the classes.

    Attributes:
        problem: the stack.
        corrected: whether a correction may follow the harmonics.
        report: called between the steps with the share of the layers asked for that are finished; what it raises stops the work.
        begun: layer -> several classes under white noise, where that is known already.
        pilots: the layers that were solved in full, for each class.
    """

    problem: StackProblem
    corrected: bool
    report: Progress = no_progress
    begun: Mapping[int, PlainClasses] = field(default_factory=dict)
    pilots: list[list[Pilot]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort the layers into those without any information and groups of equal measured pixels."""
        self._answers: dict[int, tuple[LayerKernel, ...]] = {}
        self.pilots = [[] for _ in self.problem.classes]
        self._noise_models: dict[int, NoisyStage[Any]] = {}
        self._settled = SettledPilots(self.pilots, (None,) * len(self.problem.classes))
        self._groups: dict[bytes, list[int]] = {}
        size, count = self.problem.kernel_size, len(self.problem.classes)
        for index in range(len(self.problem.stack)):
            values = self.problem.layer(index)
            measured = np.isfinite(values)
            if not measured.any():
                self._answers[index] = (LayerKernel.empty(size, NOTHING_MEASURED),) * count
            elif is_constant(values):
                zero = np.zeros((size, size), dtype=np.float32)
                blank = LayerKernel(zero, np.full_like(zero, np.nan), float(np.nanmean(values)), 0.0, None, (CONSTANT,))
                self._answers[index] = (blank,) * count
            else:
                key = hashlib.sha256(np.packbits(measured).tobytes()).digest()
                self._groups.setdefault(key, []).append(index)

    def solve(self, layers: list[int]) -> Iterator[tuple[int, tuple[LayerKernel, ...]]]:
        """Yield (index, kernels) of the layers, group by group; ascending within a group."""
        self._asked, self._finished = len(layers), 0
        for index in layers:
            if index in self._answers:
                self._finished += 1
                yield index, self._answers[index]
        waiting = [index for index in layers if index not in self._answers]
        if not waiting:
            return
        self._solve_pilots()
        kinds = self._kinds = [kinds_of_model(own) for own in self.pilots]
        wanted = set(waiting)
        # The largest group holds most pilots, so it decides on the correction for all.
        for members in sorted(self._groups.values(), key=lambda group: (-len(group), group[0])):
            if wanted.isdisjoint(members):
                continue
            yield from self._solve_group(members, wanted, kinds)

    def _say(self, words: str) -> None:
        self.report(self._finished / self._asked, words)

    def _solve_pilots(self) -> None:
        every = sorted(index for group in self._groups.values() for index in group)
        chosen = list(choose_pilots(every, PILOTS if len(self.problem.classes) == 1 else FEWER_PILOTS))
        found: dict[int, tuple[Pilot, ...]] = {}
        # The one in the middle is a pilot whatever their number; a layer with a noise model takes as long as several without.
        middle = chosen[len(chosen) // 2]
        waiting = [middle, *(index for index in chosen if index != middle)]
        while waiting:
            index = waiting.pop(0)
            self._say(f"Comparing symmetries on layer {len(found) + 1} of {len(found) + 1 + len(waiting)}")
            found[index], noisy = solve_pilot(index, self.problem, self.begun.get(index))
            if noisy is not None:
                self._noise_models[index] = noisy
                if index == middle:
                    waiting = [other for other in choose_pilots(every, FEWER_PILOTS) if other != middle]
        each = [[found[index][k] for index in sorted(found)] for k in range(len(self.problem.classes))]
        self._settled = settle_stretch(each, self._noise_models, self.problem)
        self.pilots = self._settled.pilots
        if not self._settled.is_shared:
            self._groups = {key + bytes(str(k), "ascii"): [k] for key, members in self._groups.items() for k in members}

    def _solve_group(
        self, members: list[int], wanted: set[int], kinds: list[tuple[ModelKind, ...]]
    ) -> Iterator[tuple[int, tuple[LayerKernel, ...]]]:
        problem = self.problem
        samples = take_samples(problem.layer(members[0]), problem.positions, problem.weights, problem.aspect)
        bases, stretches = [], self._settled.at(members[0])
        options = LayerOptions(problem.kernel_size, problem.aspect, stretches)
        for one, own, known in zip(problem.classes, kinds, stretches, strict=True):
            numbers = None if known is None else known.numbers
            seen = samples_of(samples, one, problem.aspect, numbers)
            splines = splines_for(seen, problem.kernel_size, problem.aspect, numbers)
            bases.append(ClassBasis(seen, splines, tuple(sorted({order for kind in own for order in kind.orders}))))
        at_once = max(1, _VALUESAT_ONCE // samples.values.size)
        correction: SharedCorrection | None = None
        planned = not self.corrected
        for first in range(0, len(members), at_once):
            chunk = members[first : first + at_once]
            if wanted.isdisjoint(chunk) and planned:
                continue
            self._say("Preparing what the layers share")
            shared = accumulate(bases, self._values(samples, chunk))
            solver = LayerSolver(shared, kinds, options)
            if not planned:
                self._say("Judging whether circular harmonics suffice")
                correction, planned = self._plan(solver, chunk), True
            yield from self._finish_all([index for index in chunk if index in wanted], chunk, solver, correction)

    def _finish_all(
        self, asked: list[int], chunk: list[int], solver: LayerSolver, correction: SharedCorrection | None
    ) -> Iterator[tuple[int, tuple[LayerKernel, ...]]]:
        """Yield the layers in their order; a few are worked on at once, because no layer depends on another one."""
        waiting: deque[tuple[int, Future[tuple[LayerKernel, ...]]]] = deque()

        def first() -> tuple[int, tuple[LayerKernel, ...]]:
            index, future = waiting.popleft()
            kernels = future.result()
            self._finished += 1
            return index, kernels

        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for index in asked:
                    waiting.append((index, pool.submit(self._finish, index, chunk.index(index), solver, correction)))
                    if len(waiting) == AT_ONCE:
                        yield first()
                while waiting:
                    yield first()
            finally:  # also where whoever asks wants no more
                pool.shutdown(cancel_futures=True)

    def _values(self, samples: MapSamples, layers: list[int]) -> NDArray[np.float32]:
        """Return the measured pixels of layers, (layers, pixels), in the order of the samples."""
        return np.stack([self.problem.layer(index)[samples.places] for index in layers])

    def _plan(self, solver: LayerSolver, chunk: list[int]) -> SharedCorrection | None:
        problem = self.problem
        telling = {pilot.layer for own in self.pilots for pilot in own if pilot.gain > LEAST_GAIN}
        telling -= set(self._noise_models)
        asked = [index for index in chunk if index in telling] or list(choose_pilots(chunk, 1))
        if self._noise_models and telling.isdisjoint(asked):
            # Held-out pixels know white noise only; where there is more, the evidence has chosen.
            return None
        pilots = []
        for index in asked:
            solved = solver.solve(chunk.index(index), index)
            pilots.append(PilotResidual(self._exact_residual(index, solver, solved), [one.wide_kernel for one in solved]))
        mask = np.isfinite(problem.layer(chunk[0])).astype(np.float32)
        return plan_correction(pilots, mask, problem.classes, problem.kernel_size)

    def _residual(self, index: int, solved: list[HarmonicLayer]) -> NDArray[np.float32]:
        """Return what sampled kernels leave of a layer: quick, and good enough to tell whether it is white."""
        values, background = self.problem.layer(index), solved[0].background
        fitted = np.zeros(values.shape, dtype=np.float32)
        for one, found in zip(self.problem.classes, solved, strict=True):
            fitted += reconstruct(found.wide_kernel, 0.0, one.positions, one.weights, values.shape)
        return np.asarray(values - (fitted + np.float32(background)), dtype=np.float32)

    def _is_white(self, index: int, residual: NDArray[np.float32], solver: LayerSolver, solved: list[HarmonicLayer] | None) -> bool:
        """Say whether a residual is white noise; with solved the exact one is looked at where that of sampled kernels is not."""
        aspect, positions = self.problem.aspect, self.problem.positions
        values = self.problem.layer(index)
        if np.nanvar(residual) < CLEAN * np.nanvar(values) or leaves_white_noise(residual, aspect, positions):
            return True
        if solved is None:
            return False
        exact = np.where(np.isfinite(residual), self._exact_residual(index, solver, solved), np.nan)
        return bool(np.nanvar(exact) < CLEAN * np.nanvar(values)) or leaves_white_noise(exact, aspect, positions)

    def _exact_residual(self, index: int, solver: LayerSolver, solved: list[HarmonicLayer]) -> NDArray[np.float32]:
        """Return what the model leaves of a layer, 0 where not measured.

        Between pixels a sampled kernel leaves more than the model that it comes from, and a correction would take that for structure.
        """
        left = np.zeros(self.problem.stack.shape[1:], dtype=np.float32)
        places = solver.samples.places
        left[places] = self.problem.layer(index)[places] - solver.exact(solved) - solved[0].background
        return left

    def _finish(self, index: int, place: int, solver: LayerSolver, correction: SharedCorrection | None) -> tuple[LayerKernel, ...]:
        excess = [min(own, key=lambda pilot: abs(pilot.layer - index)).excess for own in self.pilots]
        solved = solver.solve(place, index, excess)
        values, size = self.problem.layer(index), self.problem.kernel_size
        changes: dict[int, NDArray[np.float32]] = {}
        noise, deviations = solved[0].noise_sigma, {}
        if correction is None:
            residual = self._residual(index, solved)
        else:
            changes, left, noise = correction.solve(self._exact_residual(index, solver, solved))
            residual = np.where(np.isfinite(values), left, np.float32(np.nan))
            relative = zip(correction.classes, correction.relative_deviations, strict=True)
            deviations = {k: central_crop(one, size) * np.float32(noise) for k, one in relative}
        said = warn_about_fit(values, residual, noise)
        if self.problem.noise_model == "auto" and not self._is_white(index, residual, solver, None if correction else solved):
            if not can_be_modelled(np.isfinite(values)):
                said = [*said, TOO_MANY_GAPS]
            else:
                try:
                    search = LayerNoise(self.problem, self._kinds, self._noise_models)
                    noisy = search.find(index, solver.bases, excess, self._settled.at(index))
                except np.linalg.LinAlgError:
                    noisy, said = None, [*said, NO_NOISE_MODEL]
                if noisy is not None:
                    return noisy.answers(values, self.problem.pixel_size_nm)
        answers = []
        for k, found in enumerate(solved):
            kernel, deviation, symmetry = solver.crop(found), found.uncertainty, found.symmetry_order
            warnings = found.sentences(self.problem.pixel_size_nm)
            if k in changes:
                kernel, deviation = kernel + central_crop(changes[k], size), np.maximum(deviation, deviations[k])
                if float(np.linalg.norm(central_crop(changes[k], size))) > SYMMETRY_LOST * float(np.linalg.norm(kernel)):
                    symmetry = None
                    warnings.append(NO_LONGER_SYMMETRIC)
            numbers = (found.background, noise, symmetry, (*warnings, *said))
            answers.append(LayerKernel(kernel, deviation, *numbers, parameters=found.parameters(self.problem.pixel_size_nm)))
        return tuple(answers)
