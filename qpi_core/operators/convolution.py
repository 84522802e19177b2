"""The forward operator A -> A*M: a linear convolution of the kernel with the defects, cropped to the field of view.

    Y(p) = sum_j w_j A(p - r_j)

Each defect is a phase ramp in Fourier space, so fractional positions are exact for the band-limited interpolation of A. The
grid is padded until nothing wraps around into the map, which takes half a kernel: what leaves the map on one side may come back
outside of it on the other. At the Nyquist frequency a ramp is its own mean over both signs, a cosine, so that images stay real.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qpi_core.operators.linear import LinearOperator
from qpi_core.runtime.threads import one_torch_thread

_FRACTION_MARGIN_PX = 8
"""Room for the tails of band-limited interpolation, which fall with the distance, where defects lie between the pixels."""


@lru_cache(maxsize=256)
def fft_length(minimum: int) -> int:
    """Return the smallest multiple of 4 that is >= minimum and has no prime factor above 7 (fast to transform)."""
    length = 4 * max(1, -(-minimum // 4))
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 4


class ForwardOperator(LinearOperator):
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
        one_torch_thread()
        self.shape = (int(shape[0]), int(shape[1]))
        self.kernel_size = int(kernel_size)
        several = list(positions) if isinstance(positions, (list, tuple)) else []
        batched = bool(several) and np.ndim(several[0]) == 2
        maps = [np.asarray(p, dtype=np.float64) for p in (several if batched else [positions])]
        if weights is None:
            amplitudes = [np.ones(len(p)) for p in maps]
        else:
            listed = weights if batched and isinstance(weights, (list, tuple)) else [weights]
            amplitudes = [np.asarray(w, dtype=np.float64) for w in listed]
        self._defects, self._batched = list(zip(maps, amplitudes, strict=True)), batched
        every = np.concatenate(maps)
        self._padded = tuple(fft_length(_least_period(every[:, 1 - axis], self.shape[axis], self.kernel_size)) for axis in (0, 1))
        self._transfer_function = self._transfer(self._padded).to(device)
        self.mask = None if mask is None else torch.as_tensor(np.asarray(mask, dtype=np.float32), device=device)
        self._centre = self.kernel_size // 2

    def _transfer(self, padded: tuple[int, ...]) -> Tensor:
        """Return the transfer function on a grid of so many rows and columns, complex64; (maps, ...) for a batch."""
        rows, columns = padded
        found = []
        for positions, weights in self._defects:
            ramp_y = np.exp(-2j * np.pi * np.fft.fftfreq(rows)[:, None] * positions[:, 1])
            ramp_x = np.exp(-2j * np.pi * np.fft.rfftfreq(columns)[:, None] * positions[:, 0])
            for ramp, nyquist in ((ramp_y, rows // 2), (ramp_x, columns // 2)):
                ramp[nyquist] = ramp[nyquist].real
            found.append(((ramp_y * weights) @ ramp_x.T).astype(np.complex64))
        return torch.from_numpy(np.stack(found) if self._batched else found[0])

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

    def autocorrelation(self, reach: int) -> Tensor:
        """Return the defects' autocorrelation at lags -reach..reach in y and x, (..., 2 reach + 1, 2 reach + 1), reach < kernel_size."""
        # Far-apart defects must not come back as neighbours, which takes a longer period than an image does.
        padded = tuple(fft_length(max(period, side + reach + 1)) for period, side in zip(self._padded, self.shape, strict=True))
        power = self._transfer(padded).abs().square().to(self._transfer_function)
        lags = torch.fft.irfft2(power, s=padded)
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


def _least_period(positions: NDArray[np.float64], side: int, kernel_size: int) -> int:
    """Return the shortest period along an axis with which no defect's kernel wraps around into the map of so many pixels."""
    half, margin = kernel_size // 2, 0 if np.array_equal(positions, np.rint(positions)) else _FRACTION_MARGIN_PX
    lowest, highest = (float(positions.min()), float(positions.max())) if positions.size else (0.0, 0.0)
    reach = max(np.ceil(max(highest, side - 1)) + 1, side - np.floor(min(lowest, 0.0)))
    return max(kernel_size, int(reach) + half + margin)
