"""What is asked of a stack, and what its files hold: read, checked and prepared."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import bytes_sha256, json_ready
from qpi_core.base.version import __version__
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.methods import find_method
from qpi_core.extraction.stability.halves import require_enough_defects
from qpi_core.extraction.stacks.stack_findings import require_gap_input
from qpi_core.extraction.windows.window_search import find_stack_window, resolve_window
from qpi_core.maps import ScanMap, load_map, load_positions
from qpi_core.maps.preparation import Preparation, inside
from qpi_core.maps.readers.shared.source import read_source
from qpi_core.maps.series import load_stack
from qpi_core.qspace.regions import Ring
from qpi_core.workflows.one_map import DEFAULT_KERNEL_SIZE, MapFiles
from qpi_core.workflows.prepared_stack import PreparedStack, prepare_stack
from qpi_core.workflows.stack_physics import require_band_input, require_channels, require_path


@dataclass(frozen=True)
class StackOptions:
    """What is asked of every layer alike; None is the default that stands beside each option of the command line.

    Attributes:
        method, kernel_size, channel, preparation, refine_positions, refine_weights, noise_model, effort, pictures: as ExtractionOptions.
        pixel_size_nm: (dy, dx) or one number; overrides what the file says.
        stability: compare the kernels of two halves of the defects, layer by layer, and say in the side-car how far they agree.
        model: the networks that take part, None for the default ones.
        band_models: bands to be fitted to the maps.
        lattice: (lattice constant in nm, direction of a primitive vector in degrees) for those of a lattice, or None.
        joint_density: write that of the band which the maps prefer.
        path: square or hexagonal: E(q) through the points of high symmetry of `lattice`; None is none.
        set_point: channels whose kernels are compared with those of dI/dV; empty compares the energies alone; None is no check.
        gap_ring: (low, high) rad/nm, the ring of q-space whose gap sign is judged, or None.
        more_scans, scan_bias_mv: the files of a stack after the first one, and the energies of all.
        device: where the networks run.
    """

    method: str | None = None
    kernel_size: int | str | None = None
    channel: str | None = None
    preparation: Preparation = Preparation()
    pixel_size_nm: float | tuple[float, float] | None = None
    refine_positions: bool = False
    refine_weights: bool = False
    noise_model: str = "auto"
    effort: str = "full"
    stability: bool = False
    model: str | None = None
    band_models: tuple[str, ...] = ()
    lattice: tuple[float, float] | None = None
    joint_density: bool = False
    path: str | None = None
    set_point: tuple[str, ...] | None = None
    gap_ring: tuple[float, float] | None = None
    more_scans: tuple[str, ...] = ()
    scan_bias_mv: tuple[float, ...] | None = None
    pictures: tuple[str, ...] = ("png",)
    device: str = "auto"

    def record(self) -> dict[str, Any]:
        """Return the options in strict JSON types; the device makes no difference."""
        values = {**asdict(self), "preparation": self.preparation.to_json()}
        del values["device"]
        return dict(json_ready(values))


@dataclass(frozen=True, eq=False)
class StackInputs:
    """What the files of a stack hold, checked and prepared.

    Attributes:
        scan: the file's map.
        stack: all layers, prepared.
        positions_px: (n, 2) the defects on the prepared layers.
        labels: the class of each defect, or None where there is one kind only.
        kernel_size: side of the kernels in pixels.
        settings: strict JSON: everything that decides the answer.
        sentences: how the files were read.
        source: where the stack came from, for its provenance.
        pictures: formats of the pictures.
        preparation: of the layers, for other channels alike.
    """

    scan: ScanMap
    stack: PreparedStack
    positions_px: NDArray[np.float64]
    labels: tuple[str, ...] | None
    kernel_size: int
    settings: dict[str, Any]
    sentences: tuple[str, ...]
    source: dict[str, Any] = field(default_factory=dict)
    pictures: tuple[str, ...] = ("png",)
    preparation: Preparation = Preparation()


def read_stack_inputs(files: MapFiles, options: StackOptions) -> StackInputs:
    """Read a stack and its positions and prepare all layers; positions move along.

    Raises:
        InputError: whatever is wrong with the files or the options, in one sentence.
    """
    scan = _load(files, options)
    pitch = scan.pixel_size_nm if scan.pixel_size_known else None
    listed, name = read_source(files.positions, files.positions_name)
    positions = load_positions(listed, name, pixel_size_nm=pitch, shape=scan.shape, frame=scan.scanner_frame)
    stack = prepare_stack(scan, options.channel, options.preparation)
    height, width = stack.values.shape[1:]
    moved = stack.coordinates.forward(positions.positions_px)
    there = inside(moved, (height, width))
    moved = moved[there]
    if not len(moved):
        raise InputError(f"None of the {len(positions.positions_px)} positions lies on the prepared layers; crop less, or mark others.")
    labels = None if positions.labels is None else tuple(label for label, stays in zip(positions.labels, there, strict=True) if stays)
    labels = labels if labels is not None and len(set(labels)) > 1 else None
    if options.stability:
        require_enough_defects(len(moved), labels)
    wanted = options.kernel_size if options.kernel_size is not None else min(DEFAULT_KERNEL_SIZE, height, width)
    size, proposal = resolve_window(wanted, lambda: find_stack_window(Extractor(), stack.values, moved, pixel_size_nm=stack.pixel_size_nm))
    settings = {
        "qpi_core": __version__,
        "method": find_method(options.method).name,
        "kernel_size": size,
        "channel": options.channel or scan.default_channel,
        "pixel_size_nm": pitch,
        "refine_positions": options.refine_positions,
        "refine_weights": options.refine_weights,
        "noise_model": options.noise_model,
        "effort": options.effort,
        "steps": options.preparation.to_json(),
        "sha256": scan.sha256,
        "positions_sha256": bytes_sha256(listed),
    }
    lost = len(positions.positions_px) - len(moved)
    sentences = [*scan.sentences(options.channel), positions.description]
    if lost:
        sentences.append(f"{lost} of the positions lie outside of the prepared layers and were left out.")
    if proposal is not None:
        sentences.append(proposal.reason)
    if options.model is not None:
        settings["model"] = options.model
    if options.stability:
        settings["stability"] = True
    if options.band_models:
        settings["band_models"] = require_band_input(options.band_models, stack, labels, options.lattice)
    if options.lattice is not None:
        settings["lattice"] = options.lattice
    if options.path is not None:
        settings["path"] = require_path(options.path, options.lattice, stack)
    if options.joint_density:
        if not options.band_models:
            raise InputError("a joint density of states needs a band: give --band with it.")
        settings["joint_density"] = True
    if options.gap_ring is not None:
        if stack.pixel_size_nm is None:
            raise InputError("the sign of a gap needs the pixel size, which the file does not say; give --pixel-size-nm.")
        require_gap_input(Ring(*options.gap_ring), stack.bias_mv, size, stack.pixel_size_nm)
        settings["gap_ring_rad_per_nm"] = options.gap_ring
    if options.set_point is not None:
        settings["set_point"] = require_channels(options.set_point, scan, stack, labels)
    source = _source(files, options, scan, stack)
    content = dict(json_ready(settings))
    return StackInputs(scan, stack, moved, labels, size, content, tuple(sentences), source, options.pictures, options.preparation)


def _load(files: MapFiles, options: StackOptions) -> ScanMap:
    """Return the file's map, or that of several files, one an energy, moved onto each other."""
    if not options.more_scans:
        if options.scan_bias_mv is not None:
            raise InputError("bias_mv gives one energy a file where a stack comes from several; a single file says its own energies.")
        return load_map(files.scan, files.scan_name, pixel_size_nm=options.pixel_size_nm, channel=options.channel)
    paths = [str(files.scan), *options.more_scans]
    return load_stack(paths, channel=options.channel, pixel_size_nm=options.pixel_size_nm, bias_mv=options.scan_bias_mv)


def _source(files: MapFiles, options: StackOptions, scan: ScanMap, stack: PreparedStack) -> dict[str, Any]:
    """Return where a stack came from and how it was prepared, by the names that class_stack.with_source keeps."""
    scans = [Path(path).name for path in (str(files.scan), *options.more_scans)] if options.more_scans else None
    told = {
        "name": scan.name,
        "scans": scans,
        "scan_bias_mv": options.scan_bias_mv,
        "channel": options.channel or scan.default_channel,
        "unit": stack.unit,
        "given_pixel_size_nm": options.pixel_size_nm,
        "steps": options.preparation.to_json(),
        "sha256": scan.sha256,
    }
    return {name: value for name, value in json_ready(told).items() if value is not None}
