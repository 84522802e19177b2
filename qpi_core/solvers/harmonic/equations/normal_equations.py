"""Normal equations of the harmonic basis: what the map says about the radial profiles, whatever the prior."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NormalEquations:
    """Gram matrix and projections with the constant background marginalised (that is: the mean removed).

    Attributes:
        orders: angular orders, ascending.
        gram: (a, a, nodes, nodes) for the a angular functions of the orders.
        projection: (a, nodes).
        mean_design: (a, nodes), mean over pixels of each column.
        mean_value: mean of the pixels' values.
        total: sum of squares of the values about their mean.
        pixels: number of pixels.
        subspace: None, or (nodes, k) with orthonormal columns: gram, projection and mean_design then refer to profiles
            subspace @ coordinates, and every "nodes" in their shapes is k.
    """

    orders: tuple[int, ...]
    gram: Array
    projection: Array
    mean_design: Array
    mean_value: float
    total: float
    pixels: int
    subspace: Array | None = None

    def background(self, profiles: Array) -> float:
        """Return the constant b that goes with profiles, (a, nodes)."""
        return self.mean_value - float(np.sum(self.mean_design * self.reduced(profiles)))

    def squared_residual(self, profiles: Array) -> float:
        """Return the sum of squares of what profiles, (a, nodes), leave of the map, with the best background."""
        inner = self.reduced(profiles)
        fitted = np.einsum("in,ijnm,jm->", inner, self.gram, inner, optimize=True)
        return float(self.total - 2 * np.sum(self.projection * inner) + fitted)

    def reduced(self, profiles: Array) -> Array:
        """Return the coordinates in the subspace of profiles, (..., nodes)."""
        return profiles if self.subspace is None else np.asarray(profiles @ self.subspace)

    def restricted(self, orders: tuple[int, ...]) -> NormalEquations:
        """Return the equations of a subset of the orders."""
        keep = [k for k, order in enumerate(functions_of(self.orders)) if order in orders]
        gram = np.ascontiguousarray(self.gram[np.ix_(keep, keep)])
        return replace(self, orders=orders, gram=gram, projection=self.projection[keep], mean_design=self.mean_design[keep])


def functions_of(orders: tuple[int, ...]) -> list[int]:
    """Return the order of every angular function: 0 once, every other order twice (cosine, sine)."""
    return [order for order in orders for _ in range(1 if order == 0 else 2)]


def in_subspace(equations: NormalEquations, subspace: Array) -> NormalEquations:
    """Return equations for profiles in the span of subspace, (nodes, k) orthonormal."""
    gram = np.ascontiguousarray(subspace.T @ equations.gram @ subspace)
    projection, means = equations.projection @ subspace, equations.mean_design @ subspace
    return replace(equations, gram=gram, projection=projection, mean_design=means, subspace=subspace)
