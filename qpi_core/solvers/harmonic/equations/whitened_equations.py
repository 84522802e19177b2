"""Normal equations of a map with coloured noise that is too large for its whitened design to be held in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.tiles import Tile
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, angular_count, design_tiles
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations

Array = NDArray[np.float64]


def whitened_equations(
    samples: MapSamples,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    splines: RadialSplines,
    orders: tuple[int, ...],
    whitener: Whitener,
    subspace: Array | None = None,
) -> NormalEquations:
    """Return the normal equations of these orders for the whitened map.

    Args:
        samples: all measured pixels, and the defects.
        rows, columns: (pixels,) where on the map the pixels lie.
        splines: radial basis.
        orders: angular orders.
        whitener: of the map.
        subspace: (nodes, k) orthonormal, to allow only profiles in its span; None is all.
    """
    size = angular_count(orders)
    to_splines = splines.interpolation if subspace is None else splines.interpolation @ subspace
    count = splines.count if subspace is None else subspace.shape[1]
    image = np.zeros(whitener.shape)
    mean_value = float(samples.values.mean())
    image[rows, columns] = samples.values - mean_value

    def columns_of(tile: Tile) -> Array:
        down, across = tile
        inside = (rows >= down.start) & (rows < down.stop) & (columns >= across.start) & (columns < across.stop)
        part, height, width = samples.restricted(inside), down.stop - down.start, across.stop - across.start
        place = (rows[inside] - down.start) * width + columns[inside] - across.start
        found = np.zeros((height * width, size * count))
        for piece, block in design_tiles(part, splines, orders):
            seen = block if subspace is None else block @ to_splines
            found[place[piece]] = seen.transpose(1, 0, 2).reshape(-1, size * count)
        return found

    gram, projection, total, means = whitener.products(columns_of, image.ravel())
    blocks = gram.reshape(size, count, size, count).transpose(0, 2, 1, 3)
    projections, mean_design = projection.reshape(size, -1), means[:-1].reshape(size, -1)
    if subspace is None:
        blocks = to_splines.T @ blocks @ to_splines
        projections, mean_design = projections @ to_splines, mean_design @ to_splines
    return NormalEquations(
        orders,
        np.ascontiguousarray(blocks),
        projections,
        mean_design,
        mean_value + float(means[-1]),
        total,
        samples.values.size,
        subspace,
    )
