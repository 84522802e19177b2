"""The kernels of all layers against activation maps, in units of each layer's noise: exact at the border and at gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from qpi_core.solvers.blind.polishing.kernel_step import KernelFit
from qpi_core.solvers.blind.start.filter_bank import padded_period, wrapped

Image = NDArray[np.float32]


class Convolution:
    """M -> A*M on the measured pixels, its adjoint, and how much a defect at each pixel is seen.

    Attributes:
        kernels: (energies, side, side) in units of the noise of each layer.
        energy: (height, width) sum of squares of the part of a defect's pattern that was measured.
        strength: norm of the whole kernels.
    """

    def __init__(self, fit: KernelFit, measured: NDArray[np.bool_]) -> None:
        """Take the kernels of a fit."""
        self.kernels = (fit.kernels / np.sqrt(fit.variances)[:, None, None]).astype(np.float32)
        self.measured = measured
        half = self.kernels.shape[-1] // 2
        self.period = padded_period((measured.shape[0], measured.shape[1]), half)
        self._transforms = fft.rfft2(wrapped(self.kernels, self.period))
        squared = fft.rfft2(wrapped((self.kernels**2).sum(axis=0), self.period))
        seen = fft.irfft2(squared.conj() * fft.rfft2(measured.astype(np.float32), s=self.period), s=self.period)
        self.energy: Image = np.maximum(self._cropped(seen), 1e-12)
        self.strength = float(np.sqrt((self.kernels.astype(np.float64) ** 2).sum()))

    @property
    def largest_gain(self) -> float:
        """Return an upper limit of |A*M|^2 / |M|^2."""
        return float((np.abs(self._transforms) ** 2).sum(axis=0).max())

    def __call__(self, activation: Image) -> Image:
        """Return A*M, (energies, height, width), 0 where not measured."""
        spectrum = self._transforms * fft.rfft2(activation, s=self.period)
        return np.asarray(self._cropped(fft.irfft2(spectrum, s=self.period)) * self.measured)

    def adjoint(self, layers: Image) -> Image:
        """Return the correlation of layers, 0 where not measured, with the kernels: (height, width)."""
        spectrum = (self._transforms.conj() * fft.rfft2(layers, s=self.period)).sum(axis=0)
        return self._cropped(fft.irfft2(spectrum, s=self.period))

    def overlap(self, row: int, column: int) -> Image:
        """Return the scalar product of a defect's pattern with that of a defect at every pixel, (height, width)."""
        height, width = self.measured.shape
        half = self.kernels.shape[-1] // 2
        top, bottom = max(0, row - half), min(height, row + half + 1)
        left, right = max(0, column - half), min(width, column + half + 1)
        shown = np.zeros((len(self.kernels), height, width), dtype=np.float32)
        shown[:, top:bottom, left:right] = self.kernels[
            :, top - row + half : bottom - row + half, left - column + half : right - column + half
        ]
        return self.adjoint(shown * self.measured)

    def autocorrelation(self) -> Image:
        """Return the overlap of two whole patterns by their offset, (2 side - 1, 2 side - 1), offset 0 in the middle."""
        reach = self.kernels.shape[-1] - 1
        side = fft.next_fast_len(2 * reach + 1, real=True)
        power = (np.abs(fft.rfft2(self.kernels, s=(side, side))) ** 2).sum(axis=0)
        lags = np.roll(fft.irfft2(power, s=(side, side)), (reach, reach), axis=(0, 1))
        return np.asarray(lags[: 2 * reach + 1, : 2 * reach + 1], dtype=np.float32)

    def _cropped(self, image: Image) -> Image:
        height, width = self.measured.shape
        return image[..., :height, :width]
