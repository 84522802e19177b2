"""The normal operator of a map that is much larger than the kernel's window, as a convolution within the window.

    (N A)(u) = sum_jk w_j w_k A(u + r_j - r_k) [u + r_j measured]  ~  s(u) (T * (s A))(u)

T is the autocorrelation of the defects and s(u)^2 the share of defects that are seen at the offset u. Cut at the map's border, N is
no convolution; but few defects are near the border of a large map, and a convolution needs transforms of the window's size only. Used
where an average over random draws is wanted, never for the kernel itself.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qpi_core.base.grid import kernel_offsets
from qpi_core.operators.convolution import ForwardOperator, fft_length
from qpi_core.operators.linear import LinearOperator

LARGE = 4
"""A map counts as large from so many windows a side on: the share then falls to no less than 0.77, at the window's corners."""


class StationaryNormal(LinearOperator):
    """N as a convolution; symmetric and positive semidefinite like N itself."""

    def __init__(self, operator: ForwardOperator, mask: Tensor) -> None:
        """Take T from the operator's transfer function.

        Args:
            operator: without a mask.
            mask: (height, width), 1 where measured.
        """
        size = operator.kernel_size
        self._size, self._side = size, fft_length(2 * size - 1)
        lags = operator.autocorrelation(size - 1)
        embedded = torch.zeros((self._side, self._side))
        embedded[: 2 * size - 1, : 2 * size - 1] = lags
        embedded = torch.roll(embedded, (1 - size, 1 - size), dims=(0, 1))
        # Cut lags can make small negative values, which no autocorrelation has.
        self._multiplier = torch.fft.rfft2(embedded).real.clamp_min(0.0)
        rows, columns = (1.0 - np.abs(kernel_offsets(size)) / side for side in operator.shape)
        share = float(mask.mean()) * rows[:, None] * columns[None, :]
        self._root_share = torch.from_numpy(np.sqrt(share).astype(np.float32))

    def __call__(self, kernels: Tensor) -> Tensor:
        """Return N A for kernels (..., k, k)."""
        return self._filtered(self._root_share * kernels, self._multiplier)

    def adjoint(self, kernels: Tensor) -> Tensor:
        """Return N A: the operator is its own adjoint."""
        return self(kernels)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, k, k) random draws with the covariance N: what white noise of the map leaves after the adjoint."""
        white = torch.randn((count, self._side, self._side), generator=generator)
        return self._filtered(white, self._multiplier.sqrt())

    def _filtered(self, values: Tensor, multiplier: Tensor) -> Tensor:
        shape = (self._side, self._side)
        spectrum = torch.fft.rfft2(values, s=shape) * multiplier
        filtered: Tensor = torch.fft.irfft2(spectrum, s=shape)
        return filtered[..., : self._size, : self._size] * self._root_share


def is_large(operator: ForwardOperator) -> bool:
    """Say whether the map has LARGE windows a side."""
    return min(operator.shape) >= LARGE * operator.kernel_size
