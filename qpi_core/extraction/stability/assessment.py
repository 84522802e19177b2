"""How far a kernel can be trusted where there is no truth: do two halves of the defects give the same one, and what is left over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import require_kernel_size, require_observation, require_positions, require_weights
from qpi_core.diagnostics.defects import warn_about_defects
from qpi_core.diagnostics.identifiability import NEGLIGIBLE_RESIDUAL, STRUCTURED_CORRELATION, neighbour_correlation
from qpi_core.extraction.stability.halves import full_list_correlation, half_kernels, kernel_correlation, require_enough_defects
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.estimates.class_estimate import ClassEstimates
    from qpi_core.estimates.estimate import KernelEstimate
    from qpi_core.extraction.extractor import Extractor

REPRODUCIBLE, ROUGH = 0.9, 0.5
"""Correlations of the full list from which on the halves are said to agree, and to agree roughly."""


@dataclass(frozen=True)
class Assessment:
    """How stable a kernel is, and how much structure it leaves.

    Attributes:
        correlations: Pearson correlation of the two half kernels, one a split, -1 to 1; 0 where a half's kernel is constant.
        correlation: their mean.
        full_list_correlation: 2 r / (1 + r), what two lists as long as the full one would give (Spearman 1910, Brown 1910); 0 for r <= 0.
        residual_correlation: correlation of neighbouring pixels of the full list's residual, near 0 for white noise.
        residual_is_white: whether that, or what is left at all, is too small to be called structure.
        verdict: the same in plain sentences.
        method, seed: as used.
    """

    correlations: tuple[float, ...]
    correlation: float
    full_list_correlation: float
    residual_correlation: float
    residual_is_white: bool
    verdict: str
    method: str
    seed: int

    def record(self) -> dict[str, Any]:
        """Return the values in strict JSON types, for the side-car."""
        return dict(json_ready(asdict(self)))


def assess(
    extractor: Extractor,
    observation: ArrayLike,
    positions: ArrayLike,
    *,
    method: str | None = None,
    kernel_size: int = 64,
    pixel_size_nm: float | tuple[float, float] | None = None,
    weights: ArrayLike | None = None,
    splits: int = 2,
    seed: int = 0,
    estimate: KernelEstimate | None = None,
    report: Progress | None = None,
) -> Assessment:
    """Return how stable the kernel is when half of the defects are left out, and how white the residual is.

    The defects are divided at random into two halves. A half's kernel is made from the pixels that are closest to its defects; all
    others count as not measured, and every defect stays in the model, so that tails of the other half are explained and not mistaken
    for kernel. No pixel serves both halves: noise alone correlates by 0 on average, whatever the kernel of the full list is.

    Bias: what a method assumes (smoothness, symmetry, a formula, what a network has learned) is in both halves, so a method that
    assumes much is more stable at the same noise, and on noise alone scatters more widely around 0. Errors that both halves share,
    such as a wrong pixel size or a second kind of defect all over the map, do not show. Tails of a half's kernel are partly seen on
    the other half's defects, as far as they reach into its pixels.

    Args:
        extractor: runs the method.
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels, at least MIN_DEFECTS.
        method, kernel_size, pixel_size_nm, weights: as `Extractor.extract`.
        splits: number of random divisions, 1 to MAX_SPLITS; two extractions each.
        seed: of the divisions.
        estimate: the full list's estimate where it is there already; None computes it.
        report: called with a fraction and a sentence before every extraction; may raise to stop.

    Raises:
        InputError: too few defects, splits outside its range, a half without measured pixels, or as `Extractor.extract`.

    Example:
        >>> import numpy as np
        >>> import qpi_core
        >>> positions = np.random.default_rng(0).uniform(0, [63, 63], (12, 2))
        >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
        >>> observation = qpi_core.simulate_observation(pattern, positions, (64, 64), noise_sigma=0.02, rng=1)
        >>> found = qpi_core.assess(qpi_core.load_extractor(), observation, positions, method="tikhonov", kernel_size=24, splits=1)
        >>> found.correlation > 0.8
        True
    """
    image = require_observation(observation)
    shape = (image.shape[0], image.shape[1])
    points = require_positions(positions, shape)
    size, amplitudes = require_kernel_size(kernel_size, shape), require_weights(weights, len(points))
    require_enough_defects(len(points))
    tell = report or no_progress

    def solved(values: NDArray[np.float32]) -> KernelEstimate:
        return extractor.extract(values, points, method, size, pixel_size_nm=pixel_size_nm, weights=amplitudes)

    halves = half_kernels(lambda values: solved(values).kernel, image, points, splits=splits, seed=seed, report=tell)
    if estimate is None:
        tell(0.0, "All defects")
        estimate = solved(image)
    return _judge(tuple(kernel_correlation(first, second) for first, second in halves), image, estimate, seed)


def assess_classes(
    extractor: Extractor,
    observation: ArrayLike,
    estimate: ClassEstimates,
    *,
    splits: int = 2,
    seed: int = 0,
    report: Progress | None = None,
) -> dict[str, Assessment]:
    """Return, class by class, how stable the kernels are when half of every class is left out; all classes are solved together.

    Args:
        extractor: runs the method.
        observation: (height, width) that the estimate was made from, NaN where not measured.
        estimate: of all classes, at least MIN_DEFECTS of each; positions, amplitudes, method and noise model are taken from it.
        splits, seed, report: as for `assess`.

    Raises:
        InputError: as `assess` and `Extractor.extract_classes`.
    """
    image = require_observation(observation)
    first = next(iter(estimate.estimates.values()))

    def kernels(values: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        found = extractor.extract_classes(
            values,
            estimate.positions,
            estimate.classes,
            estimate.method,
            first.kernel_size,
            pixel_size_nm=first.pixel_size_nm,
            weights=estimate.weights,
            noise_model=first.provenance.get("options", {}).get("noise_model", "auto"),
        )
        return {name: one.kernel for name, one in found.estimates.items()}

    report = report or no_progress
    pairs = list(half_kernels(kernels, image, estimate.positions, labels=estimate.classes, splits=splits, seed=seed, report=report))
    return {
        name: _judge(tuple(kernel_correlation(first[name], second[name]) for first, second in pairs), image, one, seed)
        for name, one in estimate.estimates.items()
    }


def _judge(correlations: tuple[float, ...], image: NDArray[np.float32], estimate: KernelEstimate, seed: int) -> Assessment:
    mean = float(np.mean(correlations))
    full = full_list_correlation(mean)
    spread, left = (float(np.nanstd(values, dtype=np.float64)) for values in (image, estimate.residual))
    neighbours = neighbour_correlation(estimate.residual)
    white = left <= NEGLIGIBLE_RESIDUAL * spread or neighbours <= STRUCTURED_CORRELATION
    at_defects = warn_about_defects(image, estimate.residual, estimate.positions, estimate.noise_sigma)
    said = _residual_sentence(neighbours, white) if not (white and at_defects) else f"{_AWAY} {at_defects[0]}"
    white = white and not at_defects
    verdict = f"{stability_sentence(mean, full)} {said}"
    return Assessment(correlations, mean, full, neighbours, white, verdict, estimate.method, seed)


_AWAY = "Away from the defects nothing structured is left in the residual."


def stability_sentence(mean: float, full: float) -> str:
    numbers = f"(correlation {mean:.2f}; {full:.2f} for the full list)"
    if full >= REPRODUCIBLE:
        return f"Stable: two halves of the defects give the same kernel {numbers}."
    if full >= ROUGH:
        return f"Partly stable: the kernels of two halves of the defects agree roughly {numbers}; its details may be noise."
    return (
        f"Not stable: two halves of the defects give different kernels {numbers}; "
        "it may be noise, or the positions may be wrong or belong to several kinds of defects."
    )


def _residual_sentence(neighbours: float, white: bool) -> str:
    if white:
        return f"Nothing structured is left in the residual (neighbouring pixels correlate by {neighbours:.2f})."
    return (
        f"The residual is structured (neighbouring pixels correlate by {neighbours:.2f}): "
        "something in the map is not one kernel at the marked positions."
    )
