"""Variance components of a map by maximum marginal likelihood, with the exact gradient.

    Y = b + sum_g X_g a_g + noise,    a_g ~ N(0, sigma^2 v_g),    noise ~ N(0, sigma^2 C)

C is stationary (see stationary), every group g of columns X_g has one strength v_g: the kernel as its prior allows it, lattice waves,
unequal strengths of the defects. The constant b has a flat prior and sigma^2 is integrated out, so this is the restricted
likelihood (REML) of a linear mixed model; with Sigma = C + sum_g v_g X_g X_g^T on the measured pixels

    cost = (n - 1) / 2 log(Q) + log det(Sigma) / 2 + log(1^T Sigma^-1 1) / 2,    Q = y^T P y.

Pixels that were not measured are taken out of C^-1 exactly (block inverse), so they cost one column each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import gammaincc

from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters

Array = NDArray[np.float64]

_FLAT = 1e8
"""Prior variance of the constant in units of the map's own: flat for every purpose."""


@dataclass(frozen=True)
class MixedModel:
    """A map with its random effects.

    Attributes:
        values: (height, width) float64, NaN where not measured.
        groups: (height, width, k_g) columns of every group.
        aspect: (dy, dx) of a pixel in the unit of the covariance's lengths.
        floor: least white variance, units of the map squared.
    """

    values: Array
    groups: tuple[Array, ...]
    aspect: tuple[float, float]
    floor: float

    @property
    def pixels(self) -> int:
        """Number of measured pixels."""
        return int(np.isfinite(self.values).sum())


@dataclass(frozen=True)
class Components:
    """The marginal likelihood at given strengths, and what follows from it.

    Attributes:
        cost: minus the log likelihood, up to a constant of the map.
        gradient: by the logarithms of the stationary parameters, then of every v_g.
        information: average of observed and expected information, an approximation of the Hessian that takes no traces.
        variance: sigma^2 of the white noise.
        scaled_residual: (height, width), Sigma^-1 (y - b): the white noise's posterior mean, zero where not measured.
        effects: posterior means a_g, (k_g,) each.
        background: b.
    """

    cost: float
    gradient: Array
    information: Array
    variance: float
    scaled_residual: Array
    effects: tuple[Array, ...]
    background: float


def evaluate_components(model: MixedModel, parameters: StationaryParameters, strengths: Sequence[float]) -> Components:
    """Return the restricted likelihood of strengths v_g and stationary parameters, with its gradient.

    Raises:
        numpy.linalg.LinAlgError: the covariance is not positive definite to rounding.
    """
    covariance = StationaryCovariance((model.values.shape[0], model.values.shape[1]), parameters, model.aspect)
    measured = np.isfinite(model.values)
    height, width = model.values.shape
    sizes = [group.shape[2] for group in model.groups]
    scale = float(np.nanvar(model.values)) or 1.0
    constant = np.where(measured, np.sqrt(_FLAT), 0.0)[..., None]
    columns = np.concatenate([*(np.sqrt(v) * g for v, g in zip(strengths, model.groups, strict=True)), constant], axis=2)
    columns = np.where(measured[..., None], columns, 0.0)
    centre = float(np.nanmean(model.values))
    y = np.where(measured, model.values - centre, 0.0)[..., None]
    solved = covariance.solve(np.concatenate([columns, y], axis=2))
    solved, log_determinant, lost = _without_gaps(covariance, measured, solved)
    flat = columns.reshape(height * width, -1)
    seen, seen_y = solved[..., :-1].reshape(height * width, -1), solved[..., -1].reshape(-1)
    system = flat.T @ seen
    system[np.diag_indices_from(system)] += 1.0
    lower = cholesky(system, lower=True, check_finite=False)
    right = flat.T @ seen_y
    effects = cho_solve((lower, True), right, check_finite=False)
    freedom = model.pixels - 1
    misfit = max(float(y.ravel() @ seen_y) - float(right @ effects), 0.0) + freedom * model.floor
    cost = 0.5 * freedom * np.log(misfit / scale) + 0.5 * log_determinant + float(np.log(lower.diagonal()).sum())

    residual = seen_y - seen @ effects
    pull = freedom / misfit
    explained = solve_triangular(lower, seen.T, lower=True, check_finite=False).T.reshape(height, width, -1)
    whole = np.concatenate([explained, lost], axis=2) if lost.shape[2] else explained
    by_stationary = covariance.traces() - covariance.quadratic_forms(whole)
    by_stationary -= pull * covariance.quadratic_forms(residual.reshape(height, width, 1))
    left = 1 - np.sum(solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False) ** 2, axis=0)
    edges = np.cumsum([0, *sizes])
    parts = [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    by_group = [float(left[part].sum() - pull * effects[part] @ effects[part]) for part in parts]
    found = tuple(np.sqrt(v) * effects[part] for v, part in zip(strengths, parts, strict=True))
    gradient = 0.5 * np.concatenate([by_stationary, by_group])
    background = centre + float(effects[-1]) * float(np.sqrt(_FLAT))
    # Gilmour, Thompson and Cullis (1995): y^T P V_i P V_j P y, V_i the derivatives of Sigma, sigma^2 profiled out.
    moved = covariance.slopes(residual.reshape(height, width)).reshape(-1, height * width) * measured.ravel()
    moved = np.concatenate([moved, *((flat[:, part] @ effects[part])[None] for part in parts)]).T
    freed = covariance.solve(moved.reshape(height, width, -1)).reshape(moved.shape)
    if lost.shape[2]:
        by_gap = lost.reshape(height * width, -1)
        freed = freed - by_gap @ (by_gap.T @ moved)
    across = solve_triangular(lower, flat.T @ freed, lower=True, check_finite=False)
    pulls = residual @ moved
    information = 0.5 * pull * (moved.T @ freed - across.T @ across - np.outer(pulls, pulls) / misfit)
    return Components(float(cost), gradient, information, misfit / freedom, residual.reshape(height, width), found, background)


def _without_gaps(covariance: StationaryCovariance, measured: NDArray[np.bool_], solved: Array) -> tuple[Array, float, Array]:
    """Return C^-1 images on the measured pixels alone, log det C there, and F with C^-1 - F F^T in place of C^-1.

    With P the other pixels, the inverse of the measured block is C^-1 - C^-1_:P (C^-1_PP)^-1 C^-1_P:.
    """
    missing = np.flatnonzero(~measured.ravel())
    if not missing.size:
        return solved, covariance.log_determinant, np.empty((*measured.shape, 0))
    unit = np.zeros((measured.size, missing.size))
    unit[missing, np.arange(missing.size)] = 1.0
    columns = covariance.solve(unit.reshape(*measured.shape, -1)).reshape(measured.size, -1)
    lower = cholesky(columns[missing], lower=True, check_finite=False)
    lost = solve_triangular(lower, columns.T, lower=True, check_finite=False).T
    flat = solved.reshape(measured.size, -1)
    freed = flat - lost @ solve_triangular(lower, flat[missing], lower=True, check_finite=False)
    log_determinant = covariance.log_determinant + 2 * float(np.log(lower.diagonal()).sum())
    return freed.reshape(solved.shape), log_determinant, lost.reshape(*measured.shape, -1)


def score_group(model: MixedModel, parameters: StationaryParameters, strengths: Sequence[float], columns: Array) -> float:
    """Return how probable the model as it is makes what the map shows of one more group of random effects (score test at strength zero).

    Under the model g = X^T P y / sigma is N(0, X^T P X) for the new columns X, so |g|^2 has the mean tr(M) and the variance
    2 tr(M^2), M = X^T P X.

    Args:
        model, parameters, strengths: the model without the group.
        columns: (height, width, k), X.
    """
    shape = (model.values.shape[0], model.values.shape[1])
    covariance = StationaryCovariance(shape, parameters, model.aspect)
    measured = np.isfinite(model.values)
    constant = np.where(measured, np.sqrt(_FLAT), 0.0)[..., None]
    known = np.concatenate([*(np.sqrt(v) * g for v, g in zip(strengths, model.groups, strict=True)), constant], axis=2)
    known, new = np.where(measured[..., None], known, 0.0), np.where(measured[..., None], columns, 0.0)
    found = evaluate_components(model, parameters, strengths)
    solved, _, _ = _without_gaps(covariance, measured, covariance.solve(np.concatenate([known, new], axis=2)))
    flat, count = solved.reshape(measured.size, -1), known.shape[2]
    known_rows, new_rows = known.reshape(measured.size, -1), new.reshape(measured.size, -1)
    across = known_rows.T @ flat[:, count:]
    system = known_rows.T @ flat[:, :count] + np.eye(count)
    information = new_rows.T @ flat[:, count:] - across.T @ np.linalg.solve(system, across)
    pull = new_rows.T @ found.scaled_residual.ravel() / np.sqrt(found.variance)
    return chance_of(float(pull @ pull), float(np.trace(information)), 2 * float(np.sum(information * information.T)))


def chance_of(squares: float, mean: float, variance: float) -> float:
    """Return the probability of so large a sum of weighted squares, or a larger one: a gamma distribution of the same mean and variance.

    (Satterthwaite's approximation.)
    """
    if mean <= 0 or variance <= 0:
        return 1.0
    return float(gammaincc(mean**2 / variance, squares * mean / variance))
