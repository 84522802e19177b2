"""Products of patterns, of the kernel's basis and of what a model leaves of its map, as the noise of the map weighs them.

With white noise that is about the mean over pixels, since the constant background is free, and tile by tile. With a noise model all
three are whitened first (see qpi_core.noise.whitening); a whole map is then looked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import design_tiles
from qpi_core.solvers.harmonic.model import HarmonicModel

Array = NDArray[np.float64]
Patterns = Callable[[slice], tuple[NDArray[np.intp] | None, Array]]
"""From a tile to the patterns that are not zero there (None: all) and their values, (pixels, k)."""


@dataclass(frozen=True)
class MapProducts:
    """Inner products over a map.

    Attributes:
        gram: (k, k) of the patterns.
        pull: (k,) of the patterns with the residual.
        onto: (a, nodes, k) of the basis with the patterns.
        variance: mean square of the residual, with the solver's floor.
    """

    gram: Array
    pull: Array
    onto: Array
    variance: float


def map_products(model: HarmonicModel, count: int, patterns: Patterns) -> MapProducts:
    """Return the products of `count` patterns on the pixels that a model was solved for."""
    products = _white(model, count, patterns) if model.whitener is None else _whitened(model, count, patterns)
    if model.equations.subspace is None:
        return products
    inside = model.equations.subspace @ (model.equations.subspace.T @ products.onto)
    return MapProducts(products.gram, products.pull, inside, products.variance)


def _white(model: HarmonicModel, count: int, patterns: Patterns) -> MapProducts:
    samples, splines = model.samples, model.splines
    profiles = model.fit.evidence.profiles
    coefficients, background = profiles @ splines.interpolation.T, model.equations.background(profiles)
    pixels = samples.values.size
    gram, pull, sums = np.zeros((count, count)), np.zeros(count), np.zeros(count)
    onto, basis_sum, squares = np.zeros((*coefficients.shape, count)), np.zeros(coefficients.shape), 0.0
    for part, design in design_tiles(samples, splines, model.fit.hyperparameters.orders):
        residual = samples.values[part] - background - np.einsum("apk,ak->p", design, coefficients)
        squares += float(residual @ residual)
        basis_sum += design.sum(axis=1)
        near, values = patterns(part)
        columns = np.arange(count) if near is None else near
        gram[np.ix_(columns, columns)] += values.T @ values
        pull[columns] += values.T @ residual
        sums[columns] += values.sum(axis=0)
        onto[:, :, columns] += np.matmul(design.transpose(0, 2, 1), values)
    gram -= np.outer(sums, sums) / pixels
    onto = splines.interpolation.T @ (onto - basis_sum[:, :, None] * sums / pixels)
    return MapProducts(gram, pull, onto, squares / pixels + model.floor)


def _whitened(model: HarmonicModel, count: int, patterns: Patterns) -> MapProducts:
    samples, splines = model.samples, model.splines
    coefficients = model.fit.evidence.profiles @ splines.interpolation.T
    pixels = samples.values.size
    basis, values, residual = np.empty((pixels, coefficients.size)), np.zeros((pixels, count)), samples.values.copy()
    for part, design in design_tiles(samples, splines, model.fit.hyperparameters.orders):
        basis[part] = design.transpose(1, 0, 2).reshape(-1, coefficients.size)
        near, here = patterns(part)
        values[part, slice(None) if near is None else near] = here
        residual[part] -= np.einsum("apk,ak->p", design, coefficients)
    seen, left = model.whitened(values), model.whitened(residual[:, None])[:, 0]
    onto = (model.whitened(basis).T @ seen).reshape(*coefficients.shape, count)
    return MapProducts(seen.T @ seen, seen.T @ left, splines.interpolation.T @ onto, float(left @ left) / pixels + model.floor)
