"""How a map depends on the positions and amplitudes of its defects, for a kernel as it was found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, defects_near, take_samples
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.search import refine as refine_hyperparameters

Array = NDArray[np.float64]

KERNEL_PIXELS = 16384
"""Pixels that are enough for the kernel while positions are still on their way."""


def solve_again(
    values: NDArray[np.float32], model: HarmonicModel, points: Array, weights: Array, most: int | None = KERNEL_PIXELS
) -> HarmonicModel:
    """Return the model for changed defects, the hyperparameters close to where they were, from at most so many pixels (None: all)."""
    samples = take_samples(values, points, weights, model.aspect, most=most, stretch=model.frame.stretch)
    equations = accumulate([ClassBasis(samples, model.splines, model.fit.hyperparameters.orders, model.equations.subspace)]).alone()
    fit = refine_hyperparameters(equations, model.splines.nodes, model.fit.hyperparameters, model.floor, rounds=1)
    return replace(model, samples=samples, equations=equations, fit=fit)


@dataclass(frozen=True)
class Sensitivities:
    """How the map depends on the defects, for a fixed kernel; parameters are all x, then all y (px), then all amplitudes.

    Attributes:
        information: (3 n, 3 n), J^T J.
        pull: (3 n,), J^T residual.
        variance: mean square of the residual.
    """

    information: Array
    pull: Array
    variance: float


def sensitivities(values: NDArray[np.float32], model: HarmonicModel, points: Array, weights: Array) -> Sensitivities:
    """Return the Gauss-Newton system of the defects; pixels count up to where the kernel's envelope has fallen to 0.2."""
    count = len(points)
    samples = take_samples(values, points, weights, model.aspect, stretch=model.frame.stretch)
    background = model.equations.background(model.fit.evidence.profiles)
    reach = float(np.clip(np.sqrt(1.6 / np.exp(model.fit.hyperparameters.vector[0])), 6.0, model.splines.radius))
    information, pull, squares, pixels = np.zeros((3 * count, 3 * count)), np.zeros(3 * count), 0.0, 0
    for part in samples.tiles:
        near, distance, jacobian = defect_slopes(model, samples, part)
        if not near.size:
            continue
        residual = samples.values[part] - background - jacobian[:, 2 * near.size :] @ weights[near]
        squares += float(residual @ residual)
        pixels += residual.size
        jacobian = jacobian * np.tile(distance <= reach, 3)
        columns = np.concatenate([near, near + count, near + 2 * count])
        information[np.ix_(columns, columns)] += jacobian.T @ jacobian
        pull[columns] += jacobian.T @ residual
    return Sensitivities(information, pull, squares / max(pixels, 1) + model.floor)


def defect_slopes(model: HarmonicModel, samples: MapSamples, part: slice) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the defects near a tile of samples in the model's coordinates, and how its pixels depend on them.

    Returns:
        (n,) defects; (pixels, n) their distances in solver units; (pixels, 3 n) derivatives by all x, all y (px), all amplitudes.
    """
    x, y = samples.x[part], samples.y[part]
    near = defects_near(x, y, samples.positions, model.splines.radius)
    if not near.size:
        return near, np.zeros((x.size, 0)), np.zeros((x.size, 0))
    dx, dy = x[:, None] - samples.positions[near, 0], y[:, None] - samples.positions[near, 1]
    value, *slopes = kernel_with_slopes(model.splines, model.fit.hyperparameters.orders, model.fit.evidence.profiles, dx, dy)
    # A defect that moves one way moves the kernel's offsets the other way.
    by_x, by_y = (-slope * samples.weights[near] for slope in model.frame.by_pixel(*slopes))
    return near, np.hypot(dx, dy), np.concatenate([by_x, by_y, value], axis=1)
