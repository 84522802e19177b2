"""All layers of a stack by circular harmonics, with a correction where they do not suffice; what layers share is done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import central_crop
from qpi_core.base.validation import is_constant
from qpi_core.diagnostics.identifiability import warn_about_fit
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, furthest_offset, take_samples
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.layers.layer_solver import NO_PATTERN, HarmonicLayer, LayerSolver
from qpi_core.solvers.layers.pilots import ModelKind, Pilot, choose_pilots, kinds_of_model, solve_pilot
from qpi_core.solvers.layers.shared_correction import SharedCorrection, plan_correction
from qpi_core.solvers.layers.shared_equations import accumulate_layers
from qpi_core.solvers.refined import NO_LONGER_SYMMETRIC, SYMMETRY_LOST

Say = Callable[[str], None]
Stop = Callable[[], bool]

_STEP_PX, _LEAST_RADIUS_PX = 0.8, 72.0
_VALUES_AT_ONCE = 2**26
"""Layers x pixels that go through the design matrix together: 256 MiB."""
NOTHING_MEASURED = "Nothing of this layer was measured."
CONSTANT = "This layer is constant: it holds no information about a kernel."


@dataclass(frozen=True, eq=False)
class StackProblem:
    """A checked stack with its defects.

    Attributes:
        stack: (energies, height, width), NaN where not measured.
        positions: (n, 2) px.
        weights: (n,).
        kernel_size: side of the kernel in px.
        pixel_size_nm: (dy, dx), or None.
    """

    stack: NDArray[np.floating]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    kernel_size: int
    pixel_size_nm: tuple[float, float] | None

    @property
    def aspect(self) -> tuple[float, float]:
        """(dy, dx) of a pixel in units of the square pixel of the same area."""
        if self.pixel_size_nm is None:
            return 1.0, 1.0
        unit = float(np.sqrt(self.pixel_size_nm[0] * self.pixel_size_nm[1]))
        return self.pixel_size_nm[0] / unit, self.pixel_size_nm[1] / unit

    def layer(self, index: int) -> NDArray[np.float32]:
        """Return one layer as float32."""
        return np.asarray(self.stack[index], dtype=np.float32)


@dataclass
class SharedSolver:
    """Solves the layers of a problem one after the other; the answer to a layer does not depend on which others are asked for.

    Attributes:
        problem: the stack.
        corrected: whether a correction may follow the harmonics.
        say: told what is being done before the first layer.
        pilots: the layers that were solved in full.
    """

    problem: StackProblem
    corrected: bool
    say: Say
    pilots: list[Pilot] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort the layers into those without any information and groups of equal measured pixels."""
        self._answers: dict[int, LayerKernel] = {}
        self._groups: dict[bytes, list[int]] = {}
        size = self.problem.kernel_size
        for index in range(len(self.problem.stack)):
            values = self.problem.layer(index)
            measured = np.isfinite(values)
            if not measured.any():
                self._answers[index] = LayerKernel.empty(size, NOTHING_MEASURED)
            elif is_constant(values):
                zero = np.zeros((size, size), dtype=np.float32)
                self._answers[index] = LayerKernel(zero, np.full_like(zero, np.nan), float(np.nanmean(values)), 0.0, None, (CONSTANT,))
            else:
                key = hashlib.sha256(np.packbits(measured).tobytes()).digest()
                self._groups.setdefault(key, []).append(index)

    def solve(self, layers: list[int], stop: Stop) -> Iterator[tuple[int, LayerKernel]]:
        """Yield (index, kernel) of the layers, group by group, until stop() says so; ascending within a group."""
        for index in layers:
            if index in self._answers:
                yield index, self._answers[index]
        waiting = [index for index in layers if index not in self._answers]
        if not waiting or not self._solve_pilots(stop):
            return
        kinds = kinds_of_model(self.pilots)
        orders = tuple(sorted({order for kind in kinds for order in kind.orders}))
        wanted = set(waiting)
        # The largest group holds most pilots, so it decides on the correction for all.
        for members in sorted(self._groups.values(), key=lambda group: (-len(group), group[0])):
            if wanted.isdisjoint(members):
                continue
            yield from self._solve_group(members, wanted, kinds, orders, stop)
            if stop():
                return

    def _solve_pilots(self, stop: Stop) -> bool:
        chosen = choose_pilots(sorted(index for group in self._groups.values() for index in group))
        problem = self.problem
        for number, index in enumerate(chosen):
            if stop():
                return False
            self.say(f"Comparing symmetries on layer {number + 1} of {len(chosen)}")
            args = (problem.positions, problem.kernel_size, problem.weights, problem.pixel_size_nm)
            self.pilots.append(solve_pilot(index, problem.layer(index), *args))
        return not stop()

    def _solve_group(
        self, members: list[int], wanted: set[int], kinds: tuple[ModelKind, ...], orders: tuple[int, ...], stop: Stop
    ) -> Iterator[tuple[int, LayerKernel]]:
        problem = self.problem
        samples = take_samples(problem.layer(members[0]), problem.positions, problem.weights, problem.aspect)
        corner = float(np.hypot(*problem.aspect)) * (problem.kernel_size // 2 + 1)
        splines = RadialSplines(_STEP_PX, min(furthest_offset(samples), max(_LEAST_RADIUS_PX, corner)))
        at_once = max(1, _VALUES_AT_ONCE // samples.values.size)
        correction: SharedCorrection | None = None
        planned = not self.corrected
        for first in range(0, len(members), at_once):
            chunk = members[first : first + at_once]
            if wanted.isdisjoint(chunk) and planned:
                continue
            self.say("Preparing what the layers share")
            shared = accumulate_layers(samples, splines, orders, tuple(chunk), self._values(samples, chunk))
            solver = LayerSolver(shared, kinds, problem.kernel_size, problem.aspect)
            if not planned:
                self.say("Judging whether circular harmonics suffice")
                correction, planned = self._plan(solver, chunk), True
            for index in chunk:
                if stop():
                    return
                if index in wanted:
                    yield index, self._finish(index, solver, correction)

    def _values(self, samples: MapSamples, layers: list[int]) -> NDArray[np.float32]:
        """Return the measured pixels of layers, (layers, pixels), in the order of the samples."""
        places = SolverFrame(self.problem.aspect).indices(samples)
        return np.stack([self.problem.layer(index)[places] for index in layers])

    def _plan(self, solver: LayerSolver, chunk: list[int]) -> SharedCorrection | None:
        problem = self.problem
        asked = [pilot for pilot in self.pilots if pilot.layer in chunk and pilot.gain > LEAST_GAIN]
        asked = asked or [Pilot(index, self.pilots[0].hyperparameters, 0.0, 1.0) for index in choose_pilots(chunk, 1)]
        solved = [solver.solve(pilot.layer) for pilot in asked]
        residuals = [np.nan_to_num(self._residual(pilot.layer, one)) for pilot, one in zip(asked, solved, strict=True)]
        mask = np.isfinite(problem.layer(chunk[0])).astype(np.float32)
        kernels = [one.wide_kernel for one in solved]
        return plan_correction(residuals, kernels, mask, problem.positions, problem.weights, problem.kernel_size)

    def _residual(self, index: int, solved: HarmonicLayer) -> NDArray[np.float32]:
        values = self.problem.layer(index)
        fitted = reconstruct(solved.wide_kernel, solved.background, self.problem.positions, self.problem.weights, values.shape)
        return np.asarray(values - fitted, dtype=np.float32)

    def _finish(self, index: int, solver: LayerSolver, correction: SharedCorrection | None) -> LayerKernel:
        excess = min(self.pilots, key=lambda pilot: abs(pilot.layer - index)).excess
        solved = solver.solve(index, excess)
        values, residual = self.problem.layer(index), self._residual(index, solved)
        kernel, deviation, noise = solver.crop(solved), solved.uncertainty, solved.noise_sigma
        symmetry, warnings = solved.symmetry_order, [] if solved.gain > LEAST_GAIN else [NO_PATTERN]
        if correction is not None:
            change, left, noise = correction.solve(np.nan_to_num(residual))
            size = self.problem.kernel_size
            kernel = kernel + central_crop(change, size)
            deviation = np.maximum(deviation, central_crop(correction.relative_deviation, size) * np.float32(noise))
            residual = np.where(np.isfinite(values), left, np.float32(np.nan))
            if float(np.linalg.norm(central_crop(change, size))) > SYMMETRY_LOST * float(np.linalg.norm(kernel)):
                symmetry = None
                warnings.append(NO_LONGER_SYMMETRIC)
        warnings += warn_about_fit(values, residual, noise)
        return LayerKernel(kernel, deviation, solved.background, noise, symmetry, tuple(warnings))
