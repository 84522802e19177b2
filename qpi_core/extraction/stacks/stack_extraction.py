"""From an energy stack and one set of positions to the kernel of every layer, for one class of defects or several.

Y_e = b_e + sum_c A_{c,e} * M_c + noise_e
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import MIN_KERNEL_SIZE, require_effort, require_kernel_size, require_noise_model, require_pixel_size
from qpi_core.estimates.class_stack import ClassStackEstimates
from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
from qpi_core.extraction.methods import find_method
from qpi_core.extraction.stacks.stack_input import require_bias, require_layers, require_list, require_stack
from qpi_core.extraction.stacks.stack_run import StackRun, assemble, input_notes
from qpi_core.extraction.windows.window_proposal import WindowProposal
from qpi_core.extraction.windows.window_search import AUTO, find_stack_window, resolve_window
from qpi_core.runtime.progress import Progress, Stopped, no_progress, part_of
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.layers.problem import StackProblem

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

OnLayer = Callable[[int, Any], None]
OnList = Callable[[NDArray[np.float64], NDArray[np.float64]], None]


class StackKeywords(TypedDict, total=False):
    """The keywords of `extract_stack` that do not decide what it returns."""

    bias_mv: ArrayLike | None
    pixel_size_nm: float | tuple[float, float] | None
    kernel_size: int | str
    method: str | None
    weights: ArrayLike | None
    layers: Sequence[int] | None
    refine_positions: bool
    refine_weights: bool
    noise_model: str
    effort: str
    report: Progress | None
    on_layer: OnLayer | None
    on_list: OnList | None


@overload
def extract_stack(
    extractor: Extractor, stack: ArrayLike, positions: ArrayLike, *, classes: None = ..., **asked: Unpack[StackKeywords]
) -> StackEstimate: ...


@overload
def extract_stack(
    extractor: Extractor, stack: ArrayLike, positions: ArrayLike, *, classes: Sequence[object], **asked: Unpack[StackKeywords]
) -> ClassStackEstimates: ...


@overload
def extract_stack(
    extractor: Extractor, stack: ArrayLike, positions: ArrayLike, *, classes: Sequence[object] | None, **asked: Unpack[StackKeywords]
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
    refine_positions: bool = False,
    refine_weights: bool = False,
    noise_model: str = "auto",
    effort: str = "full",
    report: Progress | None = None,
    on_layer: OnLayer | None = None,
    on_list: OnList | None = None,
) -> StackEstimate | ClassStackEstimates:
    """Extract the kernel of every layer of an energy stack, and of every class of defects where there are several.

    `refined` and `harmonic` share between the layers all that depends on positions and measured pixels only. Some pilot layers,
    spread over the energies, choose the kinds of symmetry that occur; each layer then finds its own kernel, noise and radial
    behaviour. Several classes are solved together, each with the kernels of the others marginalised. `refined` adds a free correction
    where the pilots' held-out pixels ask for one (its strength is theirs), and solves with the list that a few layers together prefer
    where they contradict the given one; networks take no part. Every other method runs layer by
    layer. The answer to a layer does not depend on `layers`.

    Args:
        extractor: runs the methods that share nothing.
        stack: (energies, height, width), any units, NaN where not measured; layers without any measured pixel are skipped.
        positions: (n, 2) columns (x, y) in pixels, the same for all layers.
        classes: the class of each defect, such as ["A", "B", "A"]; None is one kernel for all of them.
        bias_mv: (energies,); None where it is not known.
        pixel_size_nm: pitch, one number or (dy, dx); None where it is not known.
        kernel_size: side of the kernels in pixels, at most the shorter side of the map; "auto": the largest that a few layers, spread
            over the energies, ask for (qpi_core.extraction.windows.window_proposal).
        method: a name out of `qpi_core.extraction.methods.METHODS`; None is the default one.
        weights: amplitude of each defect; None is 1.
        layers: indices of the layers wanted; None is all; with none, only the list and what is said of the stack are asked for.
        refine_positions: let several layers together move the defects before the kernels are solved: one list serves all energies, so
            what the layers say adds up.
        refine_weights: let them give each defect an amplitude of its own, the same at all energies.
        noise_model: "auto": `harmonic` and `refined` model background and coloured noise of the layers that ask for it (marginal
            likelihood), each layer by itself; "white": a constant background and white noise.
        effort: "full", or "fast" for many stacks: white noise, the list as it is, and no free correction.
        report: as for `Extractor.extract`, with the share of the layers wanted that are done; where it raises
            `qpi_core.runtime.progress.Stopped`, the layers that are finished by then are returned. In the search for a window ("auto")
            none is, and it is passed on.
        on_layer: called with (index, kernel) as soon as a layer is finished; with classes, with (index, {class: kernel}).
        on_list: called with the positions, (n, 2), and amplitudes, (n,), in use, before the layers are solved.

    Returns:
        The kernels over energy; with classes, one such stack for each, by its name.

    Raises:
        InputError: an argument is not usable; the sentence says which.

    Example:
        >>> import numpy as np
        >>> import qpi_core
        >>> positions = np.array([[12.0, 20.0], [40.0, 33.0], [25.5, 8.0]])
        >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
        >>> observation = qpi_core.simulate_observation(pattern, positions, (48, 56), noise_sigma=0.05, rng=1)
        >>> stack = np.stack([observation, 2 * observation])
        >>> result = qpi_core.extract_stack(
        ...     qpi_core.load_extractor(), stack, positions, bias_mv=[-20.0, 20.0], kernel_size=24, method="tikhonov"
        ... )
        >>> result.kernels.shape, result.bias_mv.tolist(), result.complete
        ((2, 24, 24), [-20.0, 20.0], True)
    """
    chosen = find_method(method)
    array = require_stack(stack)
    shape = (array.shape[1], array.shape[2])
    listed = require_list(positions, weights, classes, shape)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)

    def find() -> WindowProposal:
        # Checked with the smallest window, so that a bad stack is told before any layer is solved.
        require_kernel_size(MIN_KERNEL_SIZE, shape)
        # No layer is done by then, so the share stays where it is.
        tell = part_of(report, 0.0, 0.0)
        return find_stack_window(extractor, array, listed.positions, weights=listed.weights, pixel_size_nm=pitch, report=tell)

    size, proposal = resolve_window(kernel_size, find)
    noise = "white" if require_effort(effort) == "fast" else require_noise_model(noise_model)
    problem = StackProblem(array, listed.by_class(), require_kernel_size(size, shape), pitch, noise)
    energies = require_bias(bias_mv, len(array))
    wanted = require_layers(layers, len(array))
    run = StackRun(extractor, chosen, problem, listed, wanted, report or no_progress, effort)
    finished: dict[int, tuple[LayerKernel, ...]] = {}
    # Whoever asks may want no more at any step: what is finished by then is the answer.
    with suppress(Stopped), one_thread():
        if refine_positions or refine_weights:
            run.refine(refine_positions, refine_weights)
        if on_list is not None:
            on_list(run.listed.positions, run.listed.weights)
        run.mend_list()
        for index, kernels in run.solve(finished):
            finished[index] = kernels
            if on_layer is not None:
                on_layer(index, kernels[0] if classes is None else dict(zip(listed.names, kernels, strict=True)))
            run.say(f"Layer {len(finished)} of {len(wanted)}")
    window: dict[str, object] = {} if proposal is None else {"window": {"chosen": AUTO, **asdict(proposal)}}
    chosen_window = () if proposal is None else (proposal.reason,)
    notes = (*input_notes(array, listed, problem.kernel_size), *chosen_window, *run.refinement_notes(), *run.effort_notes())
    found = {
        name: assemble(run, place, energies, {index: kernels[place] for index, kernels in finished.items()}, notes, window)
        for place, name in enumerate(listed.names)
    }
    return found[""] if classes is None else ClassStackEstimates(found, listed.labels, run.listed.positions, run.listed.weights)
