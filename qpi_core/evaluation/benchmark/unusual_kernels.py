"""Kernels outside Eq. 7's family, for the benchmark only: nothing is trained on them, nor is any method tuned with them.

The preset `base` trains on kernels that lost their symmetry in similar ways (synthesis/uneven_patterns.py), drawn from other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1

from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate
from qpi_core.synthesis.simulated_maps.scenes import Pattern

STRAIN = 0.1


def strained_pattern(parameters: KernelParameters, rng: np.random.Generator) -> Pattern:
    """Return Eq. 7 stretched by STRAIN along a random direction and shortened as much across it (to first order)."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = turn.T @ np.diag([1 / (1 + STRAIN / 2), 1 + STRAIN / 2]) @ turn

    def pattern(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        return evaluate(parameters, matrix[0, 0] * dx + matrix[0, 1] * dy, matrix[1, 0] * dx + matrix[1, 1] * dy)

    return pattern


def one_sided_pattern(parameters: KernelParameters, rng: np.random.Generator) -> Pattern:
    """Return Eq. 7 times (1 + tanh(u / 0.5 nm)) / 2, u the distance along a random direction: a defect at a step edge."""
    angle = rng.uniform(0, 2 * np.pi)

    def pattern(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        along = dx * np.cos(angle) + dy * np.sin(angle)
        return np.asarray(evaluate(parameters, dx, dy) * (0.5 + 0.5 * np.tanh(along / 0.5)))

    return pattern


@dataclass(frozen=True)
class ParabolicBand:
    """One band of free electrons and how a point defect scatters it.

    Attributes:
        wavenumber: k in rad/nm; the pattern oscillates with 2 k.
        mean_free_path: in nm.
        phase_shift: of the scatterer, rad.
        ellipticity: ratio of the half axes of the Fermi contour, >= 1.
        direction: of the long half axis, rad.
        amplitude: factor.
    """

    wavenumber: float
    mean_free_path: float
    phase_shift: float
    ellipticity: float = 1.0
    direction: float = 0.0
    amplitude: float = 1.0


def green_function_pattern(bands: tuple[ParabolicBand, ...], tip_nm: float) -> Pattern:
    """Return the change of the local density of states around a point defect, averaged over a finite tip.

    For each band -Im[G(r)^2 T] / pi with G(r) = -(i / 4) H0(k r) and T = exp(i d) sin d, k = k0 + i / (2 mean free path);
    an elliptic contour rescales the two axes. The tip replaces r by sqrt(r^2 + tip^2), which removes the divergence at r = 0.
    Source: Crommie, Lutz, Eigler, Nature 363, 524 (1993); Economou, Green's Functions in Quantum Physics, Ch. 6.
    """

    def pattern(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(np.broadcast_shapes(np.shape(dx), np.shape(dy)))
        for band in bands:
            along = dx * np.cos(band.direction) + dy * np.sin(band.direction)
            across = dy * np.cos(band.direction) - dx * np.sin(band.direction)
            stretch = np.sqrt(band.ellipticity)
            r = np.sqrt((along * stretch) ** 2 + (across / stretch) ** 2 + tip_nm**2)
            green = -0.25j * hankel1(0, (band.wavenumber + 0.5j / band.mean_free_path) * r)
            scattering = np.exp(1j * band.phase_shift) * np.sin(band.phase_shift)
            total -= band.amplitude * np.imag(green**2 * scattering) / np.pi
        return total

    return pattern


def band_pattern(rng: np.random.Generator, bands: int) -> tuple[Pattern, int]:
    """Draw one elliptic band (symmetry order 2) or several circular ones (order 0); returns (pattern, symmetry order)."""
    drawn = tuple(
        ParabolicBand(
            wavenumber=float(rng.uniform(1.5, 5.0)),
            mean_free_path=float(rng.uniform(1.0, 3.0)),
            phase_shift=float(rng.uniform(0.2, np.pi - 0.2)),
            ellipticity=float(rng.uniform(1.1, 1.5)) if bands == 1 else 1.0,
            direction=float(rng.uniform(0, np.pi)),
            amplitude=float(rng.uniform(0.5, 1.0)),
        )
        for _ in range(bands)
    )
    return green_function_pattern(drawn, tip_nm=0.15), 2 if bands == 1 else 0
