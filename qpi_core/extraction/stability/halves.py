"""The kernels of two halves of the defects, made from pixels that no two of them share: what stability and ring noise are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qpi_core.base.errors import InputError
from qpi_core.runtime.progress import Progress, no_progress

Kernels = TypeVar("Kernels")

MIN_DEFECTS = 4
"""Two a half: with one, a half's kernel is whatever surrounds that defect."""
MAX_SPLITS = 100


def half_kernels(
    kernels_of: Callable[[NDArray[np.float32]], Kernels],
    image: NDArray[np.float32],
    points: NDArray[np.float64],
    *,
    labels: Sequence[str] | None = None,
    splits: int = 2,
    seed: int = 0,
    report: Progress = no_progress,
) -> Iterator[tuple[Kernels, Kernels]]:
    """Return the kernels of two halves of the defects, one pair a random division, each computed when it is asked for.

    Args:
        kernels_of: from a map or a stack, NaN where not measured, to its kernels with all defects in the model; in whatever form, it
            comes back as it is.
        image: (height, width) or (energies, height, width), NaN where not measured; a stack's layers are divided alike.
        points: (n, 2) columns (x, y) in pixels.
        labels: the class of each defect, so that each class is divided into halves of its own; None is one class.
        splits: number of divisions, 1 to MAX_SPLITS.
        seed: of the divisions.
        report: called with a fraction and a sentence before every extraction; may raise to stop.

    Raises:
        InputError: splits outside its range, a class with fewer defects than MIN_DEFECTS, or a half without measured pixels.
    """
    require_enough_defects(len(points), labels)
    if isinstance(splits, bool) or not isinstance(splits, (int, np.integer)) or not 1 <= splits <= MAX_SPLITS:
        raise InputError(f"splits must be a whole number from 1 to {MAX_SPLITS}, but it is {splits!r}.")

    def pairs() -> Iterator[tuple[Kernels, Kernels]]:
        nearest = _nearest_defect(points, (image.shape[-2], image.shape[-1]))
        rng = np.random.default_rng(seed)
        for split in range(splits):
            in_first = _half_of_each(len(points), labels, rng)
            kernels = []
            for number, half in enumerate((in_first, ~in_first)):
                report((2 * split + number + 1) / (2 * splits + 1), f"Half {number + 1} of division {split + 1} of {splits}")
                kernels.append(kernels_of(_seen_by(image, half[nearest])))
            yield kernels[0], kernels[1]

    return pairs()


def require_enough_defects(count: int, labels: Sequence[str] | None = None) -> None:
    """Check that there are two defects a half, of every class where there are several.

    Raises:
        InputError: there are fewer.
    """
    if count < MIN_DEFECTS:
        raise InputError(f"positions holds {count} defects; stability compares two halves of them, so at least {MIN_DEFECTS} are needed.")
    for name in dict.fromkeys(labels or ()):
        own = sum(label == name for label in labels or ())
        if own < MIN_DEFECTS:
            raise InputError(
                f"classes has {own} defects of the class {name!r}; stability compares two halves of them, so at least {MIN_DEFECTS} are "
                "needed of each class."
            )


def kernel_correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the Pearson correlation of two kernels, -1 to 1; 0 where one of them is constant."""
    first, second = one.astype(np.float64) - one.mean(dtype=np.float64), other.astype(np.float64) - other.mean(dtype=np.float64)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip((first * second).sum() / norm, -1, 1)) if norm > 0 else 0.0


def full_list_correlation(mean: float) -> float:
    """Return 2 r / (1 + r), what two lists as long as the full one would give (Spearman 1910, Brown 1910); 0 for r <= 0."""
    return 2 * mean / (1 + mean) if mean > 0 else 0.0


def _half_of_each(count: int, labels: Sequence[str] | None, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which defects are in the first half, (n,): half of every class, chosen at random."""
    chosen = np.zeros(count, dtype=bool)
    names = np.zeros(count, dtype=int) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    for name in range(int(names.max()) + 1):
        members = np.flatnonzero(names == name)
        chosen[members[rng.permutation(len(members))[: len(members) // 2]]] = True
    return chosen


def _nearest_defect(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the index of the closest defect of every pixel, (height, width)."""
    y, x = np.indices(shape)
    return np.asarray(cKDTree(points).query(np.stack([x.ravel(), y.ravel()], axis=1))[1], dtype=np.intp).reshape(shape)


def _seen_by(image: NDArray[np.float32], own: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the image with the pixels of the other half unmeasured."""
    seen = np.where(own, image, np.float32(np.nan))
    if not np.isfinite(seen).any():
        raise InputError("observation has no measured pixel close to one half of the defects; leave out those on unmeasured regions.")
    return seen
