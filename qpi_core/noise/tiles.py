"""Large maps in rectangles that are solved one by one.

The covariance of background and streaks falls off over a few correlation lengths, so that rectangles some lengths wide are nearly
independent of each other: they are taken as such (a block-diagonal covariance), with the same hyperparameters for all. What is lost
is what a strip of one correlation length along the common edges knows of its neighbours. Constant, kernel and lattice run through all.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import MOST_GAPS, may_be_modelled

Tile = tuple[slice, slice]
"""Rows and columns of a map."""

TILE_PX = 128

PART_PX, MOST_PART_GAPS = 96, 500
"""Side of the square that the noise model of a large map is chosen on, and pixels of it that may be missing."""
_PLACES = 9
"""Places along each side where a part of a map is tried."""


def tiles_of(measured: NDArray[np.bool_], side: int = TILE_PX) -> tuple[Tile, ...]:
    """Return nearly equal tiles of at most `side` px that cover the measured part of a map; those without a measured pixel are left out."""
    rows, columns = np.flatnonzero(measured.any(axis=1)), np.flatnonzero(measured.any(axis=0))
    if not rows.size:
        return ()
    down, across = (_parts(int(lines[0]), int(lines[-1]) + 1, side) for lines in (rows, columns))
    return tuple((y, x) for y in down for x in across if measured[y, x].any())


def may_be_tiled(measured: NDArray[np.bool_]) -> bool:
    """Say whether every tile of a map was measured well enough for its background and noise to be modelled, and one square very well."""
    tiles = tiles_of(measured)
    square = fullest_part(measured, np.empty((0, 2)), PART_PX)
    whole = int((~measured[square]).sum()) <= MOST_PART_GAPS
    return bool(tiles) and whole and all(int((~measured[tile]).sum()) <= MOST_GAPS for tile in tiles)


def can_be_modelled(measured: NDArray[np.bool_]) -> bool:
    """Say whether background and noise of a map can be modelled, as one covariance or in tiles."""
    return may_be_modelled(measured) or may_be_tiled(measured)


def fullest_part(measured: NDArray[np.bool_], points: NDArray[np.float64], side: int) -> Tile:
    """Return the square of `side` px, or what the map has of it, with the most points, (n, 2) columns (x, y), and few gaps."""
    height, width = measured.shape
    rows, columns = (np.unique(np.linspace(0, max(length - side, 0), _PLACES).astype(int)) for length in (height, width))
    best, most = (slice(0, side), slice(0, side)), -np.inf
    for y in rows:
        for x in columns:
            gaps = int((~measured[y : y + side, x : x + side]).sum())
            inside = ((points >= [x, y]) & (points < [x + side, y + side])).all(axis=1)
            # Gaps make the algebra costly.
            worth = float(inside.sum()) / (1 + gaps / MOST_PART_GAPS) if gaps <= MOST_PART_GAPS else -float(gaps)
            if worth > most:
                best, most = (slice(int(y), min(int(y) + side, height)), slice(int(x), min(int(x) + side, width))), worth
    return best


def _parts(first: int, end: int, side: int) -> list[slice]:
    """Return as few slices of nearly equal length, none beyond side, as cover first to end."""
    count = -(-(end - first) // side)
    edges = first + np.rint(np.linspace(0, end - first, count + 1)).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
