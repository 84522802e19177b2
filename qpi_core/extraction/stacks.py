"""From an energy stack and one set of positions to the kernel of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import array_sha256, json_ready, versions
from qpi_core.base.validation import MAX_PIXELS, require_kernel_size, require_pixel_size, require_positions, require_weights
from qpi_core.diagnostics.identifiability import warn_about_input
from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
from qpi_core.extraction.methods import find_method
from qpi_core.runtime.blas_threads import one_blas_thread
from qpi_core.solvers.layers.shared_solver import NOTHING_MEASURED, SharedSolver, StackProblem, Stop

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

SHARED_METHODS = ("refined", "harmonic")
MAX_STACK_VALUES = 2**31
"""Largest stack that is accepted: 8 GiB in single precision."""

Progress = Callable[[int, int, str], None]
OnLayer = Callable[[int, LayerKernel], None]


def extract_stack(
    extractor: Extractor,
    stack: ArrayLike,
    positions: ArrayLike,
    *,
    bias_mv: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    kernel_size: int = 64,
    method: str | None = None,
    weights: ArrayLike | None = None,
    layers: Sequence[int] | None = None,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
    on_layer: OnLayer | None = None,
) -> StackEstimate:
    """Extract the kernel of every layer of an energy stack.

    `refined` and `harmonic` share between the layers all that depends on positions and measured pixels only. Some pilot layers,
    spread over the energies, choose the kinds of symmetry that occur; each layer then finds its own kernel, noise and radial
    behaviour. `refined` adds a free correction where the pilots' held-out pixels ask for one (its strength is theirs); networks take
    no part. Every other method runs layer by layer. The answer to a layer does not depend on `layers`.

    Args:
        extractor: runs the methods that share nothing.
        stack: (energies, height, width), any units, NaN where not measured; layers without any measured pixel are skipped.
        positions: (n, 2) columns (x, y) in pixels, the same for all layers.
        bias_mv: (energies,); None where it is not known.
        pixel_size_nm: pitch, one number or (dy, dx); None where it is not known.
        kernel_size: side of the kernels in pixels, at most the shorter side of the map.
        method: a name out of `qpi_core.extraction.methods.METHODS`; None is the default one.
        weights: amplitude of each defect; None is 1.
        layers: indices of the layers wanted; None is all.
        progress: called with (layers done, layers wanted, what is going on).
        cancelled: asked between steps; once it says True, what is finished is returned.
        on_layer: called with (index, kernel) as soon as a layer is finished.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    chosen = find_method(method)
    problem = _require_stack_problem(stack, positions, kernel_size, weights, pixel_size_nm)
    energies = _require_bias(bias_mv, len(problem.stack))
    wanted = require_layers(layers, len(problem.stack))
    stop: Stop = cancelled or (lambda: False)
    tell: Progress = progress or (lambda done, total, message: None)
    finished: dict[int, LayerKernel] = {}

    def say(message: str) -> None:
        tell(len(finished), len(wanted), message)

    notes = tuple(_input_notes(problem))
    pilots: list[dict[str, object]] = []
    with one_blas_thread():
        if chosen.name in SHARED_METHODS:
            solver = SharedSolver(problem, chosen.name == "refined", say)
            found = solver.solve(wanted, stop)
        else:
            solver, found = None, _one_by_one(extractor, problem, chosen.name, wanted, stop)
        for index, kernel in found:
            finished[index] = kernel
            if on_layer is not None:
                on_layer(index, kernel)
            say(f"Layer {len(finished)} of {len(wanted)}")
    if solver is not None:
        pilots = [{"layer": pilot.layer, "angular_orders": list(pilot.hyperparameters.orders)} for pilot in solver.pilots]
    provenance = {
        "versions": versions(),
        "method": chosen.name,
        "input": {"stack_sha256": array_sha256(problem.stack), "shape": problem.stack.shape},
        "options": {"kernel_size": problem.kernel_size, "pixel_size_nm": problem.pixel_size_nm},
        "pilots": pilots,
    }
    return _assemble(problem, energies, finished, chosen.name, notes, json_ready(provenance))


def require_layers(layers: Sequence[int] | None, count: int) -> list[int]:
    """Return the wanted layers, ascending, each once.

    Raises:
        InputError: not whole numbers from 0 to count - 1, or none.
    """
    if layers is None:
        return list(range(count))
    wanted = sorted({int(index) for index in layers if isinstance(index, (int, np.integer)) and 0 <= index < count})
    if not wanted or len(wanted) < len(set(layers)):
        raise InputError(f"layers must be whole numbers from 0 to {count - 1}, at least one, but they are {list(layers)!r:.200}.")
    return wanted


def _require_stack_problem(
    stack: ArrayLike, positions: ArrayLike, kernel_size: int, weights: ArrayLike | None, pixel_size_nm: float | tuple[float, float] | None
) -> StackProblem:
    array = np.ma.filled(np.ma.asarray(stack), np.nan) if isinstance(stack, np.ma.MaskedArray) else np.asarray(stack)
    if array.ndim != 3 or array.dtype.kind not in "fiu" or not len(array):
        raise InputError(
            f"stack must be real numbers of shape (energies, height, width), but it has shape {array.shape} and holds {array.dtype}."
        )
    shape = (array.shape[1], array.shape[2])
    if min(shape) < 4:
        raise InputError(f"stack has layers of {shape[1]} x {shape[0]} pixels; at least 4 x 4 are needed.")
    if shape[0] * shape[1] > MAX_PIXELS or array.size > MAX_STACK_VALUES:
        raise InputError(f"stack has {array.size} values; at most {MAX_STACK_VALUES} are accepted, so crop it or take fewer layers.")
    if any(np.isinf(layer).any() for layer in array):
        raise InputError("stack holds infinite values; mark unmeasured pixels as NaN instead.")
    points = require_positions(positions, shape)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    return StackProblem(array, points, require_weights(weights, len(points)), require_kernel_size(kernel_size, shape), pitch)


def _require_bias(bias_mv: ArrayLike | None, count: int) -> NDArray[np.float64]:
    if bias_mv is None:
        return np.full(count, np.nan)
    energies = np.asarray(bias_mv, dtype=np.float64)
    if energies.shape != (count,):
        raise InputError(f"bias_mv must have shape ({count},), one energy a layer, but it has shape {energies.shape}.")
    return energies


def _input_notes(problem: StackProblem) -> list[str]:
    for index in range(len(problem.stack)):
        values = problem.layer(index)
        if np.isfinite(values).any():
            return warn_about_input(values, problem.positions, problem.kernel_size)
    return ["Nothing of this stack was measured."]


def _one_by_one(
    extractor: Extractor, problem: StackProblem, method: str, wanted: list[int], stop: Stop
) -> Iterator[tuple[int, LayerKernel]]:
    for index in wanted:
        if stop():
            return
        values = problem.layer(index)
        if not np.isfinite(values).any():
            yield index, LayerKernel.empty(problem.kernel_size, NOTHING_MEASURED)
            continue
        estimate = extractor.extract(
            values, problem.positions, method, problem.kernel_size, pixel_size_nm=problem.pixel_size_nm, weights=problem.weights
        )
        blank = np.full_like(estimate.kernel, np.nan)
        deviation = blank if estimate.uncertainty is None else estimate.uncertainty
        yield (
            index,
            LayerKernel(estimate.kernel, deviation, estimate.background, estimate.noise_sigma, estimate.symmetry_order, estimate.warnings),
        )


def _assemble(
    problem: StackProblem,
    energies: NDArray[np.float64],
    finished: dict[int, LayerKernel],
    method: str,
    notes: tuple[str, ...],
    provenance: dict[str, object],
) -> StackEstimate:
    count, size = len(problem.stack), problem.kernel_size
    blank = LayerKernel.empty(size)
    every = [finished.get(index, blank) for index in range(count)]
    return StackEstimate(
        kernels=np.stack([one.kernel for one in every]),
        uncertainties=np.stack([one.uncertainty for one in every]),
        noise_sigma=np.array([one.noise_sigma for one in every]),
        background=np.array([one.background for one in every]),
        bias_mv=energies,
        done=np.array([index in finished for index in range(count)]),
        symmetry_order=tuple(one.symmetry_order for one in every),
        warnings=tuple(one.warnings for one in every),
        positions=problem.positions,
        weights=problem.weights,
        pixel_size_nm=problem.pixel_size_nm,
        method=method,
        notes=notes,
        provenance=provenance,
    )
