"""Every method on one simulated map, with its error against the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.evaluation.metrics import KernelErrors, kernel_errors
from qpi_core.extraction.methods import METHODS
from qpi_core.synthesis.simulated_maps.synthetic_scene import SyntheticScene
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor
from ui.synthesize.synthesis_panel import PIXEL_SIZE_NM
from ui.widgets.texts import METHOD_TITLES


@dataclass(frozen=True)
class MethodResult:
    """What one method gave on the scene; `problem` says why it gave nothing."""

    method: str
    kernel: NDArray[np.float32] | None
    errors: KernelErrors | None
    symmetry_order: int | None
    seconds: float
    problem: str


@dataclass(frozen=True)
class Comparison:
    """All methods on one scene."""

    scene: SyntheticScene
    results: tuple[MethodResult, ...]


def compare_methods(job: Job, scene: SyntheticScene, methods: list[str]) -> Comparison:
    """Run the methods one after the other inside a job."""
    results = []
    for done, name in enumerate(methods):
        job.step(done / len(methods), f"{METHOD_TITLES.get(name, name)} ({done + 1} of {len(methods)})")
        results.append(_run(name, scene))
    return Comparison(scene, tuple(results))


def _run(name: str, scene: SyntheticScene) -> MethodResult:
    tool = extractor()
    if METHODS[name].needs_model:
        if not tool.has_model:
            return MethodResult(name, None, None, None, 0.0, "needs a released model, and none is installed")
        tool.models()  # loading is not part of the method's time
    started = time.perf_counter()
    try:
        estimate = tool.extract(scene.observation, scene.positions, name, scene.kernel.shape[0], pixel_size_nm=PIXEL_SIZE_NM)
    except InputError as error:
        return MethodResult(name, None, None, None, 0.0, str(error))
    seconds = time.perf_counter() - started
    return MethodResult(name, estimate.kernel, kernel_errors(estimate.kernel, scene.kernel), estimate.symmetry_order, seconds, "")
