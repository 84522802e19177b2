"""A noise model as a linear map that turns it into white noise, for solvers that know white noise only.

With Sigma = C + sum_g v_g X_g X_g^T + infinity 1 1^T on the measured pixels, W is a matrix with W^T W = Sigma^-1: a least-squares fit
to W y with the design W B has everything else marginalised. W is the symmetric root of C on the full rectangle, followed by
projections: pixels that were not measured and the constant are projected out, the random effects are shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svd

from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters

Array = NDArray[np.float64]


class Whitener:
    """W for one mask of measured pixels.

    Attributes:
        shape: (height, width).
        log_determinant: log det(Sigma) + log(1^T Sigma^-1 1 / n) on the n measured pixels, in units of sigma^2: 0 for white noise.
    """

    def __init__(
        self,
        measured: NDArray[np.bool_],
        parameters: StationaryParameters,
        effects: Sequence[Array] = (),
        aspect: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Prepare the projections.

        Args:
            measured: (height, width).
            parameters: of C.
            effects: (height, width, k) columns of random effects, scaled to the prior N(0, 1) in units of sigma.
            aspect: (dy, dx) of a pixel in the unit of the lengths.
        """
        self.shape = (measured.shape[0], measured.shape[1])
        self._covariance = StationaryCovariance(self.shape, parameters, aspect)
        self.log_determinant = self._covariance.log_determinant
        self._gaps: Array | None = None
        self._left, self._share = np.empty((measured.size, 0)), np.empty(0)
        self._constant: Array | None = None
        missing = np.flatnonzero(~measured.ravel())
        if missing.size:
            unit = np.zeros((measured.size, missing.size))
            unit[missing, np.arange(missing.size)] = 1.0
            basis, triangle = qr(self._rooted(unit), mode="economic", check_finite=False)
            self.log_determinant += 2 * float(np.log(np.abs(triangle.diagonal())).sum())
            self._gaps = basis
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
        assert self._constant is not None
        return np.asarray(seen - np.outer(self._constant, self._constant @ seen))

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp], values: Array) -> Array:
        """Return W of values, (pixels, k), that lie at these rows and columns of the map (all that were measured)."""
        image = np.zeros((self.shape[0] * self.shape[1], values.shape[1]))
        image[rows * self.shape[1] + columns] = values
        return self(image)

    def means(self, images: Array) -> Array:
        """Return (k,) the constant that fits each image best: 1^T Sigma^-1 f / 1^T Sigma^-1 1."""
        assert self._constant is not None
        return np.asarray(self._constant @ self._seen(images) * self._scale)

    def _rooted(self, images: Array) -> Array:
        return self._covariance.whiten(images.reshape(*self.shape, -1)).reshape(images.shape)

    def _seen(self, images: Array) -> Array:
        """Return what is left with all but the constant marginalised."""
        rooted = self._rooted(images)
        if self._gaps is not None:
            rooted = rooted - self._gaps @ (self._gaps.T @ rooted)
        if self._share.size:
            rooted = rooted - self._left @ (self._share[:, None] * (self._left.T @ rooted))
        return np.asarray(rooted)
