"""Lists in which every defect stands as a pair: with a kernel A' that is part of the true one,

    A = A' * (delta(r - d/2) + delta(r + d/2)),

two places beside each defect, always with the same offset d, explain the map as one place with A does. Only the length of the list
tells them apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

_LONGEST_PX, _SAME_PX = 10.0, 1.0
"""Longest offset, and distance below which two offsets are the same."""
_SHARE, _FEWEST, _BEYOND_CHANCE = 0.25, 3, 4.0
"""Pairs with one offset for each defect of the list, their smallest number, and that as a multiple of what chance would make."""


def common_pairs(positions: Array, pixels: int) -> NDArray[np.intp]:
    """Return the pairs (m, 2) of defects that share the offset which most pairs have; m is 0 where no offset is common.

    Every defect is in one pair at most.

    Args:
        positions: (n, 2) in px.
        pixels: of the map, for what chance would make.
    """
    nothing = np.zeros((0, 2), dtype=np.intp)
    if len(positions) < 2 * _FEWEST:
        return nothing
    pairs = cKDTree(positions).query_pairs(_LONGEST_PX, output_type="ndarray")
    if len(pairs) < _FEWEST:
        return nothing
    offsets = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    # An offset and its opposite are the same pair, so both ways are looked at.
    both = np.concatenate([offsets, -offsets])
    alike = cKDTree(both).query_ball_point(offsets, _SAME_PX)
    counts = np.array([len(one) for one in alike])
    best = int(np.argmax(counts))
    chance = 0.5 * len(positions) ** 2 * 2 * np.pi * _SAME_PX**2 / pixels
    if counts[best] < max(_FEWEST, _SHARE * len(positions), _BEYOND_CHANCE * chance):
        return nothing
    members = np.array(sorted(alike[best], key=lambda number: float(np.hypot(*(both[number] - offsets[best])))))
    chosen, taken = [], set()
    for first, second in pairs[members % len(pairs)].tolist():
        if first not in taken and second not in taken:
            chosen.append((first, second))
            taken |= {first, second}
    return np.array(chosen, dtype=np.intp)


def as_one(positions: Array, weights: Array, pairs: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return the list with every pair made one defect in its middle, weights of mean 1."""
    others = np.setdiff1d(np.arange(len(positions)), pairs.ravel())
    middles, sums = positions[pairs].mean(axis=1), weights[pairs].sum(axis=1)
    merged = np.concatenate([sums, weights[others]])
    return np.concatenate([middles, positions[others]]), merged / merged.mean()
