"""The design matrix of one class of defects, row by row, for whatever asks for more than its sums.

`accumulation` adds up the sums over pixels tile by tile and forgets the rows, for any number of classes and layers. The rows are needed
where sums do not do: for tiles that are held out, for other patterns or coloured noise that the rows are to be seen past, for orders
that join later, and for the residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, angular_count, design_tiles
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations

Array = NDArray[np.float64]


class StoredDesign:
    """The design matrix of all candidate orders, kept in memory; gives the normal equations of any subset of them."""

    def __init__(self, samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...]) -> None:
        """Build the design matrix; it takes pixels x angular functions x splines numbers of 8 bytes."""
        self._splines = splines
        self._design: dict[int, Array] = {}
        self._means: dict[int, Array] = {}
        self._values = samples.values - samples.values.mean()
        self._mean_value = float(samples.values.mean())
        self._blocks: dict[tuple[int, int], Array] = {}
        self._samples = samples
        self._pixels = samples.values.size
        self._row_x, self._row_y = samples.x, samples.y
        self._source: StoredDesign | None = None
        self._seen: Callable[[Array], Array] = lambda values: values
        self._shift: Callable[[Array], Array] | None = None
        self.add_orders(orders)

    @property
    def orders(self) -> tuple[int, ...]:
        """Angular orders that are there, ascending."""
        return tuple(sorted(self._design))

    @property
    def variance(self) -> float:
        """Variance of the values."""
        return float(np.mean(self._values**2))

    @property
    def values(self) -> Array:
        """The values, (pixels,), about their mean; those of a design that is seen past other patterns are changed like its rows."""
        return np.asarray(self._values)

    def add_orders(self, orders: tuple[int, ...]) -> None:
        """Make further orders available."""
        missing = tuple(order for order in orders if order not in self._design)
        if not missing:
            return
        if self._source is not None:
            self._source.add_orders(missing)
            for order in missing:
                columns = self._source._design[order]
                self._design[order] = np.ascontiguousarray(self._seen(columns))
                self._means[order] = self._source._means[order]
                if self._shift is not None:
                    shift = self._shift(columns).reshape(-1, self._splines.count)
                    self._means[order] = self._means[order] + shift @ self._splines.interpolation
            return
        design = np.empty((self._values.size, angular_count(missing), self._splines.count))
        for part, block in design_tiles(self._samples, self._splines, missing):
            design[part] = block.transpose(1, 0, 2)
        means = design.mean(axis=0)
        design -= means
        edges = np.cumsum([0, *(1 if order == 0 else 2 for order in missing)])
        for order, first, end in zip(missing, edges[:-1], edges[1:], strict=True):
            self._design[order] = np.ascontiguousarray(design[:, first:end]).reshape(self._values.size, -1)
            self._means[order] = means[first:end] @ self._splines.interpolation

    def past(self, columns: Array) -> StoredDesign:
        """Return the design as it is seen past other patterns, whose strength is not known but has the prior N(0, 1).

        Design and values are multiplied by (1 + columns columns^T)^(-1/2), which turns noise and those patterns together into white
        noise: a fit to the new design has the others marginalised.

        Args:
            columns: (pixels, m) the others' patterns in units of the noise, each with mean 0.
        """
        left, singular, _ = svd(columns, full_matrices=False, check_finite=False)
        share = 1 - 1 / np.sqrt(1 + singular**2)
        return self._seen_through(lambda values: values - left @ (share * (left.T @ values).T).T)

    def whitened(self, whitener: Whitener, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> StoredDesign:
        """Return the design as it is seen past the coloured noise of a whitener: its rows are those of the whole map, in order.

        Args:
            whitener: of the map; every one of its measured pixels takes part.
            rows, columns: (pixels,) where on the map the samples lie.
        """
        height, width = whitener.shape
        place = rows * width + columns

        def spread(values: Array) -> Array:
            image = np.zeros((height * width, *values.shape[1:]))
            image[place] = values
            return image

        seen = self._seen_through(
            lambda values: whitener.at(rows, columns, values.reshape(values.shape[0], -1)).reshape(-1, *values.shape[1:]),
            lambda values: whitener.means(spread(values)),
        )
        grid_y, grid_x = np.divmod(np.arange(height * width), width)
        seen._row_x, seen._row_y = grid_x.astype(np.float64), grid_y.astype(np.float64)
        return seen

    def _seen_through(self, transform: Callable[[Array], Array], shift: Callable[[Array], Array] | None = None) -> StoredDesign:
        """Return the design with its rows, and those of the values, multiplied by a matrix.

        shift gives the constant that fits columns, (pixels, k), best, where that is no longer their mean.
        """
        seen = StoredDesign(self._samples, self._splines, ())
        seen._source, seen._seen, seen._shift, seen._values = self, transform, shift, transform(self._values)
        seen._pixels, seen._row_x, seen._row_y = self._pixels, self._row_x, self._row_y
        seen._mean_value = self._mean_value + (0.0 if shift is None else float(shift(self._values[:, None])[0]))
        seen.add_orders(tuple(self._design))
        return seen

    def as_seen(self, rows: Array) -> Array:
        """Return what the design makes of patterns of the map, (pixels, k), about their mean: those that it is seen past are taken off."""
        return rows if self._source is None else self._seen(self._source.as_seen(rows))

    def prior_columns(self, orders: tuple[int, ...], mixing: Array, factor: Array) -> Array:
        """Return (pixels, columns x k): what profiles mixing x factor, (a, columns) x (nodes, k), make of the map, about the mean."""
        columns = self._columns_in(orders, factor).reshape(self._values.size, len(mixing), -1)
        return np.tensordot(columns, mixing, axes=(1, 0)).transpose(0, 2, 1).reshape(self._values.size, -1)

    def equations(self, orders: tuple[int, ...]) -> NormalEquations:
        """Return the normal equations of a subset of the orders."""
        starts = np.cumsum([0] + [1 if order == 0 else 2 for order in orders])
        size, nodes = int(starts[-1]), self._splines.nodes.size
        gram = np.empty((size, size, nodes, nodes))
        for i, first in enumerate(orders):
            for j, second in enumerate(orders[: i + 1]):
                block = self._block(first, second)
                gram[starts[i] : starts[i + 1], starts[j] : starts[j + 1]] = block
                gram[starts[j] : starts[j + 1], starts[i] : starts[i + 1]] = block.transpose(1, 0, 3, 2)
        projection = np.concatenate([self._project(order) for order in orders])
        means = np.concatenate([self._means[order] for order in orders])
        total = float(self._values @ self._values)
        return NormalEquations(orders, gram, projection, means, self._mean_value, total, self._pixels)

    def equations_in(self, orders: tuple[int, ...], subspace: Array) -> NormalEquations:
        """Return the normal equations of any orders for profiles in the span of subspace, (nodes, k) orthonormal."""
        flat = self._columns_in(orders, subspace)
        width = subspace.shape[1]
        size = flat.shape[1] // width
        gram = (flat.T @ flat).reshape(size, width, size, width).transpose(0, 2, 1, 3)
        projection = (flat.T @ self._values).reshape(size, width)
        means = np.concatenate([self._means[order] for order in orders]) @ subspace
        total = float(self._values @ self._values)
        return NormalEquations(orders, np.ascontiguousarray(gram), projection, means, self._mean_value, total, self._pixels, subspace)

    def split(self, equations: NormalEquations) -> list[tuple[NormalEquations, Array, Array]]:
        """Return, for each quarter of the map, the equations without it, its design matrix and its values (about the mean).

        The quarters are bounded by the medians of the pixels' coordinates; equations must be of equations_in().
        """
        assert equations.subspace is not None
        flat = self._columns_in(equations.orders, equations.subspace)
        right, lower = self._row_x > np.median(self._row_x), self._row_y > np.median(self._row_y)
        size, width = equations.projection.shape
        parts = []
        for quarter in range(4):
            inside = right + 2 * lower == quarter
            rows, values = flat[inside], self._values[inside]
            gram = equations.gram - (rows.T @ rows).reshape(size, width, size, width).transpose(0, 2, 1, 3)
            projection = equations.projection - (rows.T @ values).reshape(size, width)
            total, pixels = equations.total - float(values @ values), equations.pixels - values.size
            parts.append((replace(equations, gram=gram, projection=projection, total=total, pixels=pixels), rows, values))
        return parts

    def _columns_in(self, orders: tuple[int, ...], subspace: Array) -> Array:
        """Return the design matrix, (pixels, angular functions x k), for profiles in a subspace."""
        self.add_orders(orders)
        to_splines = self._splines.interpolation @ subspace
        # One product of two matrices an order: a stack of small ones, pixel by pixel, takes three times as long.
        columns = [(self._design[order].reshape(-1, self._splines.count) @ to_splines).reshape(self._values.size, -1) for order in orders]
        return np.concatenate(columns, axis=1)

    def residual(self, orders: tuple[int, ...], profiles: Array) -> Array:
        """Return the values minus what profiles, (a, nodes), make of them, both about their mean."""
        coefficients = profiles @ self._splines.interpolation.T
        left, first = self._values.copy(), 0
        for order in orders:
            count = 1 if order == 0 else 2
            left -= self._design[order] @ coefficients[first : first + count].ravel()
            first += count
        return np.asarray(left, dtype=np.float64)

    def projections(self, orders: tuple[int, ...], images: Array) -> Array:
        """Return the projections, (angular functions, nodes, k), of (pixels, k) values onto the columns of available orders."""
        columns = [(self._design[order].T @ images).reshape(-1, self._splines.count, images.shape[1]) for order in orders]
        return np.asarray(self._splines.interpolation.T @ np.concatenate(columns))

    def gram_in(self, order: int, factor: Array) -> Array:
        """Return the Gram matrix, (a k, a k), of an available order for profiles in the span of factor, (nodes, k).

        It is the covariance of what white noise projects onto them.
        """
        if (order, order) in self._blocks:
            gram = factor.T @ self._blocks[order, order] @ factor
            return np.asarray(gram.transpose(0, 2, 1, 3).reshape(len(gram) * factor.shape[1], -1))
        columns = self._columns_in((order,), factor)
        return columns.T @ columns

    def _project(self, order: int) -> Array:
        columns = (self._design[order].T @ self._values).reshape(-1, self._splines.count)
        return np.asarray(columns @ self._splines.interpolation)

    def _block(self, first: int, second: int) -> Array:
        if (first, second) not in self._blocks:
            product = self._design[first].T @ self._design[second]
            self._blocks[first, second] = _to_nodes(product, self._splines)
        return self._blocks[first, second]


def _to_nodes(product: Array, splines: RadialSplines) -> Array:
    """Return (a, b, nodes, nodes) from a product over coefficients, (a count, b count)."""
    count = splines.count
    blocks = product.reshape(product.shape[0] // count, count, -1, count).transpose(0, 2, 1, 3)
    return np.asarray(splines.interpolation.T @ blocks @ splines.interpolation)
