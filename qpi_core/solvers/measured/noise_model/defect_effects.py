"""Defects that are not all alike, as random effects of a map: strengths, cores and errors of the list's places of their own.

With the kernel's pattern t_j(p) = A(p - r_j), strengths w_j (1 + a_j) add w_j a_j t_j, cores add spots s(p - r_j) with heights of their
own, and a place that is off by d_j adds -w_j d_j . grad A(p - r_j) to first order. All are columns with one variance each, so the
marginal likelihood prices them against a background and against each other; of places and strengths the map is linearised about those
in use, which the search moves to the posterior mean (Gauss-Newton on the marginal likelihood).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.search import Fit

Array = NDArray[np.float64]

CORE_RADII_PX = (0.9, 1.8)
"""Standard deviations of the two spots that stand for a core."""
_MOST_COLUMNS = 400
_LEAST_MEAN = 0.2
"""Mean strength, in units of the mean size, below which the sign of a kernel is a matter of taste and the size is kept."""


def strength_columns(samples: MapSamples, splines: RadialSplines, fit: Fit) -> Array:
    """Return (pixels, n) how the map depends on the logarithm of each defect's strength, the common factor (the kernel's) taken out."""
    columns, _, _ = _patterns(samples, splines, fit)
    power = samples.weights / np.sqrt(float(samples.weights @ samples.weights))
    return np.asarray(columns - np.outer(columns @ power, power))


def place_columns(samples: MapSamples, splines: RadialSplines, fit: Fit) -> Array:
    """Return (pixels, 2 n) how the map depends on each defect's place: all x, then all y, in the units of the samples."""
    _, by_x, by_y = _patterns(samples, splines, fit)
    # A defect that moves one way moves the kernel's offsets the other way.
    return np.concatenate([-by_x * samples.weights, -by_y * samples.weights], axis=1)


def _patterns(samples: MapSamples, splines: RadialSplines, fit: Fit) -> Array:
    """Return the kernel around each defect and its slopes by x and y, (3, pixels, n); zero beyond the splines."""
    found = np.zeros((3, samples.values.size, len(samples.positions)))
    for part in samples.tiles:
        dx = samples.x[part, None] - samples.positions[:, 0]
        dy = samples.y[part, None] - samples.positions[:, 1]
        found[:, part] = kernel_with_slopes(splines, fit.hyperparameters.orders, fit.evidence.profiles, dx, dy)
    return found


def core_columns(samples: MapSamples) -> Array:
    """Return (pixels, 2 n) spots of two sizes at every defect."""
    parts = []
    for radius in CORE_RADII_PX:
        dx = samples.x[:, None] - samples.positions[:, 0]
        dy = samples.y[:, None] - samples.positions[:, 1]
        parts.append(np.exp(-0.5 * (dx**2 + dy**2) / radius**2))
    return np.concatenate(parts, axis=1)


def may_be_unequal(count: int) -> bool:
    """Say whether there are enough defects to tell their spread, and not more than the algebra has room for."""
    return count >= 3 and 3 * count <= _MOST_COLUMNS


def may_be_moved(count: int) -> bool:
    """Say the same of places beside strengths and cores."""
    return count >= 3 and 5 * count <= _MOST_COLUMNS


def on_the_scale_of(weights: Array, given: Array) -> Array:
    """Return weights times the factor that keeps their mean, weighted with the given ones; their size where the signs cancel."""
    projection, size = float(weights @ given), float(np.abs(weights) @ np.abs(given))
    kept = projection if projection > _LEAST_MEAN * size else size
    return weights * (float(given @ given) / max(kept, 1e-300))
