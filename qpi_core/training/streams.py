"""Streams of training kernels, drawn afresh for every batch; sample (seed, step, i) never depends on batch size or workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.networks.kernel_vae import KERNEL_SIZE
from qpi_core.synthesis.harmonic_patterns import HarmonicPattern, draw_harmonic_pattern
from qpi_core.synthesis.kernels import KernelParameters, draw_kernel_parameters, equation_7
from qpi_core.synthesis.scenes import Pattern

RANGE_FACTOR = 1.2
"""Training ranges of B and c reach 20 % beyond the benchmark's."""


@dataclass(frozen=True)
class DrawnPattern:
    """A kernel as a function, with its symmetry order (1: none)."""

    pattern: Pattern
    symmetry_order: int
    source: KernelParameters | HarmonicPattern


def draw_pattern(rng: np.random.Generator, phenomenological_share: float) -> DrawnPattern:
    """Draw a training kernel: Eq. 7 with the given probability, otherwise a signed harmonic pattern."""
    if rng.random() < phenomenological_share:
        drawn = draw_kernel_parameters(rng, widen=RANGE_FACTOR)
        return DrawnPattern(lambda dx, dy: equation_7(dx, dy, **drawn.as_dict()), drawn.symmetry_order, drawn)
    pattern = draw_harmonic_pattern(rng)
    return DrawnPattern(pattern, pattern.symmetry_order, pattern)


def sample_on_window(pattern: Pattern, size: int = KERNEL_SIZE) -> NDArray[np.float32]:
    """Return the pattern on a (size, size) window at the default pitch, divided by its largest absolute value."""
    x, y = kernel_coordinates(size, DEFAULT_PIXEL_SIZE_NM)
    values = pattern(x, y)
    return (values / max(float(np.abs(values).max()), 1e-12)).astype(np.float32)


def kernel_batch(seed: int, first: int, count: int, phenomenological_share: float) -> tuple[Tensor, Tensor]:
    """Return kernels (count, 1, 64, 64) on the networks' scale and their symmetry orders (count,): samples first ... of the stream."""
    drawn = [draw_pattern(np.random.default_rng([seed, index]), phenomenological_share) for index in range(first, first + count)]
    kernels = np.stack([sample_on_window(item.pattern) for item in drawn])[:, None]
    return torch.from_numpy(kernels), torch.tensor([item.symmetry_order for item in drawn])
