"""Errors of a kernel against the truth, all on one scale; nothing returns a default number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PAPER_SCALE = {"mae": 2.0, "mse": 4.0, "rmse": 2.0}
"""Factors from errors on the [0, 1] scale to those on [-1, 1], which the paper's code prints."""


@dataclass(frozen=True)
class KernelErrors:
    """Errors of one kernel.

    Attributes:
        mae, mse, rmse: on the truth's own [0, 1] scale.
        cosine: cosine of the two images as vectors, without removing their means.
        fft_correlation: Pearson correlation of the magnitudes of the two Fourier transforms.
    """

    mae: float
    mse: float
    rmse: float
    cosine: float
    fft_correlation: float


def kernel_errors(estimate: ArrayLike, truth: ArrayLike) -> KernelErrors:
    """Return the errors of an estimated kernel.

    Both kernels are mapped by the truth's minimum and maximum, so amplitude and offset of the estimate count as errors.

    Args:
        estimate: (k, k).
        truth: (k, k), not constant.

    Raises:
        ValueError: shapes differ, a value is not finite, or the truth is constant.
    """
    found, true = _pair(estimate, truth)
    low, high = float(true.min()), float(true.max())
    if high == low:
        raise ValueError("truth is constant, so it has no [0, 1] scale; give a kernel that varies.")
    difference = (found - true) / (high - low)
    mse = float(np.mean(difference**2))
    return KernelErrors(float(np.mean(np.abs(difference))), mse, float(np.sqrt(mse)), cosine(found, true), fft_correlation(found, true))


def cosine(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Return <estimate, truth> / (|estimate| |truth|); 0 where the estimate is zero everywhere.

    Raises:
        ValueError: shapes differ, a value is not finite, or the truth is zero everywhere.
    """
    found, true = _pair(estimate, truth)
    norms = float(np.linalg.norm(found)), float(np.linalg.norm(true))
    if norms[1] == 0:
        raise ValueError("truth is zero everywhere, so it has no direction; give a kernel that is not.")
    # A zero kernel resembles nothing: 0 is the limit over all directions, not a stand-in.
    return float(np.vdot(found, true)) / (norms[0] * norms[1]) if norms[0] > 0 else 0.0


def fft_correlation(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Return the Pearson correlation of the |FFT| of the two kernels; 0 where that of the estimate is constant.

    Raises:
        ValueError: shapes differ, a value is not finite, or the truth's |FFT| is constant.
    """
    spectra = [np.abs(np.fft.fft2(array)) for array in _pair(estimate, truth)]
    found, true = (spectrum - spectrum.mean() for spectrum in spectra)
    norms = float(np.linalg.norm(found)), float(np.linalg.norm(true))
    if norms[1] <= 1e-12 * float(np.linalg.norm(spectra[1])):
        raise ValueError("the Fourier transform of truth has a constant magnitude, so nothing correlates with it.")
    return float(np.vdot(found, true)) / (norms[0] * norms[1]) if norms[0] > 0 else 0.0


def coverage(estimate: ArrayLike, uncertainty: ArrayLike, truth: ArrayLike, deviations: float) -> float:
    """Return the share of pixels whose truth lies within so many standard deviations of the estimate.

    Raises:
        ValueError: shapes differ, a value is not finite, or an uncertainty is negative.
    """
    found, true = _pair(estimate, truth)
    sigma, _ = _pair(uncertainty, truth)
    if (sigma < 0).any():
        raise ValueError("uncertainty holds negative values; standard deviations are at least 0.")
    return float(np.mean(np.abs(found - true) <= deviations * sigma))


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., NDArray[np.float64]] = np.mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic over scenes (Efron and Tibshirani 1993, Sec. 13.3).

    Args:
        values: (n,), n >= 2.
        statistic: takes (array, axis=).
        level: probability that the interval is meant to hold.
        resamples: number of resamples.
        seed: of the resampling, so that a table can be repeated.

    Raises:
        ValueError: fewer than two values, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"values has shape {array.shape}; an interval needs at least two values in one dimension.")
    if not np.isfinite(array).all():
        raise ValueError("values holds entries that are not finite; leave failed scenes out before, and count them.")
    draws = np.random.default_rng(seed).integers(0, len(array), (resamples, len(array)))
    found = np.asarray(statistic(array[draws], axis=1))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def grouped_bootstrap_interval(
    values: ArrayLike,
    groups: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval where scenes come in groups that share their kernel: whole groups are drawn.

    Scenes of one kernel resemble each other; an interval over scenes alone would be too narrow for a statement about other kernels
    (cluster bootstrap, Davison and Hinkley 1997, Sec. 3.8).

    Args:
        values: (n,), or (n, c) for a statistic of several columns.
        groups: (n,) labels, at least two different ones.
        statistic: takes the resampled means (resamples, c); None is the mean of a single column.
        level: probability that the interval is meant to hold.
        resamples: number of resamples.
        seed: of the resampling, so that a table can be repeated.

    Raises:
        ValueError: lengths differ, fewer than two groups, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    columns = array[:, None] if array.ndim == 1 else array
    labels, place = np.unique(np.asarray(groups), return_inverse=True)
    if columns.ndim != 2 or len(place) != len(columns) or len(labels) < 2:
        raise ValueError(f"values has shape {array.shape} and groups {len(place)} labels; give one label a row, and at least two groups.")
    if not np.isfinite(columns).all():
        raise ValueError("values holds entries that are not finite; leave failed scenes out before, and count them.")
    sums, counts = np.zeros((len(labels), columns.shape[1])), np.bincount(place)
    np.add.at(sums, place, columns)
    draws = np.random.default_rng(seed).integers(0, len(labels), (resamples, len(labels)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)[:, None]
    found = means[:, 0] if statistic is None else np.asarray(statistic(means))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _pair(estimate: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, true = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if found.shape != true.shape or found.ndim != 2:
        raise ValueError(f"estimate has shape {found.shape} and truth {true.shape}; both must be the same (k, k).")
    if not np.isfinite(found).all() or not np.isfinite(true).all():
        raise ValueError("estimate and truth must hold finite numbers only; one of them has NaN or infinite values.")
    return found, true
