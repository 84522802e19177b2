"""The layers of one stack over several processes or a cluster: each works on a part of them, with the same answers.

The answer to a layer does not depend on which others are asked for. Methods that share nothing between layers are sent one layer at a
time; the others repeat in every part what all layers share, so there are no more parts than are worked on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.estimates.class_stack import layers_of
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.extraction.stacks.stack_run import SHARED_METHODS
from qpi_core.runtime.executor import Executor
from qpi_core.runtime.threads import one_thread
from qpi_core.workflows.batches import extractor_of_process
from qpi_core.workflows.one_map import MapFiles
from qpi_core.workflows.stack_inputs import StackInputs, StackOptions, read_stack_inputs
from qpi_core.workflows.stack_run import stack_keywords

LayerKernels = Mapping[int, Mapping[str, LayerKernel]]
"""index -> class -> kernel."""


@dataclass(frozen=True)
class StackPart:
    """Some layers of a stack, ready to be sent to another process."""

    files: MapFiles
    options: StackOptions
    layers: tuple[int, ...]


def solve_part(part: StackPart) -> LayerKernels:
    """Solve the layers of a part.

    Raises:
        InputError: whatever is wrong with the files or the options.
    """
    with one_thread():
        inputs = read_stack_inputs(part.files, part.options)
        found: dict[int, Mapping[str, LayerKernel]] = {}
        asked = stack_keywords(inputs)
        asked |= {"layers": part.layers, "on_layer": lambda index, layer: found.update({index: layers_of(layer)})}
        extractor = extractor_of_process(part.options.model, part.options.device)
        extract_stack(extractor, inputs.stack.values, inputs.positions_px, classes=inputs.labels, **asked)
    return found


def parts_of(layers: Sequence[int], method: str, at_once: int) -> list[tuple[int, ...]]:
    """Return the layers in the parts that they are worked on in, neighbours together."""
    count = min(at_once, len(layers)) if method in SHARED_METHODS else len(layers)
    return [tuple(int(index) for index in part) for part in np.array_split(np.asarray(layers, dtype=int), count)] if len(layers) else []


def solve_over(
    executor: Executor,
    given: tuple[MapFiles, StackOptions],
    inputs: StackInputs,
    layers: Sequence[int],
    keep: Callable[[int, Mapping[str, LayerKernel]], None],
) -> None:
    """Solve layers on an executor; each part is kept as it comes.

    Args:
        executor: what runs the work.
        given: the files, as the executor can read them, and what was asked.
        inputs: what they hold.
        layers: that are wanted.
        keep: called with (index, class -> kernel) of each layer.

    Raises:
        InputError: as solve_part.
    """
    files, options = given
    # The window was found already; every part has the same.
    options = replace(options, kernel_size=inputs.kernel_size)
    parts = [StackPart(files, options, part) for part in parts_of(layers, inputs.settings["method"], executor.at_once)]
    for outcome in executor.map(solve_part, parts):
        if outcome.value is None:
            raise outcome.error or InputError("a part of the stack ended without an answer.")
        for index, kernels in outcome.value.items():
            keep(index, kernels)
