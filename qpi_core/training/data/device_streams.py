"""Training samples drawn on the device that trains: a GPU would wait for kernels and maps that a CPU draws one by one.

Batch `first` of a run follows from (seed, first), so a run that goes on sees the same batches as long as its batch size stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_offsets
from qpi_core.networks.kernel_frame import FRAME_SIZE, ORIENTATIONS, network_window, turn
from qpi_core.networks.kernel_vae import KERNEL_SIZE, normalise_kernel
from qpi_core.runtime.executor import InProcess, LocalProcesses
from qpi_core.synthesis.kernel_families.equation_7 import DECAY_RANGE, SYMMETRY_ORDERS, WAVENUMBER_RANGE
from qpi_core.training.data.scene_stream import NOISE_RANGE
from qpi_core.training.data.streams import RANGE_FACTOR, WINDOW_EXTENT_NM, KernelShares, draw_pattern, sample_on_window

MAX_DEFECTS = 100
_PART = 64


@dataclass(frozen=True)
class Equation7Batch:
    """Parameters of Eq. 7 of a batch, each (batch,): orders, angles in rad, wavenumber in rad/nm, decay in nm^-2."""

    order: Tensor
    orientation: Tensor
    wavenumber: Tensor
    phase: Tensor
    decay: Tensor

    def on_window(self, size: int) -> Tensor:
        """Return the kernels (batch, size, size), r = 0 at index size // 2."""
        offsets = torch.from_numpy(kernel_offsets(size)).to(self.order.device) * DEFAULT_PIXEL_SIZE_NM
        y, x = torch.meshgrid(offsets.float(), offsets.float(), indexing="ij")
        squared, angle = x * x + y * y, torch.atan2(y, x)
        order, orientation, wavenumber, phase, decay = (
            value[:, None, None] for value in (self.order, self.orientation, self.wavenumber, self.phase, self.decay)
        )
        angular = 0.5 - 0.5 * torch.cos(order * angle + 2 * orientation)
        radial = 0.5 - 0.5 * torch.cos(2 * (wavenumber * squared.sqrt() + phase))
        return angular * radial * torch.exp(-decay * squared)


def draw_equation_7(generator: torch.Generator, count: int, device: torch.device) -> Equation7Batch:
    """Draw parameters as `draw_kernel_parameters` does with the training stream's wider ranges."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, device=device)

    orders = torch.tensor(SYMMETRY_ORDERS, device=device)
    order = orders[torch.randint(len(orders), (count,), generator=generator, device=device)]
    orientation = torch.where(order == 0, torch.full((count,), np.pi / 2, device=device), uniform(0, np.pi))
    wavenumber = uniform(WAVENUMBER_RANGE[0] / RANGE_FACTOR, WAVENUMBER_RANGE[1] * RANGE_FACTOR)
    decay = torch.exp(uniform(float(np.log(DECAY_RANGE[0] / RANGE_FACTOR)), float(np.log(DECAY_RANGE[1] * RANGE_FACTOR))))
    return Equation7Batch(order, orientation, wavenumber, uniform(0, np.pi), decay)


def batch_generator(seed: int, first: int, device: torch.device) -> torch.Generator:
    """Return the generator of the batch that begins with sample `first`."""
    return torch.Generator(device).manual_seed(int(np.random.default_rng([seed, first]).integers(2**62)))


@dataclass(frozen=True)
class _Part:
    seed: int
    number: int
    shares: KernelShares

    def draw(self) -> tuple[NDArray[np.float32], list[int]]:
        """Return kernels (n, FRAME_SIZE, FRAME_SIZE) and their symmetry orders."""
        numbers = range(self.number * _PART, (self.number + 1) * _PART)
        drawn = [draw_pattern(np.random.default_rng([self.seed, index]), self.shares, WINDOW_EXTENT_NM) for index in numbers]
        return np.stack([sample_on_window(item.pattern, FRAME_SIZE) for item in drawn]), [item.symmetry_order for item in drawn]


class DeviceKernels:
    """Kernels of the training stream: those of Eq. 7 drawn afresh, the other families from a stock that is turned and mirrored.

    Args:
        seed: of everything.
        shares: probabilities of the families.
        device: where the kernels are drawn.
        stock: kernels of the other families, drawn on the CPU beforehand.
        processes: that draw them.
    """

    def __init__(self, seed: int, shares: KernelShares, device: torch.device, stock: int, processes: int = 1) -> None:
        self.seed, self.shares, self.device = seed, shares, device
        rest = 1 - shares.equation_7
        if rest > 0 and stock:
            others = KernelShares(0.0, shares.splines / rest, shares.bands / rest, shares.uneven / rest)
            parts = [_Part(seed, number, others) for number in range(-(-stock // _PART))]
            executor = InProcess() if processes == 1 else LocalProcesses(processes)
            drawn = {outcome.index: outcome for outcome in executor.map(_Part.draw, parts)}
            values = [drawn[index].value for index in range(len(parts))]
            self.stock = torch.from_numpy(np.concatenate([value[0] for value in values if value is not None])).to(device).half()
            self.orders = torch.tensor([order for value in values if value is not None for order in value[1]], device=device)

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return kernels (count, 1, 64, 64) on the networks' scale and symmetry orders (count,)."""
        generator = batch_generator(self.seed, first, self.device)
        drawn = draw_equation_7(generator, count, self.device)
        kernels, orders = drawn.on_window(KERNEL_SIZE)[:, None], drawn.order
        other = torch.rand(count, generator=generator, device=self.device) >= self.shares.equation_7
        number = int(other.sum())
        if number:
            chosen = torch.randint(len(self.stock), (number,), generator=generator, device=self.device)
            orientations = torch.randint(ORIENTATIONS, (number,), generator=generator, device=self.device)
            frames = self.stock[chosen].float()[:, None]
            for k in range(ORIENTATIONS):
                frames[orientations == k] = turn(frames[orientations == k], k)
            kernels[other], orders[other] = network_window(frames), self.orders[chosen]
        return normalise_kernel(kernels), orders


class DevicePairs:
    """(Y, M) pairs of the paper's kind with kernels of Eq. 7: 64x64 maps, 1 to 100 defects on the grid, noise as in training scenes."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs (count, 2, 64, 64) and kernels (count, 1, 64, 64) on the networks' scale."""
        generator = batch_generator(self.seed, first, self.device)
        drawn = draw_equation_7(generator, count, self.device)
        defects = torch.exp(torch.rand(count, generator=generator, device=self.device) * np.log(MAX_DEFECTS)).int()
        order = torch.rand((count, KERNEL_SIZE**2), generator=generator, device=self.device).argsort(dim=1).argsort(dim=1)
        activation = (order < defects[:, None]).float().view(count, KERNEL_SIZE, KERNEL_SIZE)
        clean = superpose_on_grid(drawn.on_window(2 * KERNEL_SIZE - 1), activation)
        low, high = np.log(NOISE_RANGE)
        level = torch.exp(low + (high - low) * torch.rand(count, generator=generator, device=self.device))
        level = torch.where(torch.rand(count, generator=generator, device=self.device) < 0.2, torch.zeros_like(level), level)
        noise = torch.randn(clean.shape, generator=generator, device=self.device)
        observed = clean + (level * clean.std(dim=(1, 2), correction=0))[:, None, None] * noise
        centred = observed - observed.mean(dim=(1, 2), keepdim=True)
        standard = centred / centred.std(dim=(1, 2), correction=0, keepdim=True).clamp_min(1e-12)
        return torch.stack([standard, activation], dim=1), normalise_kernel(drawn.on_window(KERNEL_SIZE)[:, None])


def superpose_on_grid(wide: Tensor, activation: Tensor) -> Tensor:
    """Return sum_j A(p - r_j) for defects on the grid, tails included, nothing wrapped around.

    Args:
        wide: (batch, 2 n - 1, 2 n - 1), the kernels at every offset that the map can see, centre at index n - 1.
        activation: (batch, n, n), defects in each pixel.
    """
    n = activation.shape[-1]
    # A period of 3 n - 2 holds the whole linear convolution.
    size = (3 * n - 2, 3 * n - 2)
    product = torch.fft.rfft2(wide, s=size) * torch.fft.rfft2(activation, s=size)
    whole: Tensor = torch.fft.irfft2(product, s=size)
    return whole[..., n - 1 : 2 * n - 1, n - 1 : 2 * n - 1]
