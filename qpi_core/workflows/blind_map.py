"""From the file of one map, without a list, to its estimate: what `extract --blind` does for a single map and for each of many."""

from __future__ import annotations

from dataclasses import dataclass

from qpi_core.base.errors import InputError
from qpi_core.estimates.blind_estimate import BlindEstimate
from qpi_core.extraction.extractor import Extractor
from qpi_core.maps import ScanMap, load_map
from qpi_core.maps.preparation import Prepared
from qpi_core.workflows.map_sentences import layer_sentence, preparation_sentences, verdict_sentences
from qpi_core.workflows.one_map import DEFAULT_KERNEL_SIZE, ExtractionOptions, MapFiles, layer_source


@dataclass(frozen=True, eq=False)
class BlindMap:
    """The map of a file, ready to be searched.

    Attributes:
        scan: the file's map.
        prepared: the chosen layer after the preparation.
        kernel_size: side of the kernel in pixels.
    """

    scan: ScanMap
    prepared: Prepared
    kernel_size: int


def read_blind_map(files: MapFiles, options: ExtractionOptions) -> BlindMap:
    """Read a map, take the layer that is asked for, and prepare it.

    Raises:
        InputError: whatever is wrong with the file or the options; an option that only a list of positions gives a meaning.
    """
    if files.positions_name:
        raise InputError("positions and blind exclude each other: give the list, or let the defects be found.")
    if options.method is not None or options.refine_positions or options.refine_weights or options.stability:
        raise InputError(
            "method, refine-positions, refine-weights and stability are for defects that are given; leave them out with blind."
        )
    scan = load_map(files.scan, files.scan_name, pixel_size_nm=options.pixel_size_nm)
    prepared = options.preparation().apply_to_scan(scan, options.channel, options.bias_mv, options.layer)
    if isinstance(options.kernel_size, str):
        raise InputError("kernel_size auto needs a list of positions; without one give a number of pixels.")
    size = min(DEFAULT_KERNEL_SIZE, *prepared.values.shape) if options.kernel_size is None else options.kernel_size
    return BlindMap(scan, prepared, size)


def extract_blind_map(inputs: BlindMap, options: ExtractionOptions, extractor: Extractor) -> BlindEstimate:
    """Find defects and kernel; the estimate says which file, layer and steps it comes from.

    Raises:
        InputError: as Extractor.extract_blind.
    """
    pitch = inputs.prepared.pixel_size_nm if inputs.scan.pixel_size_known else None
    estimate = extractor.extract_blind(inputs.prepared.values, inputs.kernel_size, pixel_size_nm=pitch, time_limit_s=options.time_limit_s)
    assert isinstance(estimate, BlindEstimate)
    found = estimate.with_source(layer_source(inputs.scan, inputs.prepared, options))
    assert isinstance(found, BlindEstimate)
    return found


def describe_blind(inputs: BlindMap, options: ExtractionOptions, estimate: BlindEstimate) -> list[str]:
    """Return plain sentences on what was read, what was found, and whether it is to be trusted."""
    found = "1 defect was" if len(estimate.positions) == 1 else f"{len(estimate.positions)} defects were"
    return [
        *inputs.scan.sentences(options.channel),
        layer_sentence(inputs.scan, options),
        *preparation_sentences(inputs.prepared, options),
        *verdict_sentences(estimate),
        f"{found} found in the map itself.{f' Trusted: {estimate.reason}' if estimate.trusted else ''}",
        f"Noise {estimate.noise_sigma:.4g}, background {estimate.background:.4g}, method {estimate.method}.",
    ]
