"""Every method on the map, the defects and the kernel size of a finished extraction."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.methods import METHODS
from ui.jobs.extraction import Outcome
from ui.jobs.workers.queues import Job
from ui.state.loaders import extractor
from ui.widgets.texts import METHOD_TITLES


@dataclass(frozen=True, eq=False)
class MethodAnswer:
    """What one method gave; `problem` says why it gave nothing."""

    method: str
    estimate: KernelEstimate | None
    seconds: float
    problem: str = ""


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """All methods on one question, the method that was asked for first."""

    outcome: Outcome
    answers: tuple[MethodAnswer, ...]


def compare_on_map(job: Job, outcome: Outcome, methods: list[str]) -> MethodComparison:
    """Run the other methods one after the other inside a job, from the positions and amplitudes that the extraction used."""
    answers = [MethodAnswer(outcome.estimate.method, outcome.estimate, outcome.seconds)]
    others = [name for name in methods if name != outcome.estimate.method]
    for done, name in enumerate(others):
        job.step(done / len(others), f"{METHOD_TITLES.get(name, name)} ({done + 1} of {len(others)})")
        answers.append(_answer(name, outcome))
    return MethodComparison(outcome, tuple(answers))


def _answer(name: str, outcome: Outcome) -> MethodAnswer:
    tool, known = extractor(), outcome.estimate
    if METHODS[name].needs_model and not tool.has_model:
        return MethodAnswer(name, None, 0.0, "needs a released model, and none is installed")
    started = time.perf_counter()
    try:
        estimate = tool.extract(
            outcome.question.view.layer.values,
            known.positions,
            name,
            known.kernel_size,
            pixel_size_nm=known.pixel_size_nm,
            weights=known.weights,
            with_latent=False,
        )
    except InputError as error:
        return MethodAnswer(name, None, 0.0, str(error))
    return MethodAnswer(name, estimate, time.perf_counter() - started)


def correlation(kernel: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the Pearson correlation of two kernels, NaN where one of them is constant."""
    first, second = (values.astype(np.float64) - values.mean(dtype=np.float64) for values in (kernel, other))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm > 0 else float("nan")
