"""From the file of one map, without a list, to its estimate: what `extract --blind` does for a single map and for each of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qpi_core.base.errors import InputError
from qpi_core.estimates.blind_class_estimate import BlindClassEstimates
from qpi_core.estimates.blind_estimate import BlindEstimate
from qpi_core.extraction.extractor import Extractor
from qpi_core.maps import ScanMap, load_map
from qpi_core.maps.preparation import Prepared
from qpi_core.results.class_files import result_files
from qpi_core.results.files import FOUND_LIST
from qpi_core.results.interchange import positions_csv
from qpi_core.workflows.map_sentences import layer_sentence, preparation_sentences, verdict_sentences
from qpi_core.workflows.one_map import DEFAULT_KERNEL_SIZE, ExtractionOptions, MapFiles, layer_source

FoundInMap = BlindEstimate | BlindClassEstimates


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


def extract_blind_map(inputs: BlindMap, options: ExtractionOptions, extractor: Extractor) -> FoundInMap:
    """Find defects and kernel, or those of several kinds; the estimate says which file, layer and steps it comes from.

    Raises:
        InputError: as Extractor.extract_blind.
    """
    pitch = inputs.prepared.pixel_size_nm if inputs.scan.pixel_size_known else None
    estimate = extractor.extract_blind(
        inputs.prepared.values, inputs.kernel_size, options.classes, pixel_size_nm=pitch, time_limit_s=options.time_limit_s
    )
    assert isinstance(estimate, BlindEstimate | BlindClassEstimates)
    found = estimate.with_source(layer_source(inputs.scan, inputs.prepared, options))
    assert isinstance(found, BlindEstimate | BlindClassEstimates)
    return found


def blind_files(found: FoundInMap, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Return the files of what was found, name -> content: those of an extraction with a list, and the list found."""
    first = found if isinstance(found, BlindEstimate) else next(iter(found.estimates.values()))
    return {FOUND_LIST: positions_csv(first), **result_files(found, formats)}


def describe_blind(inputs: BlindMap, options: ExtractionOptions, found: FoundInMap) -> list[str]:
    """Return plain sentences on what was read, what was found, and whether it is to be trusted."""
    return [
        *inputs.scan.sentences(options.channel),
        layer_sentence(inputs.scan, options),
        *preparation_sentences(inputs.prepared, options),
        *verdict_sentences(found),
        f"{_found_words(found)} found in the map itself.{f' Trusted: {found.reason}' if found.trusted else ''}",
        f"Noise {found.noise_sigma:.4g}, background {found.background:.4g}, method {found.method}.",
    ]


def _found_words(found: FoundInMap) -> str:
    if isinstance(found, BlindEstimate):
        return "1 defect was" if len(found.positions) == 1 else f"{len(found.positions)} defects were"
    counts = [f"{len(one.positions)} of class {name}" for name, one in found.estimates.items()]
    return f"{len(found.positions)} defects ({', '.join(counts)}) were"
