"""What a family of bands says of itself so that it can be fitted: its kernels at constant energy, and how its numbers are called.

A band is given by coordinates s that are linear in energy: s = k^2 for a parabola, k for a Dirac cone, the sum of cosines for a lattice,

    s(E) = s_low + (s_high - s_low) (E - E_low) / (E_high - E_low)   at the lowest and the highest energy of the stack,

and by numbers of its shape. A state of half width Gamma has the imaginary part Gamma |ds/dE|. The change of the density of states is
Re[sum_i c_i P_i(r)], P_i the patterns and c_i free complex amplitudes at every energy: strength and phase of the T-matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace, Patterns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ShapeNumber:
    """A number of a band's shape.

    Attributes:
        name: with its unit.
        low, high: of its uniform prior.
        starts: values that a search begins from.
        scale: step of the search.
    """

    name: str
    low: float
    high: float
    starts: tuple[float, ...]
    scale: float


TIP = ShapeNumber("tip_nm", 0.0, 0.6, (0.15,), 0.02)
"""Width w of tip, orbital and defect together: g(q) is seen through exp(-q^2 w^2)."""


class BandKernels(Protocol):
    """A family of bands.

    Attributes:
        name: by which it is asked for.
        title: in words.
        orders: angular orders of its kernels, ascending from 0.
        bands: number of coordinates s.
        shape: its numbers beyond the coordinates.
        rounded: whether how the waves are rounded off next to the core is fitted as well.
        rising: whether s and -s are the same band, so that s is taken to rise with energy.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def orders(self) -> tuple[int, ...]: ...

    @property
    def bands(self) -> int: ...

    @property
    def shape(self) -> tuple[ShapeNumber, ...]: ...

    @property
    def rounded(self) -> bool: ...

    @property
    def rising(self) -> bool: ...

    def line(self, most_wavenumber: float, step: float) -> Array:
        """Return ascending values of s whose waves have up to most_wavenumber, rad/nm, or die out, about `step` rad/nm apart."""

    def contour(self, s: Array, shape: Array, angles: Array) -> Array:
        """Return the radius k in rad/nm of the contour of constant energy, (s, angles); NaN where there is none."""

    def patterns(self, s: NDArray[np.complex128], shape: Array, space: KernelSpace, rounding_px2: float) -> Patterns:
        """Return P_i, (patterns, energies, r, angles or 1), near 1 / r, of s with Im >= 0, (bands, energies)."""

    def numbers(self, energies: tuple[float, float], ends: Array, shape: Array) -> Mapping[str, float]:
        """Return the band's numbers, names with units, of s at two energies in meV, ends (bands, 2)."""
