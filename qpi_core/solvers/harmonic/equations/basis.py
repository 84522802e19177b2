"""The basis of the harmonic solver: radial splines times angular orders, summed over the defects of a map.

A kernel is written as A(r, theta) = sum_a g_a(r) h_a(theta), with h_a one of 1, cos(m theta), sin(m theta) and each radial
profile g_a a quintic spline given by its values at equidistant nodes. The basis is evaluated at the true offsets p - r_j, so
positions between pixels are exact. Quintic splines 0.8 px apart follow a wave of 3.3 px (the shortest of Eq. 7's benchmark)
to 3e-4 of its amplitude; cubic ones of the same spacing only to 5e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.sparse import csc_array, csr_array
from scipy.spatial import cKDTree

from qpi_core.base.grid import CENTRE_PX

Array = NDArray[np.float64]

DEGREE = 5
_TILE_PIXELS, _TILE_SIDES = 32, (16, 48)
"""Least number of pixels of a tile, so that its sums take longer than its overhead, and the sides in px between which this is tried: the
larger a tile, the more pairs of a pixel and a defect out of reach are looked at."""
_PADDING = 7
"""Nodes beyond the splines at both ends: the interpolation filter decays by 0.43 a node, so 0.003 of the edge error remains."""

# Row t, column p: coefficient of u**p in the t-th quintic B-spline piece that covers [i, i + 1), u the fraction.
_PIECES = (
    np.array(
        [
            [1, -5, 10, -10, 5, -1],
            [26, -50, 20, 20, -20, 5],
            [66, 0, -60, 0, 30, -10],
            [26, 50, 20, -20, -20, 10],
            [1, 5, 10, 10, 5, -5],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    / 120.0
)
_AT_NODES = np.array([1, 26, 66, 26, 1]) / 120.0


@dataclass(frozen=True)
class RadialSplines:
    """Quintic splines on 0 <= r <= radius.

    Attributes:
        step: distance of the knots in px.
        radius: furthest radius in px that the splines cover.
    """

    step: float
    radius: float

    @property
    def count(self) -> int:
        """Number of spline coefficients of a profile."""
        return int(np.ceil(self.radius / self.step)) + DEGREE + 1

    @cached_property
    def nodes(self) -> Array:
        """Radii in px whose profile values are the unknowns; the first ones are negative (the spline's own margin)."""
        return np.asarray(self.step * (np.arange(self.count + 2 * _PADDING) - 2.0 - _PADDING), dtype=np.float64)

    @cached_property
    def interpolation(self) -> Array:
        """Matrix (count, nodes) that turns values at the nodes into spline coefficients."""
        size = self.nodes.size
        banded = np.repeat(_AT_NODES[:, None], size, axis=1)
        inverse: Array = solve_banded((2, 2), banded, np.eye(size))
        return np.ascontiguousarray(inverse[_PADDING : _PADDING + self.count])

    def pieces(self, radii: Array) -> tuple[NDArray[np.int32], Array]:
        """Return the first coefficient's index, shape of radii, and the six weights, (..., 6); radii must not exceed radius."""
        first, powers = self._powers(radii)
        return first, (powers.T @ _PIECES.T).reshape(*radii.shape, DEGREE + 1)

    def pieces_with_slopes(self, radii: Array) -> tuple[NDArray[np.int32], Array, Array]:
        """Return what pieces() does, and the derivatives of the weights by radius, (..., 6)."""
        first, powers = self._powers(radii)
        weights = (powers.T @ _PIECES.T).reshape(*radii.shape, DEGREE + 1)
        slopes = powers[:DEGREE].T @ (_PIECES[:, 1:] * np.arange(1.0, DEGREE + 1) / self.step).T
        return first, weights, slopes.reshape(weights.shape)

    def _powers(self, radii: Array) -> tuple[NDArray[np.int32], Array]:
        """Return the knots below the radii and the powers 0 to 5, (6, radii), of the fraction of a step beyond them."""
        scaled = radii / self.step
        first = scaled.astype(np.int32)
        powers = np.empty((DEGREE + 1, radii.size))
        powers[0], powers[1] = 1.0, (scaled - first).ravel()
        for power in range(2, DEGREE + 1):
            np.multiply(powers[power - 1], powers[1], out=powers[power])
        return first, powers

    def evaluate(self, profiles: Array, radii: Array) -> Array:
        """Return profiles, given as (..., nodes) values, at radii (any shape): (..., *radii.shape); zero beyond radius."""
        return np.asarray(profiles @ self.sampling(radii.ravel()).T).reshape(*profiles.shape[:-1], *radii.shape)

    def sampling(self, radii: Array) -> Array:
        """Return the matrix (radii, nodes) that evaluates a profile at a list of radii."""
        inside = radii <= self.radius
        first, weights = self.pieces(np.where(inside, radii, 0.0))
        matrix = np.zeros((radii.size, self.count))
        np.put_along_axis(matrix, first[:, None] + np.arange(DEGREE + 1), weights * inside[:, None], axis=1)
        return matrix @ self.interpolation


def angular_count(orders: tuple[int, ...]) -> int:
    """Return the number of angular functions of these orders: one for 0, cosine and sine for every other."""
    return sum(1 if order == 0 else 2 for order in orders)


def inner_radius(order: int) -> float:
    """Return the radius in px inside which an order is left out.

    A ring of radius r has about 2 pi r pixels: it cannot carry more than 3 r orders. The lowest orders keep their centre, because
    Eq. 7 has them there.
    """
    return 0.0 if order <= 6 else order / 3


def angular_functions(dx: Array, dy: Array, radii: Array, orders: tuple[int, ...]) -> list[Array]:
    """Return 1, cos(m theta), sin(m theta) of every order, ascending, at the offsets; theta = 0 at the centre (CENTRE_PX)."""
    beside = radii > CENTRE_PX
    unit = (np.where(beside, dx, 1.0) + 1j * np.where(beside, dy, 0.0)) / np.where(beside, radii, 1.0)
    functions: list[Array] = []
    power, reached = np.ones_like(unit), 0
    for order in orders:
        if order == 0:
            functions.append(np.ones_like(radii))
            continue
        power = power * _whole_power(unit, order - reached)
        reached = order
        seen = power if inner_radius(order) == 0 else power * (radii >= inner_radius(order))
        functions += [seen.real, seen.imag]
    return functions


def _whole_power(values: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """Return values ** exponent, exponent > 0, by squaring: numpy's own goes through logarithms."""
    if exponent == 1:
        return values
    half = _whole_power(values * values, exponent // 2)
    return half * values if exponent % 2 else half


@dataclass(frozen=True)
class MapSamples:
    """The pixels that take part, in the order of tiles, and the defects.

    Attributes:
        x, y: (pixels,) pixel coordinates.
        values: (pixels,) the observation there.
        tiles: slices of pixels that lie close to each other.
        positions: (n, 2) defects, columns (x, y) in px.
        weights: (n,) amplitudes of the defects.
        places: (pixels,) rows and (pixels,) columns of the map that the samples were taken from.
        stretch: symmetric (2, 2) that all (x, y) were multiplied by in the end; None is nothing.
    """

    x: Array
    y: Array
    values: Array
    tiles: tuple[slice, ...]
    positions: Array
    weights: Array
    places: tuple[NDArray[np.intp], NDArray[np.intp]]
    stretch: Array | None = None

    def restricted(self, inside: NDArray[np.bool_]) -> MapSamples:
        """Return some of the pixels, (pixels,), in the same order, with all defects."""
        edges = np.cumsum([0, *(int(inside[part].sum()) for part in self.tiles)])
        tiles = tuple(slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a)
        places = (self.places[0][inside], self.places[1][inside])
        return replace(self, x=self.x[inside], y=self.y[inside], values=self.values[inside], tiles=tiles, places=places)

    def stretched(self, matrix: Array) -> MapSamples:
        """Return the same pixels and defects with all (x, y) multiplied by a symmetric matrix, (2, 2)."""
        x, y = matrix @ np.stack([self.x, self.y])
        whole = matrix if self.stretch is None else matrix @ self.stretch
        return replace(self, x=x, y=y, positions=self.positions @ matrix, stretch=whole)


def take_samples(
    observation: NDArray[np.float32],
    positions: Array,
    weights: Array,
    aspect: tuple[float, float] = (1.0, 1.0),
    most: int | None = None,
    tile: int | None = None,
    stretch: Array | None = None,
) -> MapSamples:
    """Return the measured pixels of a map, tile by tile.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) defects in px.
        weights: (n,) their amplitudes.
        aspect: (dy, dx) of a pixel in the unit of length wanted; samples and defects come out in it.
        most: at most so many pixels, a fixed choice, half of it close to defects; None is all.
        tile: side in px of the tiles that pixels are sorted into; None follows from how densely they lie.
        stretch: symmetric (2, 2) that all (x, y) are multiplied by in the end; None is nothing.
    """
    y, x = np.nonzero(np.isfinite(observation))
    if most is not None and y.size > most:
        chosen = _spread_choice(x, y, positions, most)
        y, x = y[chosen], x[chosen]
    if tile is None:
        tile = int(np.clip(np.sqrt(_TILE_PIXELS * observation.size / max(y.size, 1)), *_TILE_SIDES))
    label = (y // tile) * (observation.shape[1] // tile + 1) + x // tile
    by_tile = np.argsort(label, kind="stable")
    y, x, label = y[by_tile], x[by_tile], label[by_tile]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(label)) + 1, [y.size]])
    tiles = tuple(slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True))
    values = observation[y, x].astype(np.float64)
    across, down = np.asarray(x * aspect[1], dtype=np.float64), np.asarray(y * aspect[0], dtype=np.float64)
    samples = MapSamples(across, down, values, tiles, positions * [aspect[1], aspect[0]], weights, (y, x))
    return samples if stretch is None else samples.stretched(stretch)


def _spread_choice(x: NDArray[np.intp], y: NDArray[np.intp], positions: Array, most: int) -> NDArray[np.intp]:
    """Return indices of a fixed random choice of pixels: half of it among the third that is closest to defects, half anywhere."""
    distance, _ = cKDTree(positions).query(np.stack([x, y], axis=1))
    shuffled = np.random.default_rng(0).permutation(x.size)
    close = shuffled[distance[shuffled] <= np.quantile(distance, max(1 / 3, most / (2 * x.size)))][: most // 2]
    rest = shuffled[~np.isin(shuffled, close)][: most - close.size]
    return np.sort(np.concatenate([close, rest]))


def furthest_offset(samples: MapSamples) -> float:
    """Return an upper bound in px of the distance between any sampled pixel and any defect (through bounding boxes)."""
    x, y = samples.positions.T
    across = max(samples.x.max() - x.min(), x.max() - samples.x.min())
    down = max(samples.y.max() - y.min(), y.max() - samples.y.min())
    return float(np.hypot(across, down))


def defects_near(x: Array, y: Array, positions: Array, radius: float) -> NDArray[np.intp]:
    """Return the defects within radius of the bounding box of pixels."""
    gap_x = np.maximum(0.0, np.maximum(x.min() - positions[:, 0], positions[:, 0] - x.max()))
    gap_y = np.maximum(0.0, np.maximum(y.min() - positions[:, 1], positions[:, 1] - y.max()))
    return np.flatnonzero(np.hypot(gap_x, gap_y) <= radius)


def design_tiles(samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...]) -> Iterator[tuple[slice, Array]]:
    """Yield (slice of pixels, design matrix (angular functions, pixels, spline coefficients)) tile by tile.

    Entry [a, p, k] is sum_j w_j h_a(angle of p - r_j) beta_k(|p - r_j|).
    """
    for part in samples.tiles:
        block = design_block(samples, splines, orders, part)
        if block is None:
            block = np.zeros((angular_count(orders), part.stop - part.start, splines.count))
        yield part, block


def design_block(samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...], part: slice) -> Array | None:
    """Return the design matrix of one tile, as design_tiles has it; None where no defect is near, so that it would be zero."""
    x, y = samples.x[part], samples.y[part]
    near = defects_near(x, y, samples.positions, splines.radius)
    if not near.size:
        return None
    dx = x[:, None] - samples.positions[near, 0]
    dy = y[:, None] - samples.positions[near, 1]
    radii = np.hypot(dx, dy)
    inside = radii <= splines.radius
    first, pieces = splines.pieces(np.where(inside, radii, 0.0))
    functions = np.stack(angular_functions(dx, dy, radii, orders), axis=-1)
    functions *= (samples.weights[near] * inside)[..., None]
    # A sparse matrix takes the pairs of pixel and defect to the coefficients of the pixels, for all functions at once.
    first += splines.count * np.arange(x.size, dtype=np.int32)[:, None]
    shape = (x.size * splines.count, radii.size)
    spread = csc_array((pieces.ravel(), spline_columns(first), _starts(radii.size)), shape=shape)
    design = spread @ functions.reshape(radii.size, functions.shape[-1])
    return np.ascontiguousarray(design.T).reshape(-1, x.size, splines.count)


def spline_columns(first: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the indices, (6 n,), of the coefficients that n radii see, the first one of each given."""
    return np.add(first.reshape(-1, 1), np.arange(DEGREE + 1), dtype=np.int32).ravel()


def spline_rows(first: NDArray[np.int32], weights: Array, count: int) -> csr_array:
    """Return the sparse matrix (n, count) that evaluates splines of so many coefficients at n radii, their pieces given."""
    return csr_array((weights.ravel(), spline_columns(first), _starts(first.size)), shape=(first.size, count))


def _starts(pairs: int) -> NDArray[np.int32]:
    return (DEGREE + 1) * np.arange(pairs + 1, dtype=np.int32)
