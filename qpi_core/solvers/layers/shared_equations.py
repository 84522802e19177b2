"""Normal equations of all layers of a stack in one pass over the map.

Positions and measured pixels are the same for all layers, so the design matrix of the harmonic basis is, too: only the
right-hand side differs. One pass gives the Gram matrix once and the projections of every layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines, angular_count, design_tiles
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations, functions_of

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SharedEquations:
    """What a group of layers with the same measured pixels says about the radial profiles.

    Attributes:
        splines: radial basis.
        common: the equations without any layer's values (projection 0, total 0).
        projections: layer index -> (a, nodes).
        means: layer index -> mean of its measured values.
        totals: layer index -> sum of squares about the mean.
    """

    splines: RadialSplines
    common: NormalEquations
    projections: dict[int, Array]
    means: dict[int, float]
    totals: dict[int, float]

    def restricted(self, orders: tuple[int, ...]) -> NormalEquations:
        """Return the equations of a subset of the orders, still without any layer's values."""
        return self.common if orders == self.common.orders else self.common.restricted(orders)

    def with_layer(self, equations: NormalEquations, layer: int) -> NormalEquations:
        """Return equations of restricted() or in_subspace() with the values of a layer."""
        keep = [k for k, order in enumerate(functions_of(self.common.orders)) if order in equations.orders]
        projection = self.projections[layer][keep]
        if equations.subspace is not None:
            projection = projection @ equations.subspace
        return replace(equations, projection=projection, mean_value=self.means[layer], total=self.totals[layer])


def in_subspace(equations: NormalEquations, subspace: Array) -> NormalEquations:
    """Return equations for profiles in the span of subspace, (nodes, k) orthonormal."""
    gram = np.ascontiguousarray(subspace.T @ equations.gram @ subspace)
    projection, means = equations.projection @ subspace, equations.mean_design @ subspace
    return replace(equations, gram=gram, projection=projection, mean_design=means, subspace=subspace)


def accumulate_layers(
    samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...], layers: tuple[int, ...], values: NDArray[np.float32]
) -> SharedEquations:
    """Return the normal equations of several layers.

    Args:
        samples: pixels and defects; its own values are not used.
        splines: radial basis.
        orders: angular orders, ascending.
        layers: their indices, the keys of the result.
        values: (layers, pixels), finite, in the order of the samples.
    """
    size, pixels = angular_count(orders), samples.values.size
    width = size * splines.count
    means = values.mean(axis=1, dtype=np.float64)
    totals = np.array([float(np.sum((row - mean) ** 2, dtype=np.float64)) for row, mean in zip(values, means, strict=True)])
    gram, projection, sums = np.zeros((width, width)), np.zeros((width, len(layers))), np.zeros(width)
    for part, block in design_tiles(samples, splines, orders):
        rows = np.ascontiguousarray(block.transpose(1, 0, 2)).reshape(-1, width)
        gram += rows.T @ rows
        projection += rows.T @ (values[:, part].T - means)
        sums += rows.sum(axis=0)
    centre = sums / pixels
    gram -= pixels * np.outer(centre, centre)
    to_nodes = splines.interpolation
    blocks = to_nodes.T @ gram.reshape(size, splines.count, size, splines.count).transpose(0, 2, 1, 3) @ to_nodes
    common = NormalEquations(
        orders, np.ascontiguousarray(blocks), np.zeros((size, splines.nodes.size)), centre.reshape(size, -1) @ to_nodes, 0.0, 0.0, pixels
    )
    each = projection.T.reshape(len(layers), size, splines.count) @ to_nodes
    return SharedEquations(
        splines,
        common,
        dict(zip(layers, each, strict=True)),
        dict(zip(layers, means.tolist(), strict=True)),
        dict(zip(layers, totals.tolist(), strict=True)),
    )
