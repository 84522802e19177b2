"""Large maps in rectangles that are solved one by one.

The covariance of background and streaks falls off over a few correlation lengths, so that rectangles some lengths wide are nearly
independent of each other: they are taken as such (a block-diagonal covariance), with the same hyperparameters for all. What is lost
is what a strip of one correlation length along the common edges knows of its neighbours. Constant, kernel and lattice run through all.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Tile = tuple[slice, slice]
"""Rows and columns of a map."""

TILE_PX = 128
MOST_TILED_GAPS = 2_000
"""Pixels of one tile that were not measured up to which its noise can be modelled: each is a column of the algebra."""


def tiles_of(measured: NDArray[np.bool_], side: int = TILE_PX) -> tuple[Tile, ...]:
    """Return nearly equal tiles of at most `side` px that cover the measured part of a map; those without a measured pixel are left out."""
    rows, columns = np.flatnonzero(measured.any(axis=1)), np.flatnonzero(measured.any(axis=0))
    if not rows.size:
        return ()
    down, across = (_parts(int(lines[0]), int(lines[-1]) + 1, side) for lines in (rows, columns))
    return tuple((y, x) for y in down for x in across if measured[y, x].any())


def may_be_tiled(measured: NDArray[np.bool_]) -> bool:
    """Say whether every tile of a map was measured well enough for its background and noise to be modelled."""
    tiles = tiles_of(measured)
    return bool(tiles) and all(int((~measured[tile]).sum()) <= MOST_TILED_GAPS for tile in tiles)


def _parts(first: int, end: int, side: int) -> list[slice]:
    """Return as few slices of nearly equal length, none beyond side, as cover first to end."""
    count = -(-(end - first) // side)
    edges = first + np.rint(np.linspace(0, end - first, count + 1)).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
