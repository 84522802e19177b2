"""The first stage of the harmonic solver on every pixel of a map, without those that do not belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import bdtrc

from qpi_core.noise.outliers import find_outliers
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.orders.selection import select_orders
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart

Array = NDArray[np.float64]

_OUTLIER_ROUNDS = 3
_CORE_PX, _ACCIDENT = 3.0, 1e-3
"""Radius of a core, and the probability below which outliers lie there for a reason."""


def on_all_pixels(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> HarmonicStart:
    """Return the first stage on every measured pixel: the evidence of a part of them is no measure for that of all."""
    if begun.samples.values.size == int(np.isfinite(problem.values).sum()):
        return begun
    return begun.remembered("all pixels", lambda: _on_all_pixels(problem, positions, weights, begun))


def with_coarser_splines(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, factor: int) -> HarmonicStart:
    """Return the first stage on every measured pixel with radial knots so many times as far apart: enough for an oversampled kernel."""
    coarser = RadialSplines(factor * begun.splines.step, begun.splines.radius)
    return _on_all_pixels(problem, positions, weights, replace(begun, splines=coarser))


def _on_all_pixels(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> HarmonicStart:
    samples = take_samples(problem.values, positions, weights, begun.aspect, stretch=begun.frame.stretch)
    design = StoredDesign(samples, begun.splines, tuple(sorted({0, *problem.symmetry_orders})))
    selection = select_orders(design, begun.splines.nodes, problem.symmetry_orders, begun.floor)
    return replace(begun, samples=samples, design=design, selection=selection)


def without_outliers(
    problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart
) -> tuple[HarmonicProblem, HarmonicStart]:
    """Return the problem with NaN at single pixels that do not belong, and its first stage."""
    for _ in range(_OUTLIER_ROUNDS):
        found = away_from_defects(find_outliers(residual_of(problem.values, begun)), positions)
        if not found.any():
            break
        problem = replace(problem, values=np.where(found, np.float32(np.nan), problem.values))
        begun = on_all_pixels(problem, positions, weights, problem.start(positions, weights))
    return problem, begun


def away_from_defects(found: NDArray[np.bool_], positions: Array) -> NDArray[np.bool_]:
    """Return the outliers without those at defects, where so many lie there that they are a misfit of the kernel and no accident."""
    rows, columns = np.nonzero(found)
    near, _ = cKDTree(positions).query(np.stack([columns, rows], axis=1), distance_upper_bound=_CORE_PX) if rows.size else (rows, rows)
    height, width = found.shape
    every = np.stack([grid.ravel() for grid in np.meshgrid(np.arange(width), np.arange(height))], axis=1)
    share = float(np.isfinite(cKDTree(positions).query(every, distance_upper_bound=_CORE_PX)[0]).mean())
    at_defects = np.isfinite(near)
    if rows.size and bdtrc(int(at_defects.sum()) - 1, rows.size, share) < _ACCIDENT:
        found = found.copy()
        found[rows[at_defects], columns[at_defects]] = False
    return found


def residual_of(values: NDArray[np.float32], begun: HarmonicStart) -> Array:
    """Return what a first stage under white noise leaves, (height, width), NaN where no pixel took part."""
    left = np.full(values.shape, np.nan)
    fit = begun.selection.best
    left[begun.samples.places] = begun.design.residual(fit.hyperparameters.orders, fit.evidence.profiles)
    return left
