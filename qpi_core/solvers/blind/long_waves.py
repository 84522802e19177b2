"""What a map holds beside defects and white noise: waves longer than those of any kernel, and an offset for every scan line.

They are not modelled but left out: of the map, and of every pattern that is fitted to it, so that neither is changed by what lies
between them,

    P y = P (A*M) + P noise,   P = 1 - Q Q^T,

with Q the cosines of at most LONGEST_WAVE along both sides of the map and the lines' own constants: an orthonormal set of some hundred
functions on a map of thousands of pixels, which costs a map without background next to nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LONGEST_WAVE = 0.15
"""Wave vector in rad a pixel up to which waves are left out: a background that is correlated over 19 px has died out there."""
_MOST_VALUES = 2e7
"""Largest number of values of Q where pixels are missing; beyond it only the constant is left out."""


class LongWaves:
    """P for maps of one shape and mask."""

    def __init__(self, measured: NDArray[np.bool_]) -> None:
        """Take which pixels were measured, (height, width)."""
        self.measured = measured
        self._down, self._across = (_cosines(side) for side in measured.shape)
        low = np.hypot(*np.meshgrid(*(np.pi * np.arange(len(c)) / c.shape[1] for c in (self._down, self._across)), indexing="ij"))
        # The lines' own constants hold all waves that run down the map only.
        self._taken = (low <= LONGEST_WAVE) & (np.arange(len(self._across)) > 0)
        self._dense = None if measured.all() else self._with_gaps()

    def removed(self, images: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return P of images (k, height, width), 0 where not measured, in their own precision."""
        if self._dense is not None:
            dense = self._dense.astype(images.dtype)
            flat = images.reshape(len(images), -1) * self.measured.ravel()
            return np.asarray(flat - (flat @ dense.T) @ dense).reshape(images.shape)
        down, across = self._down.astype(images.dtype), self._across.astype(images.dtype)
        values = images - images.mean(axis=2, keepdims=True)
        return np.asarray(values - down.T @ (self._taken.astype(images.dtype) * (down @ values @ across.T)) @ across)

    def functions(self) -> Array:
        """Return Q, orthonormal on the measured pixels, (functions, height, width)."""
        if self._dense is not None:
            return self._dense.reshape(-1, *self.measured.shape)
        height, width = self.measured.shape
        lines = np.repeat(np.eye(height), width, axis=1).reshape(height, height, width) / np.sqrt(width)
        waves = [np.outer(self._down[i], self._across[j])[None] for i, j in zip(*np.nonzero(self._taken), strict=True)]
        return np.concatenate([lines, *waves])

    def _with_gaps(self) -> Array:
        """Return an orthonormal set on the measured pixels, (functions, height * width)."""
        height, width = self.measured.shape
        inside = self.measured.ravel().astype(np.float64)
        lines = np.repeat(np.eye(height), width, axis=1)[self.measured.any(axis=1)]
        waves = np.stack(
            [np.outer(self._down[i], self._across[j]).ravel() for i, j in zip(*np.nonzero(self._taken), strict=True)] or [inside]
        )
        functions = np.concatenate([lines, waves])
        if functions.size > _MOST_VALUES:
            functions = inside[None]
        left, sizes, _ = np.linalg.svd((functions * inside).T, full_matrices=False)
        return np.ascontiguousarray(left[:, sizes > 1e-6 * sizes[0]].T)


def _cosines(side: int) -> Array:
    """Return the orthonormal cosines of at most LONGEST_WAVE along a side, (count, side), the constant first."""
    count = 1 + int(LONGEST_WAVE * side / np.pi)
    waves = np.cos(np.pi / side * np.outer(np.arange(count), np.arange(side) + 0.5))
    return np.asarray(waves / np.linalg.norm(waves, axis=1, keepdims=True))
