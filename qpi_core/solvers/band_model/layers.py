"""The marginal likelihood of layers: noise by frequency, free kernels, and kernels with a few linear amplitudes.

For a layer with noise variances lambda_b of its bins, G = sum_b gram_b / lambda_b and so on, a kernel Phi c with c ~ N(0, V) has

    log p(Y) = -1/2 { sum_b count_b log lambda_b + power - p^T M^-1 p + log det(V M) },   M = Phi^T G Phi + V^-1,   p = Phi^T projection.

The free kernel, Phi = 1 and V a decaying oscillation with a phase that it loses over some length,

    V(r, r') = s^2 e(r) e(r') cos(q (r - r')) exp(-(r - r')^2 / (2 rho^2)),   e(r) = exp(-r / L) / (1 + r),

gives the noise (EM) and is what a band is compared with. s, L and rho are
those of the largest likelihood where the noise is found, and averaged over where free kernels are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cho_factor, cho_solve
from scipy.special import logsumexp

from qpi_core.solvers.band_model.projections import Projections

Array = NDArray[np.float64]

_ROUNDS, _ROUNDS_OF_SEVERAL = 6, 3
_STRENGTHS = np.geomspace(1e-2, 1e2, 9)
_COHERENCES = (2.0, 8.0, 32.0, 128.0)
_LENGTHS = (10.0, 30.0, 90.0)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer under its noise.

    Attributes:
        gram: (c, c), projection: (c,), power: weighted by the noise of the bins.
        constant: -1/2 sum_b count_b log lambda_b.
        variances: (bins,) lambda.
    """

    gram: Array
    projection: Array
    power: float
    constant: float
    variances: Array

    @classmethod
    def under(cls, statistics: Projections, index: int, variances: Array) -> Layer:
        """Return a layer of a stack under noise variances, (bins,)."""
        weights = 1.0 / variances
        return cls(
            gram=np.tensordot(weights, statistics.gram, axes=1),
            projection=weights @ statistics.projection[index],
            power=float(weights @ statistics.power[index]),
            constant=float(-0.5 * statistics.count @ np.log(variances)),
            variances=variances,
        )

    @property
    def empty(self) -> float:
        """log p without any kernel."""
        return self.constant - 0.5 * self.power

    def integrated(self, columns: Array, prior: Array) -> Layer:
        """Return the layer with a part columns @ c, c ~ N(0, diag(prior)), of its kernel integrated out."""
        scaled = columns * np.sqrt(prior)
        factor = cho_factor(np.eye(len(prior)) + scaled.T @ self.gram @ scaled, lower=True)
        through, right = self.gram @ scaled, scaled.T @ self.projection
        return Layer(
            gram=self.gram - through @ cho_solve(factor, through.T),
            projection=self.projection - through @ cho_solve(factor, right),
            power=self.power - float(right @ cho_solve(factor, right)),
            constant=self.constant - float(np.sum(np.log(np.diag(factor[0])))),
            variances=self.variances,
        )

    def first(self, count: int) -> Layer:
        """Return what the layer says of its first coefficients alone."""
        return replace(self, gram=self.gram[:count, :count], projection=self.projection[:count])

    def log_marginal(self, columns: Array, prior: Array) -> float:
        """Return log p of a kernel columns @ c, columns (c, m), c ~ N(0, diag(prior)), prior (m,)."""
        scaled = columns * np.sqrt(prior)
        inner = np.eye(len(prior)) + scaled.T @ self.gram @ scaled
        right = scaled.T @ self.projection
        factor = cho_factor(inner, lower=True)
        explained = float(right @ cho_solve(factor, right))
        return self.empty + 0.5 * explained - float(np.sum(np.log(np.diag(factor[0]))))


@dataclass(frozen=True, eq=False)
class FreeKernel:
    """The free kernel of a layer.

    Attributes:
        layer: under the noise that was found with it.
        log_marginal: of the free kernel, averaged over the numbers of its prior.
        power: of the map that it explains, in units of the noise.
        freedom: number of unknowns that the data determine.
    """

    layer: Layer
    log_marginal: float
    power: float
    freedom: float


def solve_free(statistics: Projections, index: int, wavenumber_per_px: float, rounds: int = _ROUNDS) -> FreeKernel:
    """Return noise and free kernel of a layer; wavenumber_per_px is q of its prior, rad/px (0: none).

    Noise and prior are found in turn: variances by EM (their expectation over the kernel), the prior's numbers on a grid.
    """
    variances = np.maximum(statistics.power[index] / statistics.count, 1e-300)
    base = float(statistics.power[index].sum() / statistics.count.sum())
    prior = None
    for round_ in range(rounds):
        layer = Layer.under(statistics, index, variances)
        if prior is None or round_ == rounds - 1:
            prior, averaged = _best_prior(layer, statistics.radii, wavenumber_per_px)
        mean, covariance, power, freedom = _posterior(layer, prior)
        if round_ == rounds - 1:
            break
        variances = np.maximum(_expected_power(statistics, index, mean, covariance) / statistics.count, 1e-9 * base)
    return FreeKernel(layer, averaged, power, freedom)


def solve_free_orders(statistics: Projections, index: int, wavenumber_per_px: float) -> FreeKernel:
    """Return noise and free kernel of a layer with several angular orders; as solve_free, which finds the isotropic part first.

    Every angular function has a prior of its own, chosen for what the ones before it leave: log p is a sum over them, each averaged over
    its prior's numbers and over not being there at all.
    """
    first = solve_free(statistics.isotropic(), index, wavenumber_per_px)
    variances, floor = first.layer.variances, 1e-9 * float(statistics.power[index].sum() / statistics.count.sum())
    roots: list[Array] = []
    for _ in range(_ROUNDS_OF_SEVERAL):
        layer = Layer.under(statistics, index, variances)
        roots, score = _priors_in_turn(layer, statistics, wavenumber_per_px)
        mean, covariance, power, freedom = _posterior(layer, block_diag(*roots))
        found = FreeKernel(layer, layer.empty + score, power, freedom)
        variances = np.maximum(_expected_power(statistics, index, mean, covariance) / statistics.count, floor)
    return found


def _priors_in_turn(layer: Layer, statistics: Projections, q: float) -> tuple[list[Array], float]:
    """Return the square roots of the priors, one an angular function, and log p over no kernel, averaged over what was tried."""
    count, score = statistics.splines.count, 0.0
    roots: list[Array] = []
    left = replace(layer, power=0.0, constant=0.0)
    for block in range(statistics.blocks):
        part = slice(block * count, (block + 1) * count)
        own = replace(left, gram=left.gram[part, part], projection=left.projection[part])
        root, averaged = _best_prior(own, statistics.radii, q)
        averaged -= own.empty
        score += float(np.logaddexp(averaged, 0.0) - np.log(2.0))
        if averaged <= 0:
            root = root[:, :0]
        roots.append(root)
        wide = np.zeros((layer.projection.size, root.shape[1]))
        wide[part] = root
        left = left.integrated(wide, np.ones(root.shape[1]))
    return roots, score


def _expected_power(statistics: Projections, index: int, mean: Array, covariance: Array) -> Array:
    """Return (bins,) the power that a kernel leaves, its mean over the kernel's posterior."""
    gram = statistics.gram.reshape(len(statistics.gram), -1)
    explained = gram @ (np.outer(mean, mean) + covariance).ravel()
    return np.asarray(statistics.power[index] - 2 * statistics.projection[index] @ mean + explained)


def _best_prior(layer: Layer, radii: Array, q: float) -> tuple[Array, float]:
    """Return the square root of V, (c, k), that makes a layer most likely, and log p averaged over all that were tried."""
    best, found = -np.inf, np.zeros((radii.size, 1))
    every = []
    # Amplitude of a kernel whose pattern the noise just hides; strengths are multiples of it.
    unit = float(np.sqrt(radii.size / np.trace(layer.gram)))
    apart = radii[:, None] - radii
    for coherence in _COHERENCES:
        values, vectors = np.linalg.eigh(np.cos(q * apart) * np.exp(-0.5 * (apart / coherence) ** 2))
        kept = values > 1e-6 * values[-1]
        shapes = vectors[:, kept] * np.sqrt(values[kept])
        for length in _LENGTHS:
            root = (np.exp(-np.abs(radii) / length) / (1 + np.abs(radii)))[:, None] * shapes
            # One decomposition serves all strengths.
            energies, turn = np.linalg.eigh(root.T @ layer.gram @ root)
            right = turn.T @ (root.T @ layer.projection)
            for strength in _STRENGTHS:
                size = (30.0 * strength * unit) ** 2
                inner = 1 + size * np.maximum(energies, 0.0)
                score = 0.5 * float(np.sum(size * right**2 / inner - np.log(inner)))
                every.append(score)
                if score > best:
                    best, found = score, np.sqrt(size) * root
    return found, layer.empty + float(logsumexp(every) - np.log(len(every)))


def _posterior(layer: Layer, root: Array) -> tuple[Array, Array, float, float]:
    """Return mean (c,), covariance (c, c), explained power and determined unknowns of a kernel root @ z, z ~ N(0, 1)."""
    inner = np.eye(root.shape[1]) + root.T @ layer.gram @ root
    factor = cho_factor(inner, lower=True)
    right = root.T @ layer.projection
    solved = cho_solve(factor, right)
    mean = root @ solved
    covariance = root @ cho_solve(factor, root.T)
    power = float(2 * mean @ layer.projection - mean @ layer.gram @ mean)
    freedom = float(root.shape[1] - np.trace(cho_solve(factor, np.eye(root.shape[1]))))
    return mean, np.asarray(covariance), power, freedom
