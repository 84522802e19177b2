"""From a band's patterns around a defect, given on circles, to coefficients of radial splines times angular functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.kernels.free_electron import ROUNDING_PX2, rounded_radii
from qpi_core.solvers.band_model.kernels.polar_green import PolarTransform
from qpi_core.solvers.band_model.kernels.square_green import SquareTransform
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_count

Array = NDArray[np.float64]
Patterns = NDArray[np.complex128]

_LEAST_ANGLES = 96
_LASTS_RADII = 4.0
_ENDS = 5.0
"""Times the largest wave number: from there on a Green's function is the same whatever the band, next to the defect."""
_NEAR = (3.0, 0.15)
"""From so many pixels to such a share of the radius a pattern counts as near the defect."""


@dataclass(frozen=True, eq=False)
class KernelSpace:
    """The kernels that a band can have on one stack.

    Attributes:
        splines: radial basis, lengths in px.
        pitch_nm: length of that pixel.
        orders: of the angular functions, ascending from 0.
        most_wavenumber: largest k, rad/nm, that is looked for.
    """

    splines: RadialSplines
    pitch_nm: float
    orders: tuple[int, ...]
    most_wavenumber: float

    @property
    def reach_nm(self) -> float:
        """Return the radius of the kernels."""
        return float(self.splines.radius * self.pitch_nm)

    @cached_property
    def angles(self) -> Array:
        """Return the directions in which patterns are given, rad."""
        count = max(_LEAST_ANGLES, 4 * self.orders[-1])
        return np.asarray(2 * np.pi * np.arange(count) / count)

    def radii(self, rounding_px2: float = ROUNDING_PX2) -> Array:
        """Return (r,) the radii in nm at which patterns are given."""
        return rounded_radii(self.splines, self.pitch_nm, rounding_px2)

    @cached_property
    def polar(self) -> PolarTransform:
        """Return the transform from wave vectors in polar coordinates to these radii."""
        return PolarTransform.on(self.radii(), self.angles, self.most_wavenumber, min(np.pi / self.pitch_nm, _ENDS * self.most_wavenumber))

    @cached_property
    def square(self) -> SquareTransform:
        """Return the transform from a square grid of wave vectors to these radii, for contours that do not surround the centre."""
        return SquareTransform.on(self.radii(), self.angles, self.pitch_nm)

    def lasting(self, s: NDArray[np.complex128], slope: Array) -> NDArray[np.complex128]:
        """Return s with an imaginary part large enough for the transform: waves that decay over some radii of the kernels.

        Args:
            s: (energies,).
            slope: (energies,) |ds/dk| in nm.
        """
        least = slope / (_LASTS_RADII * self.reach_nm)
        return np.asarray(s.real + 1j * np.hypot(np.abs(s.imag), np.maximum(least, 1e-6)))

    def near_one_over_r(self, patterns: Patterns) -> Patterns:
        """Return patterns (energies, r, angles) scaled to 2 / (pi r) near the defect, the size of squared Hankel functions."""
        radii = self.radii()
        chosen = (radii > _NEAR[0] * self.pitch_nm) & (radii < max(_NEAR[1] * self.reach_nm, 2 * _NEAR[0] * self.pitch_nm))
        size = np.mean(np.sqrt(np.mean(np.abs(patterns[:, chosen]) ** 2, axis=2)) * radii[chosen], axis=1) * (np.pi / 2)
        return np.asarray(patterns / np.maximum(size, 1e-300)[:, None, None])

    def columns(self, patterns: Patterns) -> Array:
        """Return the coefficients (energies, c, 2 m) of the real and imaginary parts of complex patterns (m, energies, r, angles or 1).

        Of isotropic patterns c are those of the first angular function alone.
        """
        orders = self.orders if patterns.shape[-1] > 1 else self.orders[:1]
        parts = np.concatenate([patterns.real, patterns.imag])
        turned = np.fft.rfft(parts, axis=-1) / parts.shape[-1]
        profiles = np.zeros((*parts.shape[:2], angular_count(orders), parts.shape[2]))
        at = 0
        for order in orders:
            profiles[:, :, at] = (1 if order == 0 else 2) * turned[..., order].real
            if order:
                profiles[:, :, at + 1] = -2 * turned[..., order].imag
            at += 1 if order == 0 else 2
        coefficients = profiles @ self.splines.interpolation.T
        return np.ascontiguousarray(coefficients.reshape(*parts.shape[:2], -1).transpose(1, 2, 0))
