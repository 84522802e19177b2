"""A kernel near its defects in a basis of rings and low angular orders: small enough to try many ways of sorting the defects.

    A(r, theta) = sum_k c_k hat(r - r_k) h_k(theta),   |r| <= radius

Every defect has its own columns, so the map of any set of defects, with any strengths, is a sum of what is at hand already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import angular_functions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LocalBasis:
    """Numbers of the basis.

    Attributes:
        radius: that it covers, in solver units.
        ring: distance of its rings.
        orders: angular orders, 0 first.
        ridge: pull of the coefficients to zero, as a share of the mean column's square.
    """

    radius: float = 14.0
    ring: float = 1.5
    orders: tuple[int, ...] = (0, 2, 3, 4, 6)
    ridge: float = 0.01

    def rows(self, dx: Array, dy: Array) -> Array:
        """Return (pixels, k) the basis at offsets from a defect; a ring of radius r carries at most 3 r orders."""
        radii = np.hypot(dx, dy)
        angular = angular_functions(dx, dy, radii, self.orders)
        columns = []
        for place in np.arange(0.0, self.radius + 1e-9, self.ring):
            hat = np.maximum(1 - np.abs(radii - place) / self.ring, 0.0)
            columns.append(hat * angular[0])
            for number, order in enumerate(self.orders[1:]):
                if order <= 3 * place:
                    columns += [hat * angular[1 + 2 * number], hat * angular[2 + 2 * number]]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class LocalPatterns:
    """The basis around every defect of a map.

    Attributes:
        basis: its numbers.
        near: (n,) for each defect the pixels, as numbers into the flattened map, that it reaches and that were measured.
        columns: (n,) for each defect (pixels, k) the basis there, times the defect's strength.
        pixels: of the map.
    """

    basis: LocalBasis
    near: tuple[NDArray[np.intp], ...]
    columns: tuple[Array, ...]
    pixels: int

    @classmethod
    def around(
        cls, positions: Array, weights: Array, measured: NDArray[np.bool_], aspect: tuple[float, float], basis: LocalBasis | None = None
    ) -> LocalPatterns:
        """Return those of defects at (n, 2) positions in px with (n,) strengths; aspect is (dy, dx) of a pixel in solver units."""
        chosen = basis or LocalBasis()
        y, x = (grid.ravel() for grid in np.indices(measured.shape))
        known, near, columns = measured.ravel(), [], []
        for (place_x, place_y), weight in zip(positions, weights, strict=True):
            dx, dy = (x - place_x) * aspect[1], (y - place_y) * aspect[0]
            own = np.flatnonzero(known & (np.hypot(dx, dy) < chosen.radius + chosen.ring))
            near.append(own)
            columns.append(weight * chosen.rows(dx[own], dy[own]))
        return cls(chosen, tuple(near), tuple(columns), measured.size)

    def design(self, shares: Array) -> Array:
        """Return (pixels, k) the map of every basis function with (n,) shares of the defects' strengths."""
        total = np.zeros((self.pixels, self.columns[0].shape[1]))
        for own, block, share in zip(self.near, self.columns, shares, strict=True):
            if share:
                total[own] += share * block
        return total

    def images(self, coefficients: Array) -> Array:
        """Return (n, pixels) what each defect with these (k,) coefficients makes of the map."""
        found = np.zeros((len(self.near), self.pixels))
        for row, own, block in zip(found, self.near, self.columns, strict=True):
            row[own] = block @ coefficients
        return found

    def fitted(self, values: Array, shares: Sequence[Array]) -> tuple[list[Array], Array]:
        """Return the (k,) coefficients of several kernels with (n,) shares each that fit (pixels,) values best, and what is left."""
        design = np.concatenate([self.design(share) for share in shares], axis=1)
        system = design.T @ design
        system[np.diag_indices_from(system)] += self.basis.ridge * float(np.mean(system.diagonal())) + 1e-12
        coefficients = np.linalg.solve(system, design.T @ values)
        return list(np.split(coefficients, len(shares))), values - design @ coefficients

    def alone(self, values: Array) -> Array:
        """Return (n, k) coefficients of each defect by itself, as if there were no others."""
        found = []
        for own, block in zip(self.near, self.columns, strict=True):
            system = block.T @ block
            system[np.diag_indices_from(system)] += float(np.mean(system.diagonal())) + 1e-12
            found.append(np.linalg.solve(system, block.T @ values[own]))
        return np.array(found)
