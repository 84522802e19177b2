"""Normal equations of a whole problem in one pass over its map: every energy layer, every class of defects.

    Y_e = b_e + sum_c B_c g_{c,e} + noise_e,   g_{c,e} ~ N(0, sigma_e^2 K_{c,e})

The design B_c depends on positions and measured pixels alone, so layers share the Gram matrix of all classes, and only the projections
B_c^T Y_e differ. For one class the patterns of the others are noise with a known covariance: with
W = (1 + sum_d B_d K_d B_d^T)^-1 over the others d, its likelihood is that of ordinary equations with the Gram matrix B_c^T W B_c, the
projection B_c^T W Y and the total Y^T W Y. Whatever works on the equations of one class so gives the mean of the joint solve, and its
posterior is the joint one, marginalised: the covariance between the classes is in it (Schur complement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, angular_count, design_block
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations, functions_of
from qpi_core.solvers.harmonic.search import Hyperparameters

Array = NDArray[np.float64]
_FEW_COLUMNS = 0.5
"""Share of the columns up to which picking those of a tile that are not zero takes less time than a product of all."""


@dataclass(frozen=True, eq=False)
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
    subspace: Array | None = None

    @property
    def count(self) -> int:
        """Number of coordinates of a profile: values at the nodes, or those in the subspace."""
        return self.splines.nodes.size if self.subspace is None else self.subspace.shape[1]

    @property
    def width(self) -> int:
        """Number of columns."""
        return angular_count(self.orders) * self.count

    @property
    def columns_of_tiles(self) -> int:
        """Number of columns that rows() gives: of spline coefficients, or of coordinates in the subspace, which are far fewer."""
        return angular_count(self.orders) * (self.splines.count if self.subspace is None else self.count)

    def rows(self, block: Array) -> Array:
        """Return (pixels, columns_of_tiles) from a tile of the design, (a, pixels, splines)."""
        if self.subspace is not None:
            block = block @ (self.splines.interpolation @ self.subspace)
        return np.ascontiguousarray(block.transpose(1, 0, 2)).reshape(block.shape[1], -1)

    def coordinates(self, values: Array) -> Array:
        """Return (a, count, ...) coordinates of profiles given at the nodes, (a, nodes, ...)."""
        if self.subspace is None:
            return values
        return np.asarray(np.moveaxis(np.tensordot(self.subspace.T, values, axes=(1, 1)), 0, 1))

    def prior_factor(self, point: Hyperparameters) -> Array:
        """Return E, (width, columns), with E E^T the prior covariance of the coordinates in units of the noise variance."""
        factor, mixing = low_rank_factor(point.radial.covariance(self.splines.nodes)), point.mixing()
        product = np.einsum("ac,nr->ancr", mixing, factor).reshape(len(mixing), self.splines.nodes.size, -1)
        return self.coordinates(product).reshape(self.width, -1)


@dataclass(frozen=True, eq=False)
class MapEquations:
    """What the layers of a map say about the radial profiles of all classes, the constant backgrounds marginalised.

    Attributes:
        bases: one a class.
        gram: (W, W) over the columns of all classes, W the sum of their widths; the same for every layer.
        column_means: (W,) mean over pixels of each column.
        projections: (layers, W).
        mean_values: (layers,) mean of each layer's pixels.
        totals: (layers,) sum of squares about the mean.
        pixels: number of pixels.
    """

    bases: tuple[ClassBasis, ...]
    gram: Array
    column_means: Array
    projections: Array
    mean_values: Array
    totals: Array
    pixels: int

    def part(self, index: int) -> slice:
        """Return the columns of a class."""
        edges = np.cumsum([0, *(basis.width for basis in self.bases)])
        return slice(int(edges[index]), int(edges[index + 1]))

    def alone(self, index: int = 0, layer: int = 0) -> NormalEquations:
        """Return the equations of one class as if the patterns of the others were known exactly, and zero."""
        own = self.part(index)
        return self._equations(index, layer, self.gram[own, own], self.projections[layer, own], float(self.totals[layer]))

    def marginalised(self, index: int, points: Sequence[Hyperparameters], layer: int = 0) -> NormalEquations:
        """Return the equations of one class with the others marginalised.

        Args:
            index: of the class.
            points: hyperparameters of every class (that of the class itself is not used), in units of one noise variance.
            layer: its place among the layers.
        """
        own = self.part(index)
        others = [k for k in range(len(self.bases)) if k != index]
        if not others:
            return self.alone(index, layer)
        factors = {k: self.bases[k].prior_factor(points[k]) for k in others}
        inner = np.block([[factors[j].T @ self.gram[self.part(j), self.part(k)] @ factors[k] for k in others] for j in others])
        inner[np.diag_indices_from(inner)] += 1.0
        lower = cholesky(inner, lower=True, check_finite=False)
        crossed = np.concatenate([factors[k].T @ self.gram[self.part(k), own] for k in others])
        seen = np.concatenate([factors[k].T @ self.projections[layer, self.part(k)] for k in others])
        known = cho_solve((lower, True), np.column_stack([crossed, seen]), check_finite=False)
        gram = self.gram[own, own] - crossed.T @ known[:, :-1]
        projection = self.projections[layer, own] - crossed.T @ known[:, -1]
        return self._equations(index, layer, 0.5 * (gram + gram.T), projection, float(self.totals[layer] - seen @ known[:, -1]))

    def joint_cost(self, points: Sequence[Hyperparameters], floor: float, layer: int = 0) -> float:
        """Return minus the log marginal likelihood of a layer with the kernels of all classes integrated out, up to a constant.

        Args:
            points: hyperparameters of every class, in units of one noise variance.
            floor: least noise variance.
            layer: its place among the layers.
        """
        factors = [basis.prior_factor(point) for basis, point in zip(self.bases, points, strict=True)]
        every = range(len(factors))
        system = np.block([[factors[j].T @ self.gram[self.part(j), self.part(k)] @ factors[k] for k in every] for j in every])
        system[np.diag_indices_from(system)] += 1.0
        lower = cholesky(system, lower=True, check_finite=False)
        seen = np.concatenate([factors[k].T @ self.projections[layer, self.part(k)] for k in every])
        half = solve_triangular(lower, seen, lower=True, check_finite=False)
        freedom = self.pixels - 1
        misfit = max(float(self.totals[layer] - half @ half), 0.0) + freedom * floor
        return 0.5 * freedom * float(np.log(misfit)) + float(np.log(lower.diagonal()).sum())

    def background(self, profiles: Sequence[Array], layer: int = 0) -> float:
        """Return the constant b that goes with the profiles, (a, nodes), of every class."""
        coordinates = np.concatenate([basis.coordinates(values).ravel() for basis, values in zip(self.bases, profiles, strict=True)])
        return float(self.mean_values[layer] - self.column_means @ coordinates)

    def narrowed(self, orders: Sequence[tuple[int, ...]], subspaces: Sequence[Array | None] | None = None) -> MapEquations:
        """Return the equations of some of the orders of each class, for profiles in the span of subspaces, (nodes, k) orthonormal."""
        spans = list(subspaces or [None] * len(self.bases))
        if all(tuple(wanted) == basis.orders and span is None for basis, wanted, span in zip(self.bases, orders, spans, strict=True)):
            return self
        kept, bases = [], []
        for index, (basis, wanted, span) in enumerate(zip(self.bases, orders, spans, strict=True)):
            functions = np.array([order in wanted for order in functions_of(basis.orders)])
            kept.append(self.part(index).start + np.flatnonzero(np.repeat(functions, basis.count)))
            bases.append(replace(basis, orders=tuple(wanted), subspace=basis.subspace if span is None else span))
        place = np.concatenate(kept)
        gram, means, projections = self.gram[np.ix_(place, place)], self.column_means[place], self.projections[:, place]
        if any(span is not None for span in spans):
            sizes = [columns.size for columns in kept]
            gram = in_spans(in_spans(gram, sizes, spans).T, sizes, spans)
            means, projections = in_spans(means, sizes, spans), in_spans(projections, sizes, spans)
        return replace(self, bases=tuple(bases), gram=gram, column_means=means, projections=projections)

    def _equations(self, index: int, layer: int, gram: Array, projection: Array, total: float) -> NormalEquations:
        basis = self.bases[index]
        size = angular_count(basis.orders)
        blocks = np.ascontiguousarray(gram.reshape(size, basis.count, size, basis.count).transpose(0, 2, 1, 3))
        means = self.column_means[self.part(index)].reshape(size, -1)
        value = float(self.mean_values[layer])
        return NormalEquations(basis.orders, blocks, projection.reshape(size, -1), means, value, total, self.pixels, basis.subspace)


def in_spans(values: Array, sizes: Sequence[int], spans: Sequence[Array | None]) -> Array:
    """Return (..., W') with the last axis, (..., W), of classes with so many columns each turned into coordinates in their spans."""
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=-1)
    turned = [
        part if span is None else (part.reshape(*part.shape[:-1], -1, len(span)) @ span).reshape(*part.shape[:-1], -1)
        for part, span in zip(parts, spans, strict=True)
    ]
    return np.concatenate(turned, axis=-1)


def accumulate(bases: Sequence[ClassBasis], values: NDArray[np.floating] | None = None) -> MapEquations:
    """Add up the equations tile by tile, so that the design of the whole map is never held.

    Args:
        bases: one a class; their samples have the same pixels.
        values: (layers, pixels), finite, in the order of the samples; None is the one layer that the samples hold.
    """
    layers = bases[0].samples.values[None] if values is None else values
    means = layers.mean(axis=1, dtype=np.float64)
    totals = np.array([float(np.sum((row - mean) ** 2, dtype=np.float64)) for row, mean in zip(layers, means, strict=True)])
    sizes = [basis.columns_of_tiles for basis in bases]
    gram, projections, sums = np.zeros((sum(sizes), sum(sizes))), np.zeros((sum(sizes), len(layers))), np.zeros(sum(sizes))
    for part in bases[0].samples.tiles:
        blocks = [design_block(basis.samples, basis.splines, basis.orders, part) for basis in bases]
        if all(block is None for block in blocks):
            continue
        pixels_here = part.stop - part.start
        seen = [
            np.zeros((pixels_here, basis.columns_of_tiles)) if block is None else basis.rows(block)
            for basis, block in zip(bases, blocks, strict=True)
        ]
        rows = seen[0] if len(seen) == 1 else np.concatenate(seen, axis=1)
        # Where few defects are near, a tile sees few radii of theirs, and in a large window most columns are zero.
        touched = np.flatnonzero(rows.any(axis=0))
        if touched.size <= _FEW_COLUMNS * rows.shape[1]:
            rows = np.ascontiguousarray(rows[:, touched])
            gram[np.ix_(touched, touched)] += rows.T @ rows
        else:
            touched = slice(None)
            gram += rows.T @ rows
        projections[touched] += rows.T @ (layers[:, part].T - means)
        sums[touched] += rows.sum(axis=0)
    pixels = layers.shape[1]
    centre = sums / pixels
    gram -= pixels * np.outer(centre, centre)
    # Profiles are told by their values at the nodes; in a subspace the columns are its coordinates already.
    spans = [basis.splines.interpolation if basis.subspace is None else None for basis in bases]
    gram = in_spans(in_spans(gram, sizes, spans).T, sizes, spans)
    return MapEquations(tuple(bases), gram, in_spans(centre, sizes, spans), in_spans(projections.T, sizes, spans), means, totals, pixels)


def superpose(bases: Sequence[ClassBasis], profiles: Sequence[Array]) -> Array:
    """Return sum_c A_c*M_c at the samples, (pixels,), with every profile, (a, nodes), evaluated at the true offsets."""
    image = np.zeros(bases[0].samples.values.size)
    for basis, values in zip(bases, profiles, strict=True):
        coefficients = values @ basis.splines.interpolation.T
        for part in basis.samples.tiles:
            design = design_block(basis.samples, basis.splines, basis.orders, part)
            if design is not None:
                image[part] += np.einsum("apk,ak->p", design, coefficients, optimize=True)
    return image
