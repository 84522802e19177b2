"""The forward operator A -> A*M: a linear convolution of the kernel with the defects, cropped to the field of view.

    Y(p) = sum_j w_j A(p - r_j)

Each defect is a phase ramp in Fourier space, so fractional positions are exact for the band-limited interpolation of A. The
grid is padded until nothing wraps around into the map, and to an odd length: an odd grid has no Nyquist component, whose
phase ramp would not be real.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


@lru_cache(maxsize=256)
def odd_fft_length(minimum: int) -> int:
    """Return the smallest odd number >= minimum whose prime factors are 3, 5, 7, 11 and 13 only (fast to transform)."""
    length = max(1, minimum) | 1
    while True:
        rest = length
        for prime in (3, 5, 7, 11, 13):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


class MapOperator(Protocol):
    """What a least-squares solve needs to know of a model: a linear operator to maps, and its adjoint."""

    def __call__(self, kernel: Tensor) -> Tensor:
        """Return maps, (..., height, width)."""

    def adjoint(self, observation: Tensor) -> Tensor:
        """Return the adjoint applied to maps, in the shape of the kernels."""


class ForwardOperator:
    """A -> A*M for one map, or for a batch of maps of one shape; linear, differentiable, float32.

    Attributes:
        shape: (height, width) of the map.
        kernel_size: side k of the kernel, centre at index k // 2.
    """

    def __init__(
        self,
        positions: ArrayLike | Sequence[ArrayLike],
        shape: tuple[int, int],
        kernel_size: int,
        weights: ArrayLike | Sequence[ArrayLike] | None = None,
        mask: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepare the transfer function.

        Args:
            positions: (n, 2) columns (x, y) in pixels; or a list of such arrays, one a map of the batch.
            shape: (height, width) of the map.
            kernel_size: side of the kernel in pixels; may exceed the map (at most 2 * side - 1 of it is ever seen).
            weights: amplitude of each defect, shaped like the positions' first axis; None is 1 for each.
            mask: (height, width) or (batch, height, width), true or 1 where the map was measured; masked pixels come out as zero.
            device: where to compute.
        """
        self.shape = (int(shape[0]), int(shape[1]))
        self.kernel_size = int(kernel_size)
        self._padded = tuple(odd_fft_length(side + self.kernel_size - 1) for side in self.shape)
        several = list(positions) if isinstance(positions, (list, tuple)) else []
        batched = bool(several) and np.ndim(several[0]) == 2
        maps = [np.asarray(p, dtype=np.float64) for p in (several if batched else [positions])]
        if weights is None:
            amplitudes = [np.ones(len(p)) for p in maps]
        else:
            listed = weights if batched and isinstance(weights, (list, tuple)) else [weights]
            amplitudes = [np.asarray(w, dtype=np.float64) for w in listed]
        transfer = np.stack([self._transfer(p, w) for p, w in zip(maps, amplitudes, strict=True)])
        self._transfer_function = torch.from_numpy(transfer if batched else transfer[0]).to(device)
        self.mask = None if mask is None else torch.as_tensor(np.asarray(mask, dtype=np.float32), device=device)
        self._centre = self.kernel_size // 2

    def _transfer(self, positions: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.complex64]:
        rows, columns = self._padded
        ramp_y = np.exp(-2j * np.pi * np.fft.fftfreq(rows)[:, None] * positions[:, 1])
        ramp_x = np.exp(-2j * np.pi * np.fft.rfftfreq(columns)[:, None] * positions[:, 0])
        return np.asarray((ramp_y * weights) @ ramp_x.T, dtype=np.complex64)

    def __call__(self, kernel: Tensor) -> Tensor:
        """Return A*M, (..., height, width), for kernels (..., k, k) in any real dtype; computed in float32."""
        spectrum = torch.fft.rfft2(self._place(kernel.float())) * self._transfer_function
        height, width = self.shape
        image: Tensor = torch.fft.irfft2(spectrum, s=self._padded)[..., :height, :width]
        return image if self.mask is None else image * self.mask

    def adjoint(self, observation: Tensor) -> Tensor:
        """Return the adjoint's kernel, (..., k, k), for maps (..., height, width): the correlation of the map with the defects."""
        image = observation.float() if self.mask is None else observation.float() * self.mask
        spectrum = torch.fft.rfft2(image, s=self._padded) * self._transfer_function.conj()
        return self._window(torch.fft.irfft2(spectrum, s=self._padded))

    def normal(self, kernel: Tensor) -> Tensor:
        """Return the adjoint applied to A*M."""
        return self.adjoint(self(kernel))

    def autocorrelation(self, reach: int) -> Tensor:
        """Return the defects' autocorrelation at lags -reach..reach in y and x, (..., 2 reach + 1, 2 reach + 1), reach < kernel_size."""
        lags = torch.fft.irfft2(self._transfer_function.abs().square().to(torch.complex64), s=self._padded)
        return torch.roll(lags, (reach, reach), dims=(-2, -1))[..., : 2 * reach + 1, : 2 * reach + 1]

    def _place(self, kernel: Tensor) -> Tensor:
        """Zero-pad the kernel and roll its centre to index 0, where a defect at the origin puts it."""
        rows, columns = self._padded
        size = self.kernel_size
        if kernel.shape[-2:] != (size, size):
            raise ValueError(f"kernel must have shape (..., {size}, {size}), but it has shape {tuple(kernel.shape)}.")
        centre, after = self._centre, size - self._centre
        # Four corners instead of a roll of the whole grid, which is many times the kernel on a large map.
        padded = kernel.new_zeros((*kernel.shape[:-2], rows, columns))
        padded[..., :after, :after] = kernel[..., centre:, centre:]
        padded[..., :after, columns - centre :] = kernel[..., centre:, :centre]
        padded[..., rows - centre :, :after] = kernel[..., :centre, centre:]
        padded[..., rows - centre :, columns - centre :] = kernel[..., :centre, :centre]
        return padded

    def _window(self, padded: Tensor) -> Tensor:
        """Return what `_place` has put there: the window about index 0."""
        rows, columns = self._padded
        centre, after = self._centre, self.kernel_size - self._centre
        strip = torch.cat([padded[..., rows - centre :, :], padded[..., :after, :]], dim=-2)
        return torch.cat([strip[..., columns - centre :], strip[..., :after]], dim=-1)
