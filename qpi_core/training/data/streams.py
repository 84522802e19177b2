"""Streams of training kernels, drawn afresh for every batch; sample (seed, step, i) never depends on batch size or workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.networks.kernel_vae import KERNEL_SIZE
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.bands.scattering import BandPattern
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, draw_kernel_parameters, equation_7
from qpi_core.synthesis.kernel_families.harmonic_patterns import HarmonicPattern, draw_harmonic_pattern
from qpi_core.synthesis.kernel_families.spline_patterns import SplinePattern, draw_spline_pattern
from qpi_core.synthesis.kernel_families.uneven_patterns import UnevenPattern, draw_uneven_pattern
from qpi_core.synthesis.simulated_maps.scenes import Pattern

RANGE_FACTOR = 1.2
"""Training ranges of B and c reach 20 % beyond the benchmark's."""
WINDOW_EXTENT_NM = 8.0
"""Band-structure kernels are brought to zero from 0.9 of this radius on, beyond the corners of the 64x64 window."""
TRAINED_FAMILIES = ("square", "triangular", "honeycomb", "dirac", "warped")
"""Band structures that are drawn for training; elliptic and several bands stay unseen, for the tests outside the family."""


@dataclass(frozen=True)
class KernelShares:
    """Probabilities of the families of training kernels; what is left of 1 are signed harmonic patterns.

    Attributes:
        equation_7: the phenomenological kernel of the paper.
        splines: random radial profiles times harmonics.
        bands: T-matrix kernels of TRAINED_FAMILIES.
        uneven: kernels without the rotation symmetry of the others.
    """

    equation_7: float = 1.0
    splines: float = 0.0
    bands: float = 0.0
    uneven: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.equation_7, self.splines, self.bands, self.uneven)
        if not (min(shares) >= 0 and sum(shares) <= 1 + 1e-9):
            raise InputError(f"the shares of the kernel families must be at least 0 and at most 1 together, but they are {shares}.")


@dataclass(frozen=True)
class DrawnPattern:
    """A kernel as a function, with its symmetry order (1: none)."""

    pattern: Pattern
    symmetry_order: int
    source: KernelParameters | HarmonicPattern | SplinePattern | BandPattern | UnevenPattern


def draw_pattern(rng: np.random.Generator, shares: KernelShares, extent_nm: float | None = None) -> DrawnPattern:
    """Draw a training kernel.

    Args:
        rng: the stream.
        shares: probabilities of the families.
        extent_nm: how far a band-structure kernel is needed (a smaller box is faster); None is its default.
    """
    choice = rng.random()
    if choice < shares.equation_7:
        drawn = draw_kernel_parameters(rng, widen=RANGE_FACTOR)
        return DrawnPattern(lambda dx, dy: equation_7(dx, dy, **drawn.as_dict()), drawn.symmetry_order, drawn)
    pattern: HarmonicPattern | SplinePattern | BandPattern | UnevenPattern
    if choice < shares.equation_7 + shares.splines:
        pattern = draw_spline_pattern(rng)
    elif choice < shares.equation_7 + shares.splines + shares.bands:
        family = str(rng.choice(TRAINED_FAMILIES))
        pattern = draw_band_pattern(rng, family) if extent_nm is None else draw_band_pattern(rng, family, extent_nm)
    elif choice < shares.equation_7 + shares.splines + shares.bands + shares.uneven:
        pattern = draw_uneven_pattern(rng)
    else:
        pattern = draw_harmonic_pattern(rng)
    return DrawnPattern(pattern, pattern.symmetry_order, pattern)


def sample_on_window(pattern: Pattern, size: int = KERNEL_SIZE) -> NDArray[np.float32]:
    """Return the pattern on a (size, size) window at the default pitch, divided by its largest absolute value."""
    x, y = kernel_coordinates(size, DEFAULT_PIXEL_SIZE_NM)
    values = pattern(x, y)
    return (values / max(float(np.abs(values).max()), 1e-12)).astype(np.float32)


def kernel_batch(seed: int, first: int, count: int, shares: KernelShares) -> tuple[Tensor, Tensor]:
    """Return kernels (count, 1, 64, 64) on the networks' scale and their symmetry orders (count,): samples first ... of the stream."""
    drawn = [draw_pattern(np.random.default_rng([seed, index]), shares, WINDOW_EXTENT_NM) for index in range(first, first + count)]
    kernels = np.stack([sample_on_window(item.pattern) for item in drawn])[:, None]
    return torch.from_numpy(kernels), torch.tensor([item.symmetry_order for item in drawn])
