"""From the files of a stack to its results in a folder, layer by layer: what the command line does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qpi_core.estimates.class_stack import NO_CLASS, StackResult, stacks_of, with_layers, with_source
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.extraction.bands.band import find_band
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stability.stack_stability import assess_stack
from qpi_core.extraction.stacks.stack_extraction import StackKeywords, extract_stack
from qpi_core.extraction.stacks.stack_findings import StackFindings, find_gap_sign
from qpi_core.qspace.regions import Ring
from qpi_core.results.stacks.layer_folder import LayerFolder
from qpi_core.results.stacks.stack_archive import stack_documents
from qpi_core.results.stacks.stack_files import stack_files
from qpi_core.runtime.progress import Progress, part_of
from qpi_core.workflows.stack_inputs import StackInputs
from qpi_core.workflows.stack_physics import compare_bands, compare_channels


def solve_into(
    out: str | Path,
    inputs: StackInputs,
    extractor: Extractor,
    report: Progress | None = None,
    spread: Callable[[list[int], Callable[[int, Any], None]], None] | None = None,
) -> tuple[StackResult, StackFindings] | None:
    """Solve the layers that a folder does not hold yet, each written as it comes, then write the results.

    Args:
        out: the folder.
        inputs: as read_stack_inputs gives them.
        extractor: for the methods that work layer by layer.
        report: called with the share of the stack's layers that are done, and a few words; what it raises stops the work.
        spread: solves layers elsewhere: called with those that are missing, and with what keeps each; None is here, one by one.

    Returns:
        The kernels and what was found in them, or None where the folder holds these results already.

    Raises:
        InputError: as extract_stack, or a folder that cannot be written or holds something else.
    """
    folder = LayerFolder(out, inputs.settings)
    if folder.finished:
        return None
    names = (NO_CLASS,) if inputs.labels is None else tuple(dict.fromkeys(inputs.labels))
    there = folder.read(inputs.kernel_size, names)
    if spread is not None:
        spread([index for index in range(len(inputs.stack.values)) if index not in there], folder.add)
        there = folder.read(inputs.kernel_size, names)
    result, findings = solve_layers(inputs, extractor, there, folder.add, report)
    folder.finish(stack_result_files(inputs, result, findings))
    return result, findings


def solve_layers(
    inputs: StackInputs,
    extractor: Extractor,
    there: Mapping[int, Mapping[str, LayerKernel]] | None = None,
    on_layer: Callable[[int, Any], None] | None = None,
    report: Progress | None = None,
) -> tuple[StackResult, StackFindings]:
    """Solve the layers that are not there yet and return all kernels with what was found in them.

    Args:
        inputs, extractor, report: as for solve_into.
        there: index -> class -> kernel of the layers that are there.
        on_layer: as for extract_stack.

    Raises:
        InputError: as extract_stack.
    """
    there, total = there or {}, len(inputs.stack.values)
    missing = [index for index in range(total) if index not in there]
    moved = inputs.settings["refine_positions"] or inputs.settings["refine_weights"]
    asked = stack_keywords(inputs)
    asked |= {
        # With every layer there, only the notes and hashes of the stack are asked for, and where the defects have moved.
        "layers": missing or ([0] if moved else []),
        "on_layer": on_layer,
        "report": part_of(report, len(there) / total, 1.0),
    }
    result = extract_stack(extractor, inputs.stack.values, inputs.positions_px, classes=inputs.labels, **asked)
    result = with_layers(with_source(result, inputs.source), there)
    model = compare_bands(inputs, result)
    ring = inputs.settings.get("gap_ring_rad_per_nm")
    bands = {name: find_band(estimate) for name, estimate in stacks_of(result).items()}
    gaps = {} if ring is None else {name: find_gap_sign(estimate, Ring(*ring)) for name, estimate in stacks_of(result).items()}
    tell = part_of(report, 1.0, 1.0)  # the layers themselves are done
    halves = assess_stack(extractor, inputs.stack.values, result, report=tell) if inputs.settings.get("stability") else {}
    standing = compare_channels(extractor, inputs, result)
    return result, StackFindings(bands, model, gaps, halves, standing)


def stack_keywords(inputs: StackInputs) -> StackKeywords:
    """Return what extract_stack is asked for every layer alike."""
    return {
        "bias_mv": inputs.stack.bias_mv,
        "pixel_size_nm": inputs.stack.pixel_size_nm,
        "kernel_size": inputs.kernel_size,
        "method": inputs.settings["method"],
        "refine_positions": inputs.settings["refine_positions"],
        "refine_weights": inputs.settings["refine_weights"],
        "noise_model": inputs.settings["noise_model"],
    }


def stack_result_files(inputs: StackInputs, result: StackResult, findings: StackFindings) -> dict[str, bytes]:
    """Return every file of a solved stack, name to content."""
    return stack_documents(result, findings) | stack_files(result, findings, inputs.settings, inputs.pictures)


def describe_stack(result: StackResult, findings: StackFindings) -> list[str]:
    """Return plain sentences on what was found and what to beware of."""
    first = next(iter(stacks_of(result).values()))
    usable = int(first.usable.sum())
    sentences = [*(f"Warning: {note}" for note in result.notes), f"{usable} of {len(first.kernels)} layers have a kernel."]
    return [*sentences, *findings.sentences()]
