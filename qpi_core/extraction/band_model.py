"""A band fitted to the maps of a stack, not to the rings of its kernels: band edge, mass, lifetime and mean free path with errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import is_constant, require_pixel_size, require_positions, require_weights
from qpi_core.estimates.band_model import BandModel
from qpi_core.runtime.blas_threads import one_blas_thread
from qpi_core.solvers.band_model.fit import FittedBand, fit_free_electron
from qpi_core.solvers.band_model.projections import FURTHEST_PX, STEP_PX, project_stack
from qpi_core.solvers.band_model.search import BandFitRule, BandSearch

BAND_MODELS = ("free-electron",)
LEAST_LAYERS = 3
LEAST_EVIDENCE = 10.0
"""Log evidence over no wave, and over one that does not disperse, from which on a band is claimed."""
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
    rule: BandFitRule | None = None,
) -> BandModel:
    """Fit a band to all layers together, kernels given by T-matrix scattering off it; see qpi_core.solvers.band_model.

    Strength and phase of the scattering are free at every energy, and so is the core of the defect; the noise of every layer is that of
    its own spatial frequencies. The kernels are isotropic. Layers that were not measured, or are constant, take no part; a pixel that one
    of the others lacks takes part in none.

    Args:
        stack: (energies, height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels, of one kind of defect.
        bias_mv: (energies,) finite.
        pixel_size_nm: pitch, one number or (dy, dx).
        weights: amplitude of each defect; None is 1.
        model: one of BAND_MODELS.
        rule: other settings than the usual ones.

    Raises:
        InputError: an argument is not usable; fewer than three layers or two energies.
    """
    if model not in BAND_MODELS:
        raise InputError(f"model must be one of {', '.join(BAND_MODELS)}, but it is {model!r}.")
    values, energy = _layers(stack, bias_mv)
    pitch = require_pixel_size(pixel_size_nm)
    unit = float(np.sqrt(pitch[0] * pitch[1]))
    shape = (values.shape[1], values.shape[2])
    points = require_positions(positions, shape)
    furthest = min(FURTHEST_PX, STEP_PX * _MOST_VALUES / (shape[0] * shape[1]))
    with one_blas_thread():
        statistics = project_stack(values, points, require_weights(weights, len(points)), (pitch[0] / unit, pitch[1] / unit), furthest)
        fitted = fit_free_electron(BandSearch(statistics, energy, unit, rule or BandFitRule()))
    return _answer(model, fitted)


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


def _answer(model: str, fitted: FittedBand | None) -> BandModel:
    if fitted is None:
        return BandModel(model, {}, False, False, {}, 0.0, 0, (NO_BAND,))
    evidence = {"band": fitted.log_evidence, "no_dispersion": fitted.log_evidence_constant, "free_kernels": fitted.log_evidence_free}
    ahead = fitted.log_evidence - max(0.0, fitted.log_evidence_constant)
    explains = fitted.log_evidence > fitted.log_evidence_free
    if ahead <= LEAST_EVIDENCE or fitted.layers < LEAST_LAYERS:
        sentence = STANDS_STILL if fitted.log_evidence_constant > LEAST_EVIDENCE else NO_BAND
        return BandModel(model, {}, False, False, evidence, fitted.explained, fitted.layers, (sentence,))
    band, deviation = fitted.band, [float(one) for one in np.sqrt(np.diag(fitted.covariance))]
    path = float(1 / band.inverse_mean_free_path)
    parameters = {
        "band_edge_mev": (float(band.band_edge_mev), deviation[0]),
        "effective_mass": (float(band.effective_mass), deviation[1]),
        "broadening_mev": (band.broadening_mev, band.broadening_mev * deviation[2]),
        "mean_free_path_nm": (path, path * deviation[3]),
    }
    sentences = [
        f"A free-electron-like band, fitted to {fitted.layers} layers: E0 = {band.band_edge_mev:.2f} ± {deviation[0]:.2g} meV, "
        f"m* = {band.effective_mass:.4f} ± {deviation[1]:.1g} electron masses.",
        EXPLAINS.format(fitted.log_evidence - fitted.log_evidence_free)
        if explains
        else EXPLAINS_PART.format(100 * fitted.explained, fitted.log_evidence_free - fitted.log_evidence),
    ]
    return BandModel(model, parameters, True, explains, evidence, fitted.explained, fitted.layers, tuple(sentences))


NO_BAND = "The maps show no free-electron-like band: no wave whose length follows a parabola in energy stands out of the noise."
STANDS_STILL = (
    "The maps show a wave whose length does not change with energy, so no band: a lattice, a set-point effect or a pattern of the tip."
)
EXPLAINS = "The band explains the maps better than free kernels do (log evidence higher by {:.0f})."
EXPLAINS_PART = (
    "The band explains {:.0f} % of the power of the kernels, but free kernels explain the maps better (log evidence higher by {:.0f}): "
    "there is more in them than this band, and the deviations were widened accordingly."
)
