"""Normal equations of several classes of defects at once, and those of one class with the others marginalised.

    Y = b + sum_c B_c g_c + noise,   g_c ~ N(0, sigma^2 K_c)

For one class the other patterns are noise with a known covariance. With W = (1 + sum_d B_d K_d B_d^T)^-1 over the others d, its
likelihood is that of ordinary equations with the Gram matrix B_c^T W B_c, the projection B_c^T W Y and the total Y^T W Y. Whatever
works on the equations of one class so gives the mean of the joint solve, and its posterior is the joint one, marginalised: the
covariance between the classes is in it (Schur complement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, angular_count, design_tiles
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.search import Hyperparameters

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClassBasis:
    """The basis of one class.

    Attributes:
        samples: the pixels, the same for every class, with the defects of this one.
        splines: radial basis.
        orders: angular orders.
        subspace: (nodes, k) orthonormal, or None for all profiles.
    """

    samples: MapSamples
    splines: RadialSplines
    orders: tuple[int, ...]
    subspace: Array | None

    @property
    def count(self) -> int:
        """Number of coordinates of a profile: spline coefficients, or those in the subspace."""
        return self.splines.count if self.subspace is None else self.subspace.shape[1]

    @property
    def width(self) -> int:
        """Number of columns."""
        return angular_count(self.orders) * self.count

    def rows(self, block: Array) -> Array:
        """Return (pixels, width) from a tile of the design, (a, pixels, spline coefficients)."""
        if self.subspace is not None:
            block = block @ (self.splines.interpolation @ self.subspace)
        return np.ascontiguousarray(block.transpose(1, 0, 2)).reshape(block.shape[1], -1)

    def coordinates(self, values: Array) -> Array:
        """Return (a, count, ...) coordinates of profiles given at the nodes, (a, nodes, ...)."""
        turn = self.splines.interpolation if self.subspace is None else self.subspace.T
        return np.asarray(np.moveaxis(np.tensordot(turn, values, axes=(1, 1)), 0, 1))

    def prior_factor(self, point: Hyperparameters) -> Array:
        """Return E, (width, columns), with E E^T the prior covariance of the coordinates in units of the noise variance."""
        factor, mixing = low_rank_factor(point.radial.covariance(self.splines.nodes)), point.mixing()
        product = np.einsum("ac,nr->ancr", mixing, factor).reshape(len(mixing), self.splines.nodes.size, -1)
        return self.coordinates(product).reshape(self.width, -1)


class JointEquations:
    """Gram matrix and projections of all classes, the constant background marginalised (that is: the mean removed)."""

    def __init__(self, bases: Sequence[ClassBasis]) -> None:
        """Add up the equations tile by tile, so that the design of the whole map is never held."""
        self.bases = tuple(bases)
        edges = np.cumsum([0, *(basis.width for basis in self.bases)])
        self._parts = [slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        values = self.bases[0].samples.values
        self.mean_value, self._pixels = float(values.mean()), values.size
        self._gram, self._projection, sums = np.zeros((edges[-1], edges[-1])), np.zeros(edges[-1]), np.zeros(edges[-1])
        tiles = [design_tiles(basis.samples, basis.splines, basis.orders) for basis in self.bases]
        for several in zip(*tiles, strict=True):
            part = several[0][0]
            rows = np.concatenate([basis.rows(block) for basis, (_, block) in zip(self.bases, several, strict=True)], axis=1)
            self._gram += rows.T @ rows
            self._projection += rows.T @ (values[part] - self.mean_value)
            sums += rows.sum(axis=0)
        self._means = sums / self._pixels
        self._gram -= self._pixels * np.outer(self._means, self._means)
        self._total = float(np.sum((values - self.mean_value) ** 2))

    def alone(self, index: int) -> NormalEquations:
        """Return the equations of one class as if the patterns of the others were known exactly, and zero."""
        own = self._parts[index]
        return self._as_equations(index, self._gram[own, own], self._projection[own], self._total)

    def past_others(self, index: int, points: Sequence[Hyperparameters]) -> NormalEquations:
        """Return the equations of one class with the others marginalised.

        Args:
            index: of the class.
            points: hyperparameters of every class (that of the class itself is not used), in units of one noise variance.
        """
        own = self._parts[index]
        others = [k for k in range(len(self.bases)) if k != index]
        if not others:
            return self.alone(index)
        factors = {k: self.bases[k].prior_factor(points[k]) for k in others}
        inner = np.block([[factors[j].T @ self._gram[self._parts[j], self._parts[k]] @ factors[k] for k in others] for j in others])
        inner[np.diag_indices_from(inner)] += 1.0
        lower = cholesky(inner, lower=True, check_finite=False)
        crossed = np.concatenate([factors[k].T @ self._gram[self._parts[k], own] for k in others])
        seen = np.concatenate([factors[k].T @ self._projection[self._parts[k]] for k in others])
        known = cho_solve((lower, True), np.column_stack([crossed, seen]), check_finite=False)
        gram = self._gram[own, own] - crossed.T @ known[:, :-1]
        total = self._total - float(seen @ known[:, -1])
        return self._as_equations(index, 0.5 * (gram + gram.T), self._projection[own] - crossed.T @ known[:, -1], total)

    def background(self, profiles: Sequence[Array]) -> float:
        """Return the constant b that goes with the profiles, (a, nodes), of every class."""
        parts = zip(self.bases, self._parts, profiles, strict=True)
        return self.mean_value - sum(float(self._means[own] @ basis.coordinates(values).ravel()) for basis, own, values in parts)

    def _as_equations(self, index: int, gram: Array, projection: Array, total: float) -> NormalEquations:
        basis, means = self.bases[index], self._means[self._parts[index]]
        size = angular_count(basis.orders)
        blocks = gram.reshape(size, basis.count, size, basis.count).transpose(0, 2, 1, 3)
        projections, mean_design = projection.reshape(size, -1), means.reshape(size, -1)
        if basis.subspace is None:
            turn = basis.splines.interpolation
            blocks, projections, mean_design = turn.T @ blocks @ turn, projections @ turn, mean_design @ turn
        blocks = np.ascontiguousarray(blocks)
        return NormalEquations(basis.orders, blocks, projections, mean_design, self.mean_value, total, self._pixels, basis.subspace)
