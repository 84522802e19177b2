"""Gaussian-process prior on the radial profiles of a kernel and the marginal likelihood of a map under it.

The profiles g_a(r) of the angular functions have the prior covariance

    cov(g_a(r), g_b(r')) = C_ab envelope(r) envelope(r') exp(-(r - r')^2 / 2 L^2) (w_0 + sum_i w_i cos(q_i (r - r')))

with envelope(r) = exp(-(a r^2)^(p / 2)), weights w >= 0 that add to 1, and C = V V^T. One column in V says that all angular parts share
one profile (a product of a radial and an angular function); a diagonal V says that they are independent. All covariances are
in units of the noise variance, which is integrated out in closed form: sigma^2 = Q / dof with Q = y^T (I + B K B^T)^-1 y.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.linalg.lapack import dpstrf

from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations

Array = NDArray[np.float64]

_RANK_TOLERANCE = 1e-8


@dataclass(frozen=True)
class RadialPrior:
    """Covariance of one profile at equidistant nodes.

    Attributes:
        log_decay: logarithm of a in 1/px^2.
        log_coherence: logarithm of L in px.
        wavenumbers: q_i in rad/px.
        logits: logarithms of w_i / w_0.
        log_power: logarithm of p; 2 is Eq. 7's Gaussian envelope, 1 the exponential one of a mean free path.
    """

    log_decay: float
    log_coherence: float
    wavenumbers: Array
    logits: Array
    log_power: float = float(np.log(2.0))

    def covariance(self, nodes: Array) -> Array:
        """Return the covariance, (nodes, nodes)."""
        envelope = self._envelope(nodes)
        return np.asarray(self._by_lag(nodes)[0][_lags(nodes.size)] * envelope[:, None] * envelope)

    def contract(self, nodes: Array, outer: Array, covariance: Array) -> Array:
        """Return sum(outer * derivative of covariance) by log a, log L, each q_i, each logit and log p; outer is symmetric.

        Entries of one lag are added first, because all but the envelope depend on the lag only.
        """
        envelope = self._envelope(nodes)
        by_lag = np.bincount(_lags(nodes.size).ravel(), weights=(outer * envelope[:, None] * envelope).ravel())
        at_radius = (outer * covariance).sum(axis=1)
        half_power, scaled = 0.5 * np.exp(self.log_power), np.exp(self.log_decay) * nodes**2
        exponent = scaled**half_power
        by_decay = -2 * half_power * np.dot(exponent, at_radius)
        by_power = -2 * half_power * np.dot(exponent * np.log(np.maximum(scaled, 1e-300)), at_radius)
        return np.concatenate([[by_decay], self._by_lag(nodes)[1:] @ by_lag, [by_power]])

    def slopes(self, nodes: Array) -> Array:
        """Return the derivatives of covariance(), (k, nodes, nodes), by log a, log L, each q_i, each logit and log p."""
        envelope, covariance = self._envelope(nodes), self.covariance(nodes)
        half_power, scaled = 0.5 * np.exp(self.log_power), np.exp(self.log_decay) * nodes**2
        exponent = scaled**half_power
        growth = exponent * np.log(np.maximum(scaled, 1e-300))
        by_decay, by_power = (-half_power * (at[:, None] + at) * covariance for at in (exponent, growth))
        stationary = self._by_lag(nodes)[1:, _lags(nodes.size)] * envelope[:, None] * envelope
        return np.concatenate([by_decay[None], stationary, by_power[None]])

    @property
    def oscillating_share(self) -> float:
        """Share of the prior's variance that oscillates: the sum of all weights but w_0."""
        weights = np.exp(np.concatenate([[0.0], self.logits]))
        return float(weights[1:].sum() / weights.sum())

    def _envelope(self, nodes: Array) -> Array:
        return np.asarray(np.exp(-((np.exp(self.log_decay) * nodes**2) ** (0.5 * np.exp(self.log_power)))))

    def _by_lag(self, nodes: Array) -> Array:
        """Return the stationary part of the covariance and its derivatives (log L, q_i, logit_i) by lag, (2 + 2 i, nodes)."""
        weights = np.exp(np.concatenate([[0.0], self.logits]))
        weights /= weights.sum()
        distance = nodes - nodes[0]
        phases = self.wavenumbers[:, None] * distance
        waves = np.cos(phases)
        scaled = (distance / np.exp(self.log_coherence)) ** 2
        mixture = weights[0] + weights[1:] @ waves
        by_q = -weights[1:, None] * distance * np.sin(phases)
        by_logit = weights[1:, None] * (waves - mixture)
        return np.asarray(np.stack([mixture, mixture * scaled, *by_q, *by_logit]) * np.exp(-0.5 * scaled))


@lru_cache(maxsize=8)
def _lags(count: int) -> NDArray[np.intp]:
    return np.asarray(np.abs(np.arange(count)[:, None] - np.arange(count)), dtype=np.intp)


def low_rank_factor(covariance: Array, tolerance: float = _RANK_TOLERANCE) -> Array:
    """Return F, (nodes, rank), with F F^T = covariance to a tolerance relative to its largest entry (pivoted Cholesky)."""
    factor, pivots, rank, _ = dpstrf(covariance, tol=tolerance * float(covariance.diagonal().max()), lower=1)
    lower = np.tril(factor)[:, :rank]
    result: Array = np.empty_like(lower)
    result[pivots - 1] = lower
    return result


@dataclass(frozen=True)
class Evidence:
    """Marginal likelihood and posterior at given hyperparameters.

    Attributes:
        cost: minus the logarithm of the marginal likelihood, up to a constant of the map.
        variance: noise variance.
        profiles: (a, nodes) posterior mean.
        by_mixing: derivative of cost by V, (a, columns).
        by_radial: derivative of cost by the parameters of RadialPrior, in the order of its covariance().
    """

    cost: float
    variance: float
    profiles: Array
    by_mixing: Array
    by_radial: Array


def evaluate(equations: NormalEquations, nodes: Array, radial: RadialPrior, mixing: Array, floor: float) -> Evidence:
    """Return the evidence of a prior.

    Args:
        equations: what the map says, for a angular functions.
        nodes: radii of the profile values.
        radial: prior of a profile.
        mixing: V, (a, columns).
        floor: least noise variance (what the basis itself cannot represent).
    """
    covariance = radial.covariance(nodes)
    full_factor = low_rank_factor(covariance)
    # With a subspace, profiles are those inside it, whatever else the prior would allow.
    factor = equations.reduced(full_factor.T).T
    reached, lower = _system(equations, factor, mixing)
    right = (mixing.T @ (equations.projection @ factor)).ravel()
    half = solve_triangular(lower, right, lower=True, check_finite=False)
    coefficients = solve_triangular(lower, half, lower=True, trans="T", check_finite=False)
    freedom = equations.pixels - 1
    misfit = max(equations.total - float(half @ half), 0.0) + freedom * floor
    cost = 0.5 * freedom * np.log(misfit) + float(np.log(lower.diagonal()).sum())

    unexplained = equations.projection - reached @ coefficients
    stacked = reached.reshape(-1, reached.shape[-1])
    spread = solve_triangular(lower, stacked.T, lower=True, check_finite=False).T.reshape(reached.shape)
    pull = freedom / misfit
    projected = (factor.T @ spread).reshape(len(mixing), -1)
    seen_covariance = covariance if equations.subspace is None else factor @ factor.T
    traces = equations.gram.reshape(len(mixing), len(mixing), -1) @ seen_covariance.ravel() - projected @ projected.T
    inner_unexplained = unexplained @ factor
    by_covariance = 0.5 * (traces - pull * inner_unexplained @ inner_unexplained.T)
    mixed_unexplained = mixing.T @ unexplained
    mixed_spread = np.tensordot(mixing, spread, axes=(0, 0)).transpose(1, 0, 2).reshape(len(factor), -1)
    flat = equations.gram.reshape(mixing.shape[0] ** 2, -1)
    outer = ((mixing @ mixing.T).ravel() @ flat).reshape(len(factor), -1)
    outer -= mixed_spread @ mixed_spread.T
    outer -= pull * mixed_unexplained.T @ mixed_unexplained
    if equations.subspace is not None:
        outer = equations.subspace @ outer @ equations.subspace.T
    by_radial = 0.5 * radial.contract(nodes, outer, covariance)
    seen_profiles = mixing @ (coefficients.reshape(mixing.shape[1], -1) @ factor.T)
    profiles = seen_profiles if equations.subspace is None else seen_profiles @ equations.subspace.T
    return Evidence(float(cost), misfit / freedom, profiles, 2 * by_covariance @ mixing, by_radial)


def average_information(
    equations: NormalEquations, nodes: Array, radial: RadialPrior, amplitudes: Array, groups: NDArray[np.intp], floor: float
) -> Array:
    """Return an approximation of the Hessian of the cost by the radial parameters and the logarithms of the amplitudes.

    Independent profiles only. With P = (I + B K B^T)^-1 and H_i the derivative of B K B^T it is the mean of what the map shows and what
    the model expects,

        (f / 2 Q) y^T P H_i P H_j P y - (f / 2 Q^2) (y^T P H_i P y) (y^T P H_j P y),

    which takes products with vectors only (Gilmour, Thompson, Cullis, Biometrics 51, 1440 (1995)). It is positive semidefinite.

    Args:
        equations, nodes, radial, floor: as for evaluate.
        amplitudes: (a,) square root of the diagonal of C.
        groups: (a,) which amplitude, 0 ..., each angular function has.
    """
    factor = equations.reduced(low_rank_factor(radial.covariance(nodes)).T).T
    reached, lower = _system(equations, factor, np.diag(amplitudes))
    right = (amplitudes[:, None] * (equations.projection @ factor)).ravel()
    half = solve_triangular(lower, right, lower=True, check_finite=False)
    freedom = equations.pixels - 1
    misfit = max(equations.total - float(half @ half), 0.0) + freedom * floor
    unexplained = equations.projection - reached @ solve_triangular(lower, half, lower=True, trans="T", check_finite=False)
    slopes = radial.slopes(nodes)
    if equations.subspace is not None:
        slopes = equations.subspace.T @ slopes @ equations.subspace
    power = amplitudes[:, None] ** 2
    by_radial = power * (unexplained @ slopes)
    by_amplitude = 2 * power * (unexplained @ factor @ factor.T)
    directions = np.concatenate([by_radial, by_amplitude * (groups == np.arange(groups.max() + 1)[:, None])[..., None]])
    flat = directions.reshape(len(directions), -1)
    seen = flat @ equations.gram.transpose(0, 2, 1, 3).reshape(flat.shape[1], -1)
    taken = solve_triangular(lower, reached.reshape(flat.shape[1], -1).T @ flat.T, lower=True, check_finite=False)
    first = flat @ unexplained.ravel()
    return np.asarray(0.5 * freedom / misfit * (seen @ flat.T - taken.T @ taken - np.outer(first, first) / misfit))


def posterior_factor(equations: NormalEquations, nodes: Array, radial: RadialPrior, mixing: Array) -> Array:
    """Return P, (a, nodes, k), with posterior covariance of the profiles = noise variance * P P^T, hyperparameters fixed."""
    factor = low_rank_factor(radial.covariance(nodes))
    _, lower = _system(equations, equations.reduced(factor.T).T, mixing)
    basis = np.einsum("ab,nr->anbr", mixing, factor).reshape(len(mixing) * nodes.size, -1)
    halved: Array = solve_triangular(lower, basis.T, lower=True, check_finite=False).T
    return halved.reshape(len(mixing), nodes.size, -1)


def _system(equations: NormalEquations, factor: Array, mixing: Array) -> tuple[Array, Array]:
    """Return Z = G (V x F), shape (a, nodes, columns rank), and the Cholesky factor of 1 + (V x F)^T Z."""
    size, columns = mixing.shape
    rank = factor.shape[1]
    if columns < size:
        mixed = mixing.T @ equations.gram.reshape(size, size, -1)
        reached = (mixed.reshape(size, columns, len(factor), -1) @ factor).transpose(0, 2, 1, 3).reshape(size, len(factor), columns * rank)
    else:
        seen = equations.gram @ factor
        reached = np.tensordot(seen, mixing, axes=(1, 0)).transpose(0, 1, 3, 2).reshape(size, len(factor), columns * rank)
    inner = factor.T @ reached
    system = np.tensordot(mixing, inner, axes=(0, 0)).reshape(columns * rank, -1)
    system[np.diag_indices_from(system)] += 1.0
    return reached, cholesky(system, lower=True, check_finite=False)
