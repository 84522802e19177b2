"""How far the kernels of a stack can be trusted where there is no truth: what two halves of the defects say, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.provenance import json_ready
from qpi_core.estimates.class_stack import NO_CLASS, ClassStackEstimates, StackResult, stacks_of
from qpi_core.extraction.stability.assessment import REPRODUCIBLE, ROUGH, stability_sentence
from qpi_core.extraction.stability.halves import full_list_correlation, half_kernels, kernel_correlation
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.extraction.stacks.stack_input import require_stack
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor


@dataclass(frozen=True, eq=False)
class StackAssessment:
    """How stable the kernels of a stack are.

    Attributes:
        correlations: (splits, energies) Pearson correlation of the two half kernels; NaN where a layer has none.
        full_list_correlation: (energies,) what two lists as long as the full one would give, from the mean over the splits.
        verdict: the same in plain sentences.
        method, seed: as used.
    """

    correlations: NDArray[np.float64]
    full_list_correlation: NDArray[np.float64]
    verdict: str
    method: str
    seed: int

    def record(self) -> dict[str, Any]:
        """Return the values in strict JSON types, for the side-car."""
        return dict(json_ready(asdict(self)))


HalfStack = Mapping[str, NDArray[np.float32]]


def half_stacks(
    extractor: Extractor,
    stack: ArrayLike,
    result: StackResult,
    *,
    splits: int = 1,
    seed: int = 0,
    report: Progress | None = None,
) -> list[tuple[HalfStack, HalfStack]]:
    """Return the kernels of two halves of the defects, class -> (energies, k, k), one pair a random division of every class.

    All layers are divided alike, with positions and amplitudes as the stack was solved with.

    Args:
        extractor: runs the method.
        stack: (energies, height, width) that was solved, NaN where not measured.
        result: what extract_stack made of it; layers that are not done stay out.
        splits: number of random divisions; each solves the stack twice.
        seed: of the divisions.
        report: called with a fraction and a sentence; may raise to stop.

    Raises:
        InputError: as extract_stack and half_kernels.
    """
    array = np.asarray(require_stack(stack), dtype=np.float32)
    one = next(iter(stacks_of(result).values()))
    classes = result.classes if isinstance(result, ClassStackEstimates) else None

    def kernels(values: NDArray[np.float32]) -> HalfStack:
        found = extract_stack(
            extractor,
            values,
            result.positions,
            classes=classes,
            pixel_size_nm=one.pixel_size_nm,
            kernel_size=one.kernels.shape[-1],
            method=one.method,
            weights=result.weights,
            layers=[int(index) for index in np.flatnonzero(one.done)],
            noise_model=one.provenance.get("options", {}).get("noise_model", "auto"),
        )
        return {name: own.kernels for name, own in stacks_of(found).items()}

    return list(half_kernels(kernels, array, result.positions, labels=classes, splits=splits, seed=seed, report=report or no_progress))


def assess_stack(
    extractor: Extractor,
    stack: ArrayLike,
    result: StackResult,
    *,
    splits: int = 1,
    seed: int = 0,
    report: Progress | None = None,
) -> dict[str, StackAssessment]:
    """Return, class by class, how stable the kernel of every layer is when half of the defects are left out.

    As `qpi_core.assess` for one map: a half's kernels are made from the pixels that are closest to its defects, every defect stays in
    the model, and noise alone correlates by 0 on average. The arguments are those of half_stacks; without classes the name is empty.

    Raises:
        InputError: as half_stacks.

    Example:
        >>> import numpy as np
        >>> import qpi_core
        >>> positions = np.random.default_rng(0).uniform(0, [63, 63], (12, 2))
        >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
        >>> observation = qpi_core.simulate_observation(pattern, positions, (64, 64), noise_sigma=0.02, rng=1)
        >>> stack, tool = np.stack([observation, 2 * observation]), qpi_core.load_extractor()
        >>> result = qpi_core.extract_stack(tool, stack, positions, kernel_size=24, method="tikhonov")
        >>> found = qpi_core.assess_stack(tool, stack, result)
        >>> found[""].correlations.shape, bool((found[""].full_list_correlation > 0.8).all())
        ((1, 2), True)
    """
    pairs = half_stacks(extractor, stack, result, splits=splits, seed=seed, report=report)
    return {name: _judge([(first[name], second[name]) for first, second in pairs], result, name, seed) for name in stacks_of(result)}


def _judge(
    pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]], result: StackResult, name: str = NO_CLASS, seed: int = 0
) -> StackAssessment:
    usable = stacks_of(result)[name].usable
    correlations = np.full((len(pairs), len(usable)), np.nan)
    for split, (first, second) in enumerate(pairs):
        for layer in np.flatnonzero(usable):
            if np.isfinite(first[layer]).all() and np.isfinite(second[layer]).all():
                correlations[split, layer] = kernel_correlation(first[layer], second[layer])
    known = np.isfinite(correlations).all(axis=0)
    means = np.where(known, np.where(known, correlations, 0.0).mean(axis=0), np.nan)
    full = np.array([full_list_correlation(mean) if seen else np.nan for mean, seen in zip(means, known, strict=True)])
    return StackAssessment(correlations, full, _verdict(means[known], full[known]), result.method, seed)


def _verdict(means: NDArray[np.float64], full: NDArray[np.float64]) -> str:
    """Return the sentence on the layer in the middle, and how many layers are better and worse than what it takes."""
    if not len(full):
        return "No layer has a kernel from both halves of the defects, so nothing can be said about stability."
    middle = float(np.median(means))
    stable, unstable = int(np.sum(full >= REPRODUCIBLE)), int(np.sum(full < ROUGH))
    counted = f"{stable} of {len(full)} layers are stable, {unstable} are not."
    return f"{stability_sentence(middle, full_list_correlation(middle))} These are the numbers of the middle layer; {counted}"
