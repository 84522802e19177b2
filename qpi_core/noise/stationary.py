"""A stationary covariance on the pixels of a map, with free boundaries, that is solved exactly without ever being written out.

    C / sigma^2 = 1 + b exp(-d^2 / 2 l^2) + [same row] (r + p exp(-|dx| / m))

b and l are a smooth background (or, with a short l, noise that was blurred), r offsets of whole scan lines along x, p and m streaks
along them. The Gaussian factorises, exp(-d^2 / 2 l^2) = K_y (x) K_x, and the other terms are the identity along y. So the
eigenvectors u_i of K_y make C block diagonal,

    C = sum_i u_i u_i^T (x) C_i,    C_i = 1 + R + b lambda_i K_x    (width x width),

and solving, roots and the determinant cost height small problems instead of one of all pixels: no periodic boundary, no truncation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NEGLIGIBLE = 1e-10
"""Share of the white noise below which a mode of the background is left out of a block."""


@dataclass(frozen=True)
class StationaryParameters:
    """Variances in units of that of the white noise, lengths in the solver's unit (a square pixel of the mean area is 1).

    Attributes:
        background: b.
        background_length: l.
        rows: r.
        streaks: p.
        streak_length: m.
    """

    background: float = 0.0
    background_length: float = 10.0
    rows: float = 0.0
    streaks: float = 0.0
    streak_length: float = 6.0

    @property
    def white(self) -> bool:
        """Whether there is nothing but white noise."""
        return self.background == 0 and self.rows == 0 and self.streaks == 0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the parameters, in order."""
        return tuple(f.name for f in fields(cls))


class StationaryCovariance:
    """C / sigma^2 on a full rectangle of pixels.

    Attributes:
        shape: (height, width).
        parameters: of the covariance.
    """

    def __init__(self, shape: tuple[int, int], parameters: StationaryParameters, aspect: tuple[float, float] = (1.0, 1.0)) -> None:
        """Prepare the blocks; aspect is (dy, dx) of a pixel in the unit of the lengths."""
        self.shape, self.parameters = shape, parameters
        height, width = shape
        self._down = np.abs(np.subtract.outer(np.arange(height), np.arange(height))) * aspect[0]
        self._across = np.abs(np.subtract.outer(np.arange(width), np.arange(width))) * aspect[1]
        p = parameters
        self._smooth_x = np.exp(-0.5 * (self._across / p.background_length) ** 2)
        self._smooth_y = np.exp(-0.5 * (self._down / p.background_length) ** 2)
        self._streaky = np.exp(-self._across / p.streak_length)
        if p.background > 0:
            values, vectors = np.linalg.eigh(self._smooth_y)
            self._modes, self._vectors = np.maximum(values, 0.0), vectors
        else:
            self._modes, self._vectors = np.zeros(height), np.eye(height)
        # Modes that the white noise drowns share one block.
        self._own = np.flatnonzero(p.background * self._modes * width > _NEGLIGIBLE)
        self._shared = np.setdiff1d(np.arange(height), self._own)

    @cached_property
    def _blocks(self) -> Array:
        """C_i of the modes with one of their own, then the shared one, (blocks, width, width)."""
        p = self.parameters
        common = np.eye(self.shape[1]) + p.rows + p.streaks * self._streaky
        own = common + p.background * self._modes[self._own, None, None] * self._smooth_x
        return np.concatenate([own, common[None]])

    @cached_property
    def _inverse(self) -> Array:
        return np.asarray(np.linalg.inv(self._blocks))

    @cached_property
    def _root(self) -> Array:
        """C_i^(-1/2), symmetric."""
        values, vectors = np.linalg.eigh(self._blocks)
        return np.asarray((vectors / np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1))

    @cached_property
    def log_determinant(self) -> float:
        """log det(C / sigma^2)."""
        by_block = np.linalg.slogdet(self._blocks)[1]
        return float(by_block[:-1].sum() + by_block[-1] * self._shared.size)

    def solve(self, images: Array) -> Array:
        """Return (C / sigma^2)^-1 of images, (height, width, k)."""
        return self._back(self._by_mode(self._inverse, self._to_modes(images)))

    def whiten(self, images: Array) -> Array:
        """Return (C / sigma^2)^(-1/2), the symmetric root, of images, (height, width, k)."""
        return self._back(self._by_mode(self._root, self._to_modes(images)))

    def part(self, name: str, images: Array) -> Array:
        """Return one term of C / sigma^2, "background", "rows" or "streaks", times images, (height, width, k)."""
        p = self.parameters
        if name == "background":
            along = np.tensordot(images, self._smooth_x, axes=(1, 0)).transpose(0, 2, 1)
            return p.background * np.tensordot(self._smooth_y, along, axes=(1, 0))
        if name == "rows":
            return np.broadcast_to(p.rows * images.sum(axis=1, keepdims=True), images.shape)
        return p.streaks * np.tensordot(images, self._streaky, axes=(1, 0)).transpose(0, 2, 1)

    def slopes(self, image: Array) -> Array:
        """Return dC / d log parameter of one image, (height, width), for every parameter: (parameters, height, width)."""
        p = self.parameters
        by_length = self._slope(self._smooth_y, self._down) @ image @ self._smooth_x
        by_length += self._smooth_y @ image @ self._slope(self._smooth_x, self._across)
        found = {
            "background": p.background * (self._smooth_y @ image @ self._smooth_x),
            "background_length": p.background * by_length,
            "rows": np.broadcast_to(p.rows * image.sum(axis=1, keepdims=True), image.shape),
            "streaks": p.streaks * (image @ self._streaky),
            "streak_length": p.streaks * (image @ self._streak_slope),
        }
        return np.stack([found[name] for name in StationaryParameters.names()])

    def traces(self) -> Array:
        """Return tr(C^-1 dC / d log parameter) for every parameter."""
        p, blocks, modes = self.parameters, self._inverse, self._modes
        counts = np.concatenate([np.ones(self._own.size), [self._shared.size]])
        by_smooth = np.tensordot(blocks, self._smooth_x, axes=((1, 2), (0, 1)))
        by_slope = np.tensordot(blocks, self._slope(self._smooth_x, self._across), axes=((1, 2), (0, 1)))
        turned = np.einsum("yi,yz,zi->i", self._vectors, self._slope(self._smooth_y, self._down), self._vectors, optimize=True)
        of_mode = np.full(self.shape[0], self._own.size)
        of_mode[self._own] = np.arange(self._own.size)
        found = {
            "background": p.background * float(modes @ by_smooth[of_mode]),
            "background_length": p.background * float(turned @ by_smooth[of_mode] + modes @ by_slope[of_mode]),
            "rows": p.rows * float(counts @ blocks.sum(axis=(1, 2))),
            "streaks": p.streaks * float(counts @ np.tensordot(blocks, self._streaky, axes=((1, 2), (0, 1)))),
            "streak_length": p.streaks * float(counts @ np.tensordot(blocks, self._streak_slope, axes=((1, 2), (0, 1)))),
        }
        return np.array([found[name] for name in StationaryParameters.names()])

    def quadratic_forms(self, images: Array) -> Array:
        """Return sum_k f_k^T (dC / d log parameter) f_k over images f, (height, width, k), for every parameter."""
        p = self.parameters
        height, width, count = images.shape
        flat_x = images.transpose(1, 0, 2).reshape(width, -1)
        along = self._smooth_x @ flat_x
        by_row = images.reshape(height, -1)
        # (height, height): how the rows of K_x f and f overlap, and the same for x.
        rows = by_row @ along.reshape(width, height, count).transpose(1, 0, 2).reshape(height, -1).T
        down = (self._smooth_y @ by_row).reshape(height, width, count).transpose(1, 0, 2).reshape(width, -1)
        columns, plain = down @ flat_x.T, flat_x @ flat_x.T
        found = {
            "background": p.background * float(np.sum(columns * self._smooth_x)),
            "background_length": p.background
            * float(np.sum(rows * self._slope(self._smooth_y, self._down)) + np.sum(columns * self._slope(self._smooth_x, self._across))),
            "rows": p.rows * float(np.sum(plain)),
            "streaks": p.streaks * float(np.sum(plain * self._streaky)),
            "streak_length": p.streaks * float(np.sum(plain * self._streak_slope)),
        }
        return np.array([found[name] for name in StationaryParameters.names()])

    @property
    def _streak_slope(self) -> Array:
        """d exp(-|dx| / m) / d log m."""
        return np.asarray(self._streaky * self._across / self.parameters.streak_length)

    def _slope(self, smooth: Array, distance: Array) -> Array:
        """d exp(-d^2 / 2 l^2) / d log l."""
        return np.asarray(smooth * (distance / self.parameters.background_length) ** 2)

    def _to_modes(self, images: Array) -> Array:
        if self.parameters.background == 0:
            return images
        return np.asarray(np.tensordot(self._vectors, images, axes=(0, 0)))

    def _back(self, modes: Array) -> Array:
        if self.parameters.background == 0:
            return modes
        return np.asarray(np.tensordot(self._vectors, modes, axes=(1, 0)))

    def _by_mode(self, blocks: Array, modes: Array) -> Array:
        """Multiply every mode, (height, width, k), with its block."""
        result = np.empty_like(modes)
        if self._own.size:
            result[self._own] = blocks[:-1] @ modes[self._own]
        if self._shared.size:
            result[self._shared] = blocks[-1] @ modes[self._shared]
        return result
