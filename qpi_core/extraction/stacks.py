"""From an energy stack and one set of positions to the kernel of every layer, for one class of defects or several.

Y_e = b_e + sum_c A_{c,e} * M_c + noise_e
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.provenance import array_sha256, json_ready, versions
from qpi_core.base.validation import MIN_KERNEL_SIZE, require_kernel_size, require_pixel_size
from qpi_core.diagnostics.identifiability import warn_about_input
from qpi_core.estimates.class_stack import ClassStackEstimates
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
from qpi_core.extraction.class_methods import require_class_method
from qpi_core.extraction.methods import Method, find_method
from qpi_core.extraction.stack_input import ListedDefects, require_bias, require_layers, require_list, require_stack
from qpi_core.extraction.window_proposal import AUTO, WindowProposal, find_stack_window, resolve_window
from qpi_core.runtime.blas_threads import one_blas_thread
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.layers.shared_solver import NOTHING_MEASURED, SharedSolver, Stop

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

SHARED_METHODS = ("refined", "harmonic")
Progress = Callable[[int, int, str], None]
OnLayer = Callable[[int, Any], None]
Layers = Iterator[tuple[int, tuple[LayerKernel, ...]]]


@overload
def extract_stack(
    extractor: Extractor,
    stack: ArrayLike,
    positions: ArrayLike,
    *,
    classes: None = ...,
    bias_mv: ArrayLike | None = ...,
    pixel_size_nm: float | tuple[float, float] | None = ...,
    kernel_size: int | str = ...,
    method: str | None = ...,
    weights: ArrayLike | None = ...,
    layers: Sequence[int] | None = ...,
    progress: Progress | None = ...,
    cancelled: Stop | None = ...,
    on_layer: OnLayer | None = ...,
) -> StackEstimate: ...


@overload
def extract_stack(
    extractor: Extractor,
    stack: ArrayLike,
    positions: ArrayLike,
    *,
    classes: Sequence[object],
    bias_mv: ArrayLike | None = ...,
    pixel_size_nm: float | tuple[float, float] | None = ...,
    kernel_size: int | str = ...,
    method: str | None = ...,
    weights: ArrayLike | None = ...,
    layers: Sequence[int] | None = ...,
    progress: Progress | None = ...,
    cancelled: Stop | None = ...,
    on_layer: OnLayer | None = ...,
) -> ClassStackEstimates: ...


@overload
def extract_stack(
    extractor: Extractor,
    stack: ArrayLike,
    positions: ArrayLike,
    *,
    classes: Sequence[object] | None,
    bias_mv: ArrayLike | None = ...,
    pixel_size_nm: float | tuple[float, float] | None = ...,
    kernel_size: int | str = ...,
    method: str | None = ...,
    weights: ArrayLike | None = ...,
    layers: Sequence[int] | None = ...,
    progress: Progress | None = ...,
    cancelled: Stop | None = ...,
    on_layer: OnLayer | None = ...,
) -> StackEstimate | ClassStackEstimates: ...


def extract_stack(
    extractor: Extractor,
    stack: ArrayLike,
    positions: ArrayLike,
    *,
    classes: Sequence[object] | None = None,
    bias_mv: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    kernel_size: int | str = 64,
    method: str | None = None,
    weights: ArrayLike | None = None,
    layers: Sequence[int] | None = None,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
    on_layer: OnLayer | None = None,
) -> StackEstimate | ClassStackEstimates:
    """Extract the kernel of every layer of an energy stack, and of every class of defects where there are several.

    `refined` and `harmonic` share between the layers all that depends on positions and measured pixels only. Some pilot layers,
    spread over the energies, choose the kinds of symmetry that occur; each layer then finds its own kernel, noise and radial
    behaviour. Several classes are solved together, each with the kernels of the others marginalised. `refined` adds a free correction
    where the pilots' held-out pixels ask for one (its strength is theirs); networks take no part. Every other method runs layer by
    layer. The answer to a layer does not depend on `layers`.

    Args:
        extractor: runs the methods that share nothing.
        stack: (energies, height, width), any units, NaN where not measured; layers without any measured pixel are skipped.
        positions: (n, 2) columns (x, y) in pixels, the same for all layers.
        classes: the class of each defect, such as ["A", "B", "A"]; None is one kernel for all of them.
        bias_mv: (energies,); None where it is not known.
        pixel_size_nm: pitch, one number or (dy, dx); None where it is not known.
        kernel_size: side of the kernels in pixels, at most the shorter side of the map; "auto": the largest that a few layers, spread
            over the energies, ask for (qpi_core.extraction.window_proposal).
        method: a name out of `qpi_core.extraction.methods.METHODS`; None is the default one.
        weights: amplitude of each defect; None is 1.
        layers: indices of the layers wanted; None is all.
        progress: called with (layers done, layers wanted, what is going on).
        cancelled: asked between steps; once it says True, what is finished is returned.
        on_layer: called with (index, kernel) as soon as a layer is finished; with classes, with (index, {class: kernel}).

    Returns:
        The kernels over energy; with classes, one such stack for each, by its name.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    chosen = find_method(method)
    array = require_stack(stack)
    shape = (array.shape[1], array.shape[2])
    listed = require_list(positions, weights, classes, shape)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    if classes is not None:
        require_class_method(chosen)

    def find() -> WindowProposal:
        # Checked with the smallest window, so that a bad stack is told before any layer is solved.
        require_kernel_size(MIN_KERNEL_SIZE, shape)
        return find_stack_window(extractor, array, listed.positions, weights=listed.weights, pixel_size_nm=pitch)

    size, proposal = resolve_window(kernel_size, find)
    problem = StackProblem(array, listed.by_class(), require_kernel_size(size, shape), pitch)
    energies = require_bias(bias_mv, len(array))
    wanted = require_layers(layers, len(array))
    run = _Run(extractor, chosen, problem, listed, wanted, progress, cancelled or (lambda: False))
    window: dict[str, object] = {} if proposal is None else {"window": {"chosen": AUTO, **asdict(proposal)}}
    notes = (*_input_notes(array, listed, problem.kernel_size), *(() if proposal is None else (proposal.reason,)))
    finished: dict[int, tuple[LayerKernel, ...]] = {}
    with one_blas_thread():
        for index, kernels in run.solve(finished):
            finished[index] = kernels
            if on_layer is not None:
                on_layer(index, kernels[0] if classes is None else dict(zip(listed.names, kernels, strict=True)))
            run.say(f"Layer {len(finished)} of {len(wanted)}")
    found = {
        name: _assemble(run, place, energies, {index: kernels[place] for index, kernels in finished.items()}, notes, window)
        for place, name in enumerate(listed.names)
    }
    return found[""] if classes is None else ClassStackEstimates(found, listed.labels, listed.positions, listed.weights)


@dataclass
class _Run:
    """One extraction: what it solves, and how far it is."""

    extractor: Extractor
    method: Method
    problem: StackProblem
    listed: ListedDefects
    wanted: list[int]
    progress: Progress | None
    stop: Stop
    solver: SharedSolver | None = None
    finished: dict[int, tuple[LayerKernel, ...]] | None = None

    def say(self, message: str) -> None:
        """Tell how many layers are done, and what is going on."""
        if self.progress is not None:
            self.progress(len(self.finished or ()), len(self.wanted), message)

    def solve(self, finished: dict[int, tuple[LayerKernel, ...]]) -> Layers:
        """Yield (index, kernels of all classes) of the layers; finished is where the caller keeps them."""
        self.finished = finished
        if self.method.name in SHARED_METHODS:
            self.solver = SharedSolver(self.problem, self.method.name == "refined", self.say)
            yield from self.solver.solve(self.wanted, self.stop)
        else:
            yield from self._one_by_one()

    def _one_by_one(self) -> Layers:
        problem, listed = self.problem, self.listed
        for index in self.wanted:
            if self.stop():
                return
            values = problem.layer(index)
            if not np.isfinite(values).any():
                yield index, (LayerKernel.empty(problem.kernel_size, NOTHING_MEASURED),) * len(listed.names)
                continue
            arguments = (values, listed.positions)
            options: dict[str, Any] = {"method": self.method.name, "kernel_size": problem.kernel_size, "weights": listed.weights}
            # Without classes the labels are one empty name.
            if listed.names == ("",):
                estimates = [self.extractor.extract(*arguments, pixel_size_nm=problem.pixel_size_nm, **options)]
            else:
                several = self.extractor.extract_classes(*arguments, listed.labels, pixel_size_nm=problem.pixel_size_nm, **options)
                estimates = [several[name] for name in listed.names]
            yield index, tuple(_layer_of(estimate) for estimate in estimates)

    def pilots(self, place: int) -> list[dict[str, object]]:
        """Return what the layers that were solved in full chose for a class."""
        chosen = [] if self.solver is None else self.solver.pilots[place]
        return [{"layer": pilot.layer, "angular_orders": list(pilot.hyperparameters.orders)} for pilot in chosen]


def _layer_of(estimate: KernelEstimate) -> LayerKernel:
    blank = np.full_like(estimate.kernel, np.nan)
    deviation = blank if estimate.uncertainty is None else estimate.uncertainty
    order, warnings = estimate.symmetry_order, estimate.warnings
    return LayerKernel(estimate.kernel, deviation, estimate.background, estimate.noise_sigma, order, warnings)


def _input_notes(array: NDArray[np.floating], listed: ListedDefects, kernel_size: int) -> list[str]:
    for layer in array:
        if np.isfinite(layer).any():
            return [*warn_about_input(np.asarray(layer, dtype=np.float32), listed.positions, kernel_size)]
    return ["Nothing of this stack was measured."]


def _assemble(
    run: _Run,
    place: int,
    energies: NDArray[np.float64],
    finished: dict[int, LayerKernel],
    notes: tuple[str, ...],
    window: dict[str, object],
) -> StackEstimate:
    problem, one, name = run.problem, run.problem.classes[place], run.listed.names[place]
    count = len(problem.stack)
    blank = LayerKernel.empty(problem.kernel_size)
    every = [finished.get(index, blank) for index in range(count)]
    provenance: dict[str, object] = {
        "versions": versions(),
        "method": run.method.name,
        "input": {"stack_sha256": array_sha256(problem.stack), "shape": problem.stack.shape},
        "options": {"kernel_size": problem.kernel_size, "pixel_size_nm": problem.pixel_size_nm},
        "pilots": run.pilots(place),
        **window,
    }
    if name:
        everyone = {"positions_px": run.listed.positions, "weights": run.listed.weights, "classes": run.listed.labels}
        provenance["classes"] = {"class": name, **everyone}
    return StackEstimate(
        kernels=np.stack([one.kernel for one in every]),
        uncertainties=np.stack([one.uncertainty for one in every]),
        noise_sigma=np.array([one.noise_sigma for one in every]),
        background=np.array([one.background for one in every]),
        bias_mv=energies,
        done=np.array([index in finished for index in range(count)]),
        symmetry_order=tuple(one.symmetry_order for one in every),
        warnings=tuple(one.warnings for one in every),
        positions=one.positions,
        weights=one.weights,
        pixel_size_nm=problem.pixel_size_nm,
        method=run.method.name,
        notes=notes,
        provenance=json_ready(provenance),
    )
