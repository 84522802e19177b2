"""The kernel of every layer for a given activation map, and the evidence of that map.

A ridge regression in a bank of filters: the coefficients have a Gaussian-process prior along the radius, under an envelope,

    y = X c + noise,   c ~ N(0, a s^2 K),   noise ~ N(0, s^2),

with X the filters summed over the defects, without their long waves as y is.
Strength a, variance s^2 and the envelope's width follow from the marginal likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.start.filter_bank import FilterBank

Array = NDArray[np.float64]

ONE_WIDTH, WIDTHS = (12.0,), (20.0, 12.0, 7.0)
"""Widths in px of the envelope: one for the search, several for the answer."""
_SMOOTHNESS = 1.5
"""Length in spline steps over which the coefficients of a profile are alike."""
_STRENGTHS = 10.0 ** np.arange(-2, 7)
_ENVELOPE_FLOOR = 1e-4
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class KernelFit:
    """What an activation map leads to, in units of the layers.

    Attributes:
        kernels: (energies, side, side) float32, centre in the middle.
        residuals: (energies, height, width) float32, 0 where not measured.
        variances: (energies,) of the residuals.
        log_likelihood: of the layers, the coefficients integrated out.
        precisions: (energies,) of the coefficients' prior K, in units of 1 / variance: 1 / a.
        roots: the Cholesky factor of K that each layer prefers.
    """

    kernels: NDArray[np.float32]
    residuals: NDArray[np.float32]
    variances: Array
    log_likelihood: float
    precisions: Array
    roots: tuple[Array, ...]


class KernelStep:
    """Solves for the kernels of one symmetry on the layers of one map."""

    def __init__(self, bank: FilterBank, layers: Layers, widths: tuple[float, ...] = ONE_WIDTH) -> None:
        """Take the bank in which the kernels lie, and the layers."""
        self.bank, self.layers = bank, layers
        self._inside = np.flatnonzero(layers.measured)
        self._data = layers.values.reshape(len(layers.values), -1)[:, self._inside].astype(np.float64)
        self._roots = [prior_root(bank, width) for width in widths]

    @property
    def data(self) -> Array:
        """The measured pixels of the layers, (energies, measured pixels)."""
        return self._data

    @property
    def widest_root(self) -> Array:
        """The Cholesky factor of the prior K with the widest envelope."""
        return self._roots[0]

    def design(self, activation: NDArray[np.float32]) -> Array:
        """Return X for an activation map without its long waves, (filters, measured pixels)."""
        return self._design(self.bank.superpositions(activation))

    def solve(self, activation: NDArray[np.float32]) -> KernelFit:
        """Return the fit of an activation map of any amplitudes, (height, width)."""
        return self._solve(self.design(activation))

    def solve_at(self, positions: Array, weights: Array) -> KernelFit:
        """Return the fit of defects between pixels: positions (n, 2) as (x, y) in px, amplitudes (n,)."""
        return self._solve(self.design_at(positions, weights))

    def design_at(self, positions: Array, weights: Array) -> Array:
        """Return X for defects between pixels without its long waves, (filters, measured pixels)."""
        return self._design(self.bank.superpositions_at(positions, weights))

    def _design(self, superpositions: NDArray[np.float32]) -> Array:
        return self.without_long_waves(superpositions.reshape(-1, *self.layers.shape))

    def without_long_waves(self, images: NDArray[np.float32]) -> Array:
        """Return images (k, height, width) without their long waves at the measured pixels, (k, measured pixels)."""
        left: Array = np.asarray(self.layers.long_waves.removed(images.astype(np.float64)), dtype=np.float64).reshape(len(images), -1)
        return left if len(self._inside) == left.shape[1] else left[:, self._inside]

    def _solve(self, design: Array) -> KernelFit:
        gram, projected = design @ design.T, design @ self._data.T
        found = [
            most_likely(gram, one, float(data @ data), data.size, self._roots) for one, data in zip(projected.T, self._data, strict=True)
        ]
        coefficients = np.stack([one.coefficients for one in found])
        left = self._data - coefficients @ design
        residuals = np.zeros(self.layers.values.shape, dtype=np.float32)
        residuals.reshape(len(residuals), -1)[:, self._inside] = left
        kernels = self.bank.kernel(coefficients).astype(np.float32)
        variances = np.mean(left**2, axis=1) + _ROUNDING
        likelihood, precisions = sum(one.likelihood for one in found), np.array([one.precision for one in found])
        return KernelFit(kernels, residuals, variances, likelihood, precisions, tuple(one.root for one in found))


def prior_root(bank: FilterBank, width: float) -> Array:
    """Return the Cholesky factor of K for an envelope exp(-r^2 / 2 width^2)."""
    envelope = np.exp(-(bank.radii**2) / (2 * width**2)) + _ENVELOPE_FLOOR
    apart = bank.radii[:, None] - bank.radii
    alike = (bank.profiles[:, None] == bank.profiles) * np.exp(-(apart**2) / (2 * (_SMOOTHNESS * bank.bank.step) ** 2))
    covariance = (alike + 1e-7 * np.eye(bank.count)) * np.outer(envelope, envelope)
    return np.linalg.cholesky(covariance + _ROUNDING * np.eye(bank.count))


@dataclass(frozen=True, eq=False)
class _Posterior:
    """The coefficients of one layer at the best strength and width."""

    coefficients: Array
    likelihood: float
    precision: float
    root: Array


def most_likely(gram: Array, projected: Array, total: float, pixels: int, roots: list[Array]) -> _Posterior:
    """Return what the marginal likelihood prefers."""
    best: _Posterior | None = None
    for root in roots:
        values, vectors = np.linalg.eigh(root.T @ gram @ root)
        rotated = vectors.T @ (root.T @ projected)
        spread = 1 + np.outer(_STRENGTHS, np.maximum(values, 0))
        shrunk = _STRENGTHS[:, None] * rotated / spread
        left = np.maximum(total - shrunk @ rotated, _ROUNDING * total)
        likelihood = -0.5 * pixels * np.log(left / pixels) - 0.5 * np.log(spread).sum(axis=1)
        index = int(np.argmax(likelihood))
        if best is None or likelihood[index] > best.likelihood:
            best = _Posterior(root @ (vectors @ shrunk[index]), float(likelihood[index]), float(1 / _STRENGTHS[index]), root)
    assert best is not None
    return best
