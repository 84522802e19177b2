"""Bands fitted to the maps of a stack, not to the rings of its kernels: their numbers with errors, and which band the maps prefer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import is_constant, require_pixel_size, require_positions, require_weights
from qpi_core.estimates.band_model import BandComparison, BandModel
from qpi_core.extraction.bands.band_answer import LEAST_LAYERS, band_answer
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.band_model.families.by_name import BAND_MODELS as BAND_MODELS
from qpi_core.solvers.band_model.families.by_name import band_family as band_family
from qpi_core.solvers.band_model.fit import fit_band
from qpi_core.solvers.band_model.projections import FURTHEST_PX, STEP_PX, project_stack
from qpi_core.solvers.band_model.search import BandFitRule, BandSearch
from qpi_core.solvers.harmonic.equations.basis import angular_count

_MOST_VALUES = 2**27
"""Pixels x spline coefficients that are held at once: 512 MiB."""


def fit_band_model(
    stack: ArrayLike,
    positions: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    *,
    weights: ArrayLike | None = None,
    model: str = "free-electron",
    lattice: tuple[float, float] | None = None,
    rule: BandFitRule | None = None,
) -> BandModel:
    """Fit a band to all layers together, kernels given by T-matrix scattering off it; see qpi_core.solvers.band_model.

    Strength and phase of the scattering are free at every energy, and so is the core of the defect; the noise of every layer is that of
    its own spatial frequencies. Layers that were not measured, or are constant, take no part; a pixel that one of the others lacks takes
    part in none.

    Args:
        stack: (energies, height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels, of one kind of defect.
        bias_mv: (energies,) finite.
        pixel_size_nm: pitch, one number or (dy, dx).
        weights: amplitude of each defect; None is 1.
        model: one of BAND_MODELS.
        lattice: for "square", "triangular" and "honeycomb": lattice constant in nm and direction of a primitive vector in rad, from +x
            towards +y (downwards).
        rule: other settings than the usual ones.

    Raises:
        InputError: an argument is not usable; fewer than three layers or two energies.
    """
    family = band_family(model, *(lattice or ()))
    search = _search(stack, positions, bias_mv, pixel_size_nm, weights, family.orders, rule)
    with one_thread():
        return band_answer(family, fit_band(search, family), search.energy)


def compare_band_models(
    stack: ArrayLike,
    positions: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    *,
    models: Sequence[str] = ("free-electron", "dirac", "elliptic", "hexagonal"),
    weights: ArrayLike | None = None,
    lattice: tuple[float, float] | None = None,
    rule: BandFitRule | None = None,
) -> BandComparison:
    """Fit several bands to the same layers under the same noise, and say which one the maps prefer.

    Args:
        models: names out of BAND_MODELS, each once.
        stack, positions, bias_mv, pixel_size_nm, weights, lattice, rule: as fit_band_model.

    Raises:
        InputError: as fit_band_model; no model, or one twice.
    """
    if isinstance(models, str) or not models or len(set(models)) != len(models):
        raise InputError(f"models must be a list of different names out of {', '.join(BAND_MODELS)}, but it is {models!r}.")
    families = [band_family(name, *(lattice or ())) for name in models]
    orders = tuple(sorted({order for family in families for order in family.orders}))
    search = _search(stack, positions, bias_mv, pixel_size_nm, weights, orders, rule)
    with one_thread():
        return BandComparison(tuple(band_answer(family, fit_band(search, family), search.energy) for family in families))


def _search(
    stack: ArrayLike,
    positions: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    weights: ArrayLike | None,
    orders: tuple[int, ...],
    rule: BandFitRule | None,
) -> BandSearch:
    """Check the arguments and prepare the likelihood for kernels of some angular orders."""
    values, energy = _layers(stack, bias_mv)
    pitch = require_pixel_size(pixel_size_nm)
    unit = float(np.sqrt(pitch[0] * pitch[1]))
    shape = (values.shape[1], values.shape[2])
    points = require_positions(positions, shape)
    amplitudes, aspect = require_weights(weights, len(points)), (pitch[0] / unit, pitch[1] / unit)
    furthest = min(FURTHEST_PX, STEP_PX * _MOST_VALUES / (shape[0] * shape[1] * angular_count(orders)))
    with one_thread():
        statistics = project_stack(values, points, amplitudes, aspect, furthest, orders)
        return BandSearch(statistics, energy, unit, rule or BandFitRule())


def _layers(stack: ArrayLike, bias_mv: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    values, energy = np.asarray(stack, dtype=np.float32), np.asarray(bias_mv, dtype=np.float64)
    if values.ndim != 3:
        raise InputError(f"stack must have shape (energies, height, width), but it has shape {values.shape}.")
    if energy.shape != (len(values),) or not np.isfinite(energy).all():
        raise InputError(f"bias_mv must be {len(values)} finite energies, one a layer, but it has shape {energy.shape}.")
    use = [index for index, layer in enumerate(values) if np.isfinite(layer).any() and not is_constant(layer)]
    if len(use) < LEAST_LAYERS or np.ptp(energy[use]) == 0:
        raise InputError(f"a band needs at least {LEAST_LAYERS} measured layers at different energies; this stack has {len(use)}.")
    values, energy = values[use], energy[use]
    everywhere = np.isfinite(values).all(axis=0)
    if not everywhere.any():
        raise InputError("no pixel was measured in all layers of the stack; leave out the layers that cover other parts of it.")
    return np.where(everywhere, values, np.float32(np.nan)), energy
