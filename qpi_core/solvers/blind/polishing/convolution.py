"""The kernels of all layers against activation maps, in units of each layer's noise, without long waves: exact at the border and at gaps.

M -> P (A*M),   P takes out the long waves that were taken out of the layers
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from qpi_core.solvers.blind.long_waves import LONGEST_WAVE, LongWaves
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit
from qpi_core.solvers.blind.start.filter_bank import padded_period, wrapped

Image = NDArray[np.float32]


_CHUNK, _MOST_VALUES = 32, 3e7
"""Functions that are correlated at once, and the largest number of values of all; on larger problems overlaps hold the long waves."""


class Convolution:
    """M -> P (A*M) on the measured pixels, its adjoint, and how much a defect at each pixel is seen.

    Attributes:
        kernels: (energies, side, side) in units of the noise of each layer.
        shown: (height, width) sum of squares of the part of a defect's pattern that was measured, with its long waves.
        whole: norm of the whole kernels.
        strength: the same without long waves, far from the border.
    """

    def __init__(self, fit: KernelFit, long_waves: LongWaves) -> None:
        """Take the kernels of a fit."""
        self.kernels = (fit.kernels / np.sqrt(fit.variances)[:, None, None]).astype(np.float32)
        self.long_waves, self.measured = long_waves, long_waves.measured
        height, width = self.measured.shape
        self.period = padded_period((height, width), self.kernels.shape[-1] // 2)
        self._transforms = fft.rfft2(wrapped(self.kernels, self.period))
        squared = fft.rfft2(wrapped((self.kernels**2).sum(axis=0), self.period))
        seen = fft.irfft2(squared.conj() * fft.rfft2(self.measured.astype(np.float32), s=self.period), s=self.period)
        self.shown: Image = np.maximum(self._cropped(seen), 1e-12)
        self.whole = float(np.sqrt((self.kernels.astype(np.float64) ** 2).sum()))
        rows, columns = fft.fftfreq(self.period[0]), fft.rfftfreq(self.period[1])
        short = 2 * np.pi * np.hypot(rows[:, None], columns) > LONGEST_WAVE
        power = (np.abs(self._transforms) ** 2).sum(axis=0)
        self.strength = self.whole * float(np.sqrt((power * short).sum() / power.sum()))

    @cached_property
    def energy(self) -> Image:
        """Sum of squares of what is seen of a defect at each pixel, (height, width)."""
        taken = 0 if self.in_long_waves is None else (self.in_long_waves**2).sum(axis=0)
        return np.maximum(self.shown - taken, np.float32(1e-12))

    @cached_property
    def in_long_waves(self) -> Image | None:
        """Scalar products of each long wave with the pattern of a defect at each pixel, (functions, height, width)."""
        functions = self.long_waves.functions().astype(np.float32)
        if functions.size * len(self.kernels) > _MOST_VALUES:
            return None
        return np.concatenate([self._products(functions[first : first + _CHUNK]) for first in range(0, len(functions), _CHUNK)])

    def _products(self, functions: Image) -> Image:
        """Return the correlation of functions (k, height, width) with each layer's kernel, (k * energies, height, width)."""
        spectra = fft.rfft2(functions, s=self.period)[:, None] * self._transforms.conj()
        return self._cropped(fft.irfft2(spectra, s=self.period)).reshape(-1, *self.measured.shape)

    @property
    def largest_gain(self) -> float:
        """Return an upper limit of |A*M|^2 / |M|^2."""
        return float((np.abs(self._transforms) ** 2).sum(axis=0).max())

    def __call__(self, activation: Image) -> Image:
        """Return P (A*M), (energies, height, width), 0 where not measured."""
        spectrum = self._transforms * fft.rfft2(activation, s=self.period)
        return np.asarray(self.long_waves.removed(self._cropped(fft.irfft2(spectrum, s=self.period))), dtype=np.float32)

    def adjoint(self, layers: Image) -> Image:
        """Return the correlation of layers that hold no long waves, 0 where not measured, with the kernels: (height, width)."""
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
        return self.adjoint(np.asarray(self.long_waves.removed(shown), dtype=np.float32))

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
