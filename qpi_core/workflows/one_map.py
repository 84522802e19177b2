"""From the files of one map to its estimate: what the command line does for a single map and for each of many."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import bytes_sha256, json_ready
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.blind.blind_answer import DEFAULT_TIME_LIMIT_S
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stability.assessment import assess, assess_classes
from qpi_core.extraction.stability.halves import require_enough_defects
from qpi_core.maps import ScanMap, load_map, load_positions
from qpi_core.maps.positions.files import LoadedPositions
from qpi_core.maps.preparation import Level, Preparation, Prepared, inside
from qpi_core.maps.readers.shared.source import read_source

DEFAULT_KERNEL_SIZE = 64


@dataclass(frozen=True)
class ExtractionOptions:
    """What is asked of every map alike; None is the default that stands beside each option of the command line.

    Attributes:
        method: name of a method.
        kernel_size: side of the kernel in pixels, or "auto": as the pattern asks for.
        channel, bias_mv, layer: which layer of the file.
        level: a kind of levelling, "none" for none; the short form of a preparation with this one step.
        prepare: preparation steps; not together with level.
        pixel_size_nm: (dy, dx) or one number; overrides what the file says.
        refine_positions, refine_weights: let the map move the defects, and give each its own amplitude.
        model, device: the networks, and where they run.
        stability: compare the kernels of two halves of the defects, and say in the side-car how far they agree.
        noise_model: "auto" or "white", as for Extractor.extract.
        effort: "full" or "fast", as for Extractor.extract.
        blind: find the defects in the map itself; there is no list, and no method is chosen.
        classes: kinds of defects that are looked for with blind.
        time_limit_s: of the search for them.
        pictures: formats of the pictures that are written.
    """

    method: str | None = None
    kernel_size: int | str | None = None
    channel: str | None = None
    bias_mv: float | None = None
    layer: int | None = None
    level: str = "none"
    prepare: Preparation = Preparation()
    pixel_size_nm: float | tuple[float, float] | None = None
    refine_positions: bool = False
    refine_weights: bool = False
    model: str | None = None
    device: str = "auto"
    stability: bool = False
    noise_model: str = "auto"
    effort: str = "full"
    blind: bool = False
    classes: int = 1
    time_limit_s: float = DEFAULT_TIME_LIMIT_S
    pictures: tuple[str, ...] = ("png",)

    def record(self) -> dict[str, Any]:
        """Return the options in strict JSON types; those of the blind extraction and other pictures only where asked for."""
        values = {**asdict(self), "prepare": self.prepare.to_json()}
        if not self.blind:
            del values["blind"], values["time_limit_s"]
        if self.classes == 1:
            del values["classes"]
        if self.pictures == ("png",):
            del values["pictures"]
        return dict(json_ready(values))

    def preparation(self) -> Preparation:
        """Return the steps that level or prepare ask for.

        Raises:
            InputError: both are given, or no such kind of levelling.
        """
        if self.level == "none":
            return self.prepare
        if self.prepare.steps:
            raise InputError("level and prepare exclude each other; put the levelling into the list of steps.")
        return Preparation((Level(self.level),))


@dataclass(frozen=True)
class MapFiles:
    """A map and the list of its defects, each a path or the content of a file with its name."""

    scan: str | bytes
    positions: str | bytes
    scan_name: str
    positions_name: str

    @classmethod
    def at(cls, scan: str | Path, positions: str | Path) -> MapFiles:
        """Return the files at two paths."""
        return cls(str(scan), str(positions), Path(scan).name, Path(positions).name)

    def loaded(self) -> MapFiles:
        """Return the same files as contents, for a machine that cannot see the paths.

        Raises:
            InputError: one of them cannot be read.
        """
        # Without a list there is nothing to read in its place.
        sources = (self.scan, self.positions or b"")
        scan, positions = (source if isinstance(source, bytes) else read_source(source)[0] for source in sources)
        return MapFiles(scan, positions, self.scan_name, self.positions_name)


@dataclass(frozen=True, eq=False)
class MapInputs:
    """What the files of a map hold, checked and ready to be solved.

    Attributes:
        scan: the file's map.
        prepared: the chosen layer after the preparation.
        positions: the defects as the file lists them, on the raw map.
        positions_px: (n, 2) those of them that lie on the prepared layer, in its pixels.
        labels: the class of each of these, where the list names several classes; else None.
        positions_sha256: hash of the list's file.
        kernel_size: side of the kernel in pixels, or "auto".
    """

    scan: ScanMap
    prepared: Prepared
    positions: LoadedPositions
    positions_px: NDArray[np.float64]
    labels: tuple[str, ...] | None
    positions_sha256: str
    kernel_size: int | str

    @property
    def pixel_size_nm(self) -> tuple[float, float] | None:
        """Return (dy, dx) of the prepared layer, None where neither the file nor the user says."""
        return self.prepared.pixel_size_nm if self.scan.pixel_size_known else None


def read_inputs(files: MapFiles, options: ExtractionOptions) -> MapInputs:
    """Read a map and its positions, take the layer that is asked for, and prepare it; positions move along.

    Raises:
        InputError: whatever is wrong with the files or the options, in one sentence.
    """
    scan = load_map(files.scan, files.scan_name, pixel_size_nm=options.pixel_size_nm, channel=options.channel)
    pitch = scan.pixel_size_nm if scan.pixel_size_known else None
    listed, name = read_source(files.positions, files.positions_name)
    positions = load_positions(listed, name, pixel_size_nm=pitch, shape=scan.shape, frame=scan.scanner_frame)
    prepared = options.preparation().apply_to_scan(scan, options.channel, options.bias_mv, options.layer)
    height, width = prepared.values.shape
    moved = prepared.coordinates.forward(positions.positions_px)
    there = inside(moved, (height, width))
    moved = moved[there]
    if not len(moved):
        raise InputError(f"None of the {len(positions.positions_px)} positions lies on the prepared layer; crop less, or mark others.")
    labels = _several_classes(positions.labels, there)
    if options.stability:
        require_enough_defects(len(moved), labels)
    size = min(DEFAULT_KERNEL_SIZE, height, width) if options.kernel_size is None else options.kernel_size
    return MapInputs(scan, prepared, positions, moved, labels, bytes_sha256(listed), size)


def _several_classes(labels: tuple[str, ...] | None, there: NDArray[np.bool_]) -> tuple[str, ...] | None:
    """Return the classes of the defects that are there; None where they are of one class."""
    kept = () if labels is None else tuple(label for label, stays in zip(labels, there, strict=True) if stays)
    return kept if len(set(kept)) > 1 else None


def extract_inputs(inputs: MapInputs, options: ExtractionOptions, extractor: Extractor) -> KernelEstimate | ClassEstimates:
    """Extract the kernel, or one a class; the estimate says which file, layer, steps and list it comes from.

    Raises:
        InputError: as Extractor.extract and Extractor.extract_classes.
    """
    if inputs.labels is not None:
        classes = extractor.extract_classes(
            inputs.prepared.values,
            inputs.positions_px,
            inputs.labels,
            options.method,
            inputs.kernel_size,
            options.refine_positions,
            options.refine_weights,
            inputs.pixel_size_nm,
            noise_model=options.noise_model,
            effort=options.effort,
        )
        if options.stability:
            classes = _classes_with_stability(classes, inputs, extractor)
        return classes.with_source({**_source(inputs, options), **_in_the_scanner(inputs, classes.positions)})
    estimate = extractor.extract(
        inputs.prepared.values,
        inputs.positions_px,
        options.method,
        inputs.kernel_size,
        options.refine_positions,
        options.refine_weights,
        inputs.pixel_size_nm,
        noise_model=options.noise_model,
        effort=options.effort,
    )
    if options.stability:
        estimate = _with_stability(estimate, inputs, extractor)
    return estimate.with_source({**_source(inputs, options), **_in_the_scanner(inputs, estimate.positions)})


def _in_the_scanner(inputs: MapInputs, positions_px: NDArray[np.float64]) -> dict[str, Any]:
    """Return the positions as used in the scanner's coordinates, {} where the file does not say where the map lies."""
    frame = inputs.scan.scanner_frame
    if frame is None:
        return {}
    return {"positions_scanner_nm": frame.to_scanner(inputs.prepared.coordinates.backward(positions_px))}


def _with_stability(estimate: KernelEstimate, inputs: MapInputs, extractor: Extractor) -> KernelEstimate:
    """Return the estimate with its assessment in the provenance; positions and amplitudes as they were used, moved or not."""
    assessment = assess(
        extractor,
        inputs.prepared.values,
        estimate.positions,
        method=estimate.method,
        kernel_size=estimate.kernel_size,
        pixel_size_nm=inputs.pixel_size_nm,
        weights=estimate.weights,
        estimate=estimate,
    )
    return replace(estimate, provenance={**estimate.provenance, "stability": assessment.record()})


def _classes_with_stability(classes: ClassEstimates, inputs: MapInputs, extractor: Extractor) -> ClassEstimates:
    """Return the estimates, each with the assessment of its class in the provenance."""
    found = assess_classes(extractor, inputs.prepared.values, classes)
    records = {name: {**one.provenance, "stability": found[name].record()} for name, one in classes.estimates.items()}
    return replace(classes, estimates={name: replace(one, provenance=records[name]) for name, one in classes.estimates.items()})


def _source(inputs: MapInputs, options: ExtractionOptions) -> dict[str, Any]:
    """Return where the observation and the list came from, for the side-car."""
    return {**layer_source(inputs.scan, inputs.prepared, options), "positions_sha256": inputs.positions_sha256}


def layer_source(scan: ScanMap, prepared: Prepared, options: ExtractionOptions) -> dict[str, Any]:
    """Return where the observation came from, for the side-car."""
    channel = options.channel or scan.default_channel
    index = scan.layer_index(options.channel, options.bias_mv, options.layer)
    energy = float(scan.energies(channel)[index])
    return {
        "name": scan.name,
        "sha256": scan.sha256,
        "channel": channel,
        "layer_index": index,
        "bias_mv": energy if np.isfinite(energy) else None,
        "unit": prepared.unit,
        # Of the file; that of the estimate is the one after the steps.
        "pixel_size_nm": scan.pixel_size_nm if scan.pixel_size_known else None,
        "steps": options.preparation().to_json(),
    }
