"""The wave vector of the rings in every layer of a stack of kernels.

Far from a defect the isotropic part of a kernel is a decaying wave on a ring of growing length,

    r g(r) = exp(-r / l) (a cos f(r) + b sin f(r)) + c + d r,   f(r) = q r - 1 / (2 q r),   r > r_min,

with q the scattering wave vector (2 k of a free-electron-like state; Crommie, Lutz, Eigler, Nature 363, 524, 1993). The second term of
f is that of the squared Hankel function of a two-dimensional wave; without it a parabola comes out too low by hbar^2 / (8 m r^2).
The fit is made to the ring averages in real space: a ring in |FFT| has a one-sided shape, so that its maximum is not at q.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_polar

Array = NDArray[np.float64]

LEAST_WINDOW = 12
"""Smallest side of a kernel, in pixels, in which a ring is looked for."""

_LEAST_PERIODS = 0.9
"""Share of a period that has to lie between r_min and the kernel's edge."""
_DECAYS = (0.25, 0.7, 3.0)
_LEAST_EXPLAINED = 0.5
_SYSTEMATIC_SHARE = 0.035
"""Share of pi / (r_max - r_min) that the asymptotic form may be wrong by: the most that was seen on exact Green's functions."""


@dataclass(frozen=True, eq=False)
class RingTrack:
    """Rings over energy.

    Attributes:
        bias_mv: (energies,).
        q: (energies,) rad/nm, 2 pi included; NaN where the layer shows no ring.
        q_deviation: (energies,) one standard deviation.
        q_systematic: rad/nm, how far the form of the wave may shift all q together.
        q_range: (low, high) rad/nm in which rings were looked for.
        side_nm: of the kernels' window; NaN where it is not known.
    """

    bias_mv: Array
    q: Array
    q_deviation: Array
    q_systematic: float = 0.0
    q_range: tuple[float, float] = (0.0, np.inf)
    side_nm: float = np.nan


def track_rings(
    kernels: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    *,
    uncertainties: ArrayLike | None = None,
    q_range: tuple[float, float] | None = None,
    least_radius_nm: float | None = None,
) -> RingTrack:
    """Return the wave vector of the strongest ring of each kernel.

    Args:
        kernels: (energies, k, k); layers with NaN have no ring.
        bias_mv: (energies,) finite.
        pixel_size_nm: pitch, one number or (dy, dx).
        uncertainties: (energies, k, k) one standard deviation, or None: then the fit's own residual says how far to trust it.
        q_range: where to look, rad/nm; None is from nine tenths of a period in the window to 0.8 of the Nyquist wave vector.
        least_radius_nm: r_min; None is a fifth of the largest radius.

    Raises:
        InputError: shapes that do not fit, or a range that is not ascending.
    """
    patterns, energies = np.asarray(kernels, dtype=np.float64), np.asarray(bias_mv, dtype=np.float64)
    if patterns.ndim != 3 or patterns.shape[1] != patterns.shape[2]:
        raise InputError(f"kernels must have shape (energies, k, k), but it has shape {patterns.shape}.")
    if patterns.shape[1] < LEAST_WINDOW:
        raise InputError(
            f"The kernels' window of {patterns.shape[1]} pixels is too small to show a ring: choose a kernel size of at least "
            f"{LEAST_WINDOW} pixels, better so many that the pattern has faded at its edge."
        )
    if energies.shape != (len(patterns),) or not np.isfinite(energies).all():
        raise InputError(f"bias_mv must be {len(patterns)} finite energies, one a layer, but it has shape {energies.shape}.")
    radii, _ = kernel_polar(patterns.shape[1], pixel_size_nm)
    step = float(radii[radii > 0].min())
    reach = float(min(radii[0, radii.shape[1] // 2], radii[radii.shape[0] // 2, 0]))
    start = reach / 5 if least_radius_nm is None else least_radius_nm
    low, high = q_range or (2 * np.pi * _LEAST_PERIODS / (reach - start), 0.8 * np.pi / step)
    if not 0 < low < high or not 0 < start < reach:
        raise InputError(f"q_range must ascend from above 0 and least_radius_nm lie below {reach:.3g} nm; got {q_range!r} and {start:.3g}.")
    ring = np.rint(radii / step).astype(np.intp)
    inside = (radii >= start) & (radii <= reach)
    errors = None if uncertainties is None else np.asarray(uncertainties, dtype=np.float64)
    found = []
    for index, pattern in enumerate(patterns):
        if not np.isfinite(pattern).all():
            found.append((np.nan, np.nan))
            continue
        deviation = None if errors is None else errors[index]
        found.append(_fit_ring(*_ring_averages(pattern, deviation, radii, ring, inside), low, high))
    q, spread = np.array(found).reshape(-1, 2).T
    systematic = _SYSTEMATIC_SHARE * np.pi / (reach - start)
    return RingTrack(energies, q, spread, systematic, (float(low), float(high)), patterns.shape[1] * step)


def _ring_averages(
    pattern: Array, deviation: Array | None, radii: Array, ring: NDArray[np.intp], inside: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Return radius, r g(r) and its standard deviation (1 where unknown); a ring's pixels share their error, so it is not divided."""
    labels = ring[inside]
    count = np.bincount(labels)
    kept = count > 0

    def average(values: Array) -> Array:
        return np.bincount(labels, weights=values[inside])[kept] / count[kept]

    known = deviation is not None and bool(np.isfinite(deviation).all()) and float(deviation.max()) > 0
    errors = average(radii * deviation) if known and deviation is not None else np.ones(int(kept.sum()))
    return average(radii), average(radii * pattern), np.maximum(errors, 0.1 * errors.mean())


def _fit_ring(radius: Array, values: Array, deviation: Array, low: float, high: float) -> tuple[float, float]:
    """Return (q, deviation); NaN where no wave explains most of what a slope leaves."""
    reach = float(radius[-1])
    slope = np.stack([np.ones_like(radius), radius / reach], axis=1)

    def remainder(point: Array) -> Array:
        wave = np.exp(-radius * point[1])
        phase = point[0] * radius - 0.5 / (point[0] * radius)
        design = np.concatenate([slope, np.stack([wave * np.cos(phase), wave * np.sin(phase)], axis=1)], axis=1)
        scaled = design / deviation[:, None]
        return np.asarray(values / deviation - scaled @ np.linalg.lstsq(scaled, values / deviation, rcond=None)[0])

    grid = np.arange(low, high, 0.4 / reach)
    starts = [np.array([q, 1 / (share * reach)]) for q in grid for share in _DECAYS]
    best = min(starts, key=lambda point: float(np.sum(remainder(point) ** 2)))
    fit = least_squares(remainder, best, bounds=([low, 0.0], [high, 20 / reach]), x_scale=[0.1, 1 / reach])
    flat = slope / deviation[:, None]
    without = values / deviation - flat @ np.linalg.lstsq(flat, values / deviation, rcond=None)[0]
    explained = 1 - 2 * fit.cost / max(float(without @ without), 1e-300)
    at_edge = fit.x[0] - low < 1e-3 * low or high - fit.x[0] < 1e-3 * high
    freedom = radius.size - 6
    if explained < _LEAST_EXPLAINED or at_edge or freedom < 1:
        return np.nan, np.nan
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac)
    # What is left also holds what the asymptotic form leaves out; with unit deviations it is all that is known.
    scale = 2 * fit.cost / freedom
    return float(fit.x[0]), float(np.sqrt(covariance[0, 0] * scale))
