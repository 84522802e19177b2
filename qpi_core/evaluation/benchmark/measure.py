"""Run one method on one scene and say how far the kernel is from the truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.scenes import TUNING_SEED, draw_benchmark_scene
from qpi_core.evaluation.metrics import coverage, kernel_errors
from qpi_core.extraction.methods import METHODS

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

CEILING = "decoder_ceiling"
"""Not a method: Decoder_K(Encoder_K(A)) of the true kernel, the best that anything using the decoder alone can do."""
LIMIT = "formula_limit"
"""Not a method: what formula_limit.py expects of whoever knows the formula, positions, noise and symmetry order of a benchmark scene."""
REFINE = "+positions"
"""Ending of a method's name that asks for refined positions, such as "harmonic+positions"."""

SPLIT = "+classes"
"""Ending of a method's name that takes the classes which an estimate proposes, where it does, and judges the kernel of the first."""


def check_methods(names: Sequence[str], references: Sequence[str] = (CEILING,)) -> None:
    """Refuse names that neither a method nor one of the references has.

    Raises:
        InputError: an unknown name, or none.
    """
    known = (*METHODS, *references)
    for name in names:
        if name not in known and name.removesuffix(REFINE).removesuffix(SPLIT) not in METHODS:
            raise InputError(
                f"methods holds {name!r}; choose from {', '.join(known)}, all but {' and '.join(references)} also with the ending {REFINE} "
                f"or {SPLIT}."
            )
    if not names:
        raise InputError(f"methods is empty; name at least one of {', '.join(known)}.")


def warm_up(extractor: Extractor, methods: Sequence[str]) -> None:
    """Load the networks and run every method once, so that the first scene is timed like the others."""
    scene = draw_benchmark_scene(TUNING_SEED, 0, noise_level=0.2)
    for method in methods:
        measure(extractor, method, scene.observation, scene.positions, scene.kernel, scene.pixel_size_nm, Record("", 0.0, 0, 1, ""))


def measure(
    extractor: Extractor,
    method: str,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    truth: NDArray[np.float32],
    pixel_size_nm: float,
    scene: Record,
    noise_sigma: float = 0.0,
) -> Record:
    """Return the record of a method on a scene.

    Args:
        extractor: has the networks loaded already, so that loading is not timed.
        method: a name that `check_methods` accepts.
        observation, positions: what the method is given.
        truth: (k, k), the true kernel; its side is the window that the method is asked for.
        pixel_size_nm: pitch.
        scene: record with the scene's own values filled in.
        noise_sigma: true noise, units of the observation.
    """
    values: dict[str, Any] = {**asdict(scene), "method": method}
    started, processor = time.perf_counter(), time.process_time()
    try:
        if method == CEILING:
            kernel, estimate = autoencode(extractor, truth), None
        else:
            estimate = extractor.extract(
                observation,
                positions,
                method=method.removesuffix(REFINE).removesuffix(SPLIT),
                kernel_size=len(truth),
                refine_positions=method.endswith(REFINE),
                pixel_size_nm=pixel_size_nm,
            )
            if method.endswith(SPLIT) and estimate.proposed_classes is not None:
                found = extractor.extract_classes(
                    observation,
                    positions,
                    estimate.proposed_classes,
                    method=estimate.method,
                    kernel_size=len(truth),
                    pixel_size_nm=pixel_size_nm,
                )
                estimate = replace(found["A"], warnings=(*estimate.warnings, *found["A"].warnings))
            kernel = estimate.kernel
    except ValueError as error:
        return Record(**{**values, "failure": str(error)})
    values["seconds"], values["cpu_seconds"] = time.perf_counter() - started, time.process_time() - processor
    values.update(asdict(kernel_errors(kernel, truth)))
    if estimate is not None:
        values["symmetry_found"], values["warnings"] = estimate.symmetry_order, estimate.warnings
        values["noise_ratio"] = estimate.noise_sigma / noise_sigma if noise_sigma > 0 else None
        if estimate.uncertainty is not None:
            values["coverage_68"] = coverage(kernel, estimate.uncertainty, truth, 1.0)
            values["coverage_95"] = coverage(kernel, estimate.uncertainty, truth, 1.96)
    return Record(**values)


def autoencode(extractor: Extractor, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Decoder_K(Encoder_K(kernel)) in the units of the kernel, averaged over the orientations that `two_step` averages over.

    Raises:
        InputError: the kernel is not of the size that the networks see.
    """
    import torch

    from qpi_core.networks.inference import average_orientations
    from qpi_core.networks.kernel_frame import ORIENTATIONS, network_window, turn
    from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel

    if kernel.shape != (KERNEL_SIZE, KERNEL_SIZE):
        raise InputError(f"the kernel is {kernel.shape[1]} x {kernel.shape[0]} pixels, but the networks see {KERNEL_SIZE} x {KERNEL_SIZE}.")
    models = extractor.models()
    image = torch.from_numpy(np.ascontiguousarray(kernel)).to(models.device)[None, None]
    # A frame with its centre in the middle, as turning needs it; its last row and column are not in the kernel.
    frame = torch.nn.functional.pad(normalise_kernel(image), (0, 1, 0, 1), mode="replicate")
    count = ORIENTATIONS if models.encoder.config["input_kind"] == "kernel_frame" else 1
    with torch.no_grad():
        turned = torch.cat([network_window(turn(frame, orientation)) for orientation in range(count)])
        found = average_orientations(models.vae.decode_kernel(models.vae.encode_kernel(turned)))
    return np.asarray(found[0].cpu().numpy() * float(np.abs(kernel).max()), dtype=np.float32)
