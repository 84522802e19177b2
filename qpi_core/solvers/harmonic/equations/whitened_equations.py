"""Normal equations of a map with coloured noise, one class of defects or several, without the whole whitened design in memory.

With W^T W the inverse of the noise's covariance (see qpi_core.noise.whitening) the equations of W Y = W B g + white noise are those of
accumulation with B^T W^T W B in place of B^T B: whatever works on them, such as marginalising the other classes, holds unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.tiles import Tile
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, in_spans
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, design_tiles
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations

Array = NDArray[np.float64]


def accumulate_whitened(
    bases: Sequence[ClassBasis],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    whitener: Whitener,
    tiles: Collection[int] | None = None,
) -> MapEquations:
    """Return the equations of the one layer that the samples hold, whitened.

    Args:
        bases: one a class; their samples have the same pixels, all that were measured.
        rows, columns: (pixels,) where on the map the pixels lie.
        whitener: of the map.
        tiles: numbers of the whitener's tiles that take part; None is all.
    """
    values = bases[0].samples.values
    mean_value = float(values.mean())
    image = np.zeros(whitener.shape)
    image[rows, columns] = values - mean_value
    sizes = [basis.columns_of_tiles for basis in bases]

    def columns_of(tile: Tile) -> Array:
        down, across = tile
        inside = (rows >= down.start) & (rows < down.stop) & (columns >= across.start) & (columns < across.stop)
        height, width = down.stop - down.start, across.stop - across.start
        place = (rows[inside] - down.start) * width + columns[inside] - across.start
        found = np.zeros((height * width, sum(sizes)))
        edges = np.cumsum([0, *sizes])
        for basis, first, end in zip(bases, edges[:-1], edges[1:], strict=True):
            for piece, block in design_tiles(basis.samples.restricted(inside), basis.splines, basis.orders):
                found[place[piece], first:end] = basis.rows(block)
        return found

    gram, projection, total, means = whitener.products(columns_of, image.ravel(), tiles)
    spans = [basis.splines.interpolation if basis.subspace is None else None for basis in bases]
    return MapEquations(
        bases=tuple(bases),
        gram=in_spans(in_spans(gram, sizes, spans).T, sizes, spans),
        column_means=in_spans(means[:-1], sizes, spans),
        projections=in_spans(projection[None], sizes, spans),
        mean_values=np.array([mean_value + float(means[-1])]),
        totals=np.array([total]),
        pixels=values.size if tiles is None else sum(whitener.pixels_of(number) for number in tiles),
    )


def whitened_equations(
    samples: MapSamples,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    splines: RadialSplines,
    orders: tuple[int, ...],
    whitener: Whitener,
    subspace: Array | None = None,
    tiles: Collection[int] | None = None,
) -> NormalEquations:
    """Return the normal equations of these orders for the whitened map.

    Args:
        samples: all measured pixels, and the defects.
        rows, columns: (pixels,) where on the map the pixels lie.
        splines: radial basis.
        orders: angular orders.
        whitener: of the map.
        subspace: (nodes, k) orthonormal, to allow only profiles in its span; None is all.
        tiles: numbers of the whitener's tiles that take part; None is all.
    """
    return accumulate_whitened([ClassBasis(samples, splines, orders, subspace)], rows, columns, whitener, tiles).alone()
