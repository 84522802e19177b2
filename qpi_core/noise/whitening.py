"""A noise model as a linear map that turns it into white noise, for solvers that know white noise only.

With Sigma = C + sum_g v_g X_g X_g^T + infinity 1 1^T on the measured pixels, W is a matrix with W^T W = Sigma^-1: a least-squares fit
to W y with the design W B has everything else marginalised. W is the symmetric root of C on the full rectangle, followed by
projections: pixels that were not measured and the constant are projected out, the random effects are shrunk. On a large map C is made
of the covariances of tiles (see tiles); constant and random effects run through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svd

from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters
from qpi_core.noise.tiles import Tile

Array = NDArray[np.float64]


class _Block:
    """What one tile of a map owes to its own covariance and its own unmeasured pixels."""

    def __init__(self, measured: NDArray[np.bool_], covariance: StationaryCovariance) -> None:
        self._covariance = covariance
        self.log_determinant = covariance.log_determinant
        self._gaps: Array | None = None
        missing = np.flatnonzero(~measured.ravel())
        if missing.size:
            unit = np.zeros((measured.size, missing.size))
            unit[missing, np.arange(missing.size)] = 1.0
            basis, triangle = qr(self._rooted(unit), mode="economic", check_finite=False)
            self.log_determinant += 2 * float(np.log(np.abs(triangle.diagonal())).sum())
            self._gaps = basis

    def seen(self, images: Array) -> Array:
        """Return C^(-1/2) of images, (pixels, k), with the unmeasured pixels projected out."""
        return self._without_gaps(self._rooted(images))

    def seen_back(self, images: Array) -> Array:
        """Return the transpose of seen() of images, (pixels, k)."""
        return self._rooted(self._without_gaps(images))

    def _rooted(self, images: Array) -> Array:
        return self._covariance.whiten(images.reshape(*self._covariance.shape, -1)).reshape(images.shape)

    def _without_gaps(self, images: Array) -> Array:
        return images if self._gaps is None else np.asarray(images - self._gaps @ (self._gaps.T @ images))


class Whitener:
    """W for one mask of measured pixels.

    Attributes:
        shape: (height, width).
        tiles: of the map, each with a covariance of its own; one for the whole map where it is small.
        log_determinant: log det(Sigma) + log(1^T Sigma^-1 1 / n) on the n measured pixels, in units of sigma^2: 0 for white noise.
    """

    def __init__(
        self,
        measured: NDArray[np.bool_],
        parameters: StationaryParameters,
        effects: Sequence[Array] = (),
        aspect: tuple[float, float] = (1.0, 1.0),
        tiles: tuple[Tile, ...] | None = None,
    ) -> None:
        """Prepare the projections.

        Args:
            measured: (height, width).
            parameters: of C.
            effects: (height, width, k) columns of random effects, scaled to the prior N(0, 1) in units of sigma.
            aspect: (dy, dx) of a pixel in the unit of the lengths.
            tiles: parts of the map that share the parameters and nothing else of C; None is the whole map.
        """
        self.shape = (measured.shape[0], measured.shape[1])
        self.tiles = ((slice(0, self.shape[0]), slice(0, self.shape[1])),) if tiles is None else tiles
        places = np.arange(measured.size).reshape(measured.shape)
        self._places = [places[tile].ravel() for tile in self.tiles]
        self._pixels = [int(measured[tile].sum()) for tile in self.tiles]
        known: dict[tuple[int, int], StationaryCovariance] = {}
        self._blocks: list[_Block] = []
        for tile in self.tiles:
            own = measured[tile]
            shape = (own.shape[0], own.shape[1])
            if shape not in known:
                known[shape] = StationaryCovariance(shape, parameters, aspect)
            self._blocks.append(_Block(own, known[shape]))
        self.covariances = tuple(known[measured[tile].shape[0], measured[tile].shape[1]] for tile in self.tiles)
        self.log_determinant = float(sum(block.log_determinant for block in self._blocks))
        self._left, self._share = np.empty((measured.size, 0)), np.empty(0)
        columns = [effect.reshape(measured.size, -1) * measured.reshape(-1, 1) for effect in effects]
        if columns:
            left, singular, _ = svd(self._seen(np.concatenate(columns, axis=1)), full_matrices=False, check_finite=False)
            self._left, self._share = left, 1 - 1 / np.sqrt(1 + singular**2)
            self.log_determinant += float(np.log1p(singular**2).sum())
        constant = self._seen(measured.reshape(-1, 1).astype(np.float64))[:, 0]
        weight = float(constant @ constant)
        self.log_determinant += float(np.log(weight / measured.sum()))
        self._constant = constant / np.sqrt(weight)
        self._scale = 1 / np.sqrt(weight)

    def __call__(self, images: Array) -> Array:
        """Return W of images, (height x width, k) rows in the order of the map; unmeasured pixels must be 0."""
        seen = self._seen(images)
        return np.asarray(seen - np.outer(self._constant, self._constant @ seen))

    def pixels_of(self, number: int) -> int:
        """Return how many pixels of a tile, by its number, were measured."""
        return self._pixels[number]

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp], values: Array) -> Array:
        """Return W of values, (pixels, k), that lie at these rows and columns of the map (all that were measured)."""
        image = np.zeros((self.shape[0] * self.shape[1], values.shape[1]))
        image[rows * self.shape[1] + columns] = values
        return self(image)

    def means(self, images: Array) -> Array:
        """Return (k,) the constant that fits each image best: 1^T Sigma^-1 f / 1^T Sigma^-1 1."""
        return np.asarray(self._constant @ self._seen(images) * self._scale)

    def precision(self, images: Array) -> Array:
        """Return W^T W = Sigma^-1 of images, (height x width, k); zero where not measured."""
        white = self._shrunk(self(images))
        found = np.zeros_like(white)
        for block, place in zip(self._blocks, self._places, strict=True):
            found[place] = block.seen_back(white[place])
        return found

    def products(
        self, columns_of: Callable[[Tile], Array], values: Array, chosen: Collection[int] | None = None
    ) -> tuple[Array, Array, float, Array]:
        """Return the products of W B with itself and with W y, tile by tile: B never stands whole.

        Args:
            columns_of: from a tile to its rows of B, (pixels of the tile, k), zero where not measured.
            values: (height x width,) y, 0 where not measured.
            chosen: numbers of the tiles that take part; None is all.

        Returns:
            B^T W^T W B, (k, k); B^T W^T W y, (k,); y^T W^T W y; and (k + 1,) the constant that fits the columns and y best.
        """
        # W^T W = R^T (1 - L L^T) R with the roots R of the tiles: effects are shrunk, the constant is projected out.
        low = np.concatenate([self._left * np.sqrt(1 - (1 - self._share) ** 2), self._shrunk(self._constant[:, None])], axis=1)
        gram, across = np.zeros((0, 0)), np.zeros((0, 0))
        for number, (tile, block, place) in enumerate(zip(self.tiles, self._blocks, self._places, strict=True)):
            if chosen is not None and number not in chosen:
                continue
            seen = block.seen(np.concatenate([columns_of(tile), values[place, None]], axis=1))
            gram = seen.T @ seen + (gram if gram.size else 0.0)
            across = low[place].T @ seen + (across if across.size else 0.0)
        gram = gram - across.T @ across
        return gram[:-1, :-1], gram[:-1, -1], float(gram[-1, -1]), across[-1] * self._scale

    def _seen(self, images: Array) -> Array:
        """Return what is left with all but the constant marginalised."""
        if len(self._blocks) == 1 and self._places[0].size == len(images):
            rooted = self._blocks[0].seen(images)
        else:
            rooted = np.zeros_like(images)
            for block, place in zip(self._blocks, self._places, strict=True):
                rooted[place] = block.seen(images[place])
        return self._shrunk(rooted)

    def _shrunk(self, rooted: Array) -> Array:
        """Return rooted images, (height x width, k), with the random effects shrunk."""
        if self._share.size:
            rooted = rooted - self._left @ (self._share[:, None] * (self._left.T @ rooted))
        return np.asarray(rooted)
