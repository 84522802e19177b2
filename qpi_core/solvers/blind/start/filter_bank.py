"""Banks of filters with one rotation symmetry: radial B-splines times the angular orders 0, n, 2 n, ...

A kernel with n-fold symmetry about its defect lies in such a bank, and so does the filter that inverts it, with the same centre:
its output on the map is the activation map, and there is no shift to be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]

_PX_AN_ORDER, _ALWAYS = 1 / 3, 6
"""Radius in px that each angular order needs, for a ring of radius r has about 2 pi r pixels; the lowest orders keep their centre."""


@dataclass(frozen=True)
class BankShape:
    """What a bank of filters holds.

    Attributes:
        symmetry_order: n; 0 is round, 1 is no symmetry.
        radius: of the outermost spline's centre, px.
        step: distance of the splines' centres, px.
        multiples: the angular orders are 0, n, ..., multiples n.
        spot: also the defect's own pixel, and all that is close to it: what a kernel has there need not go on smoothly.
    """

    symmetry_order: int
    radius: float
    step: float
    multiples: int
    spot: bool = False

    @property
    def orders(self) -> tuple[int, ...]:
        """The angular orders."""
        return (0,) if self.symmetry_order == 0 else tuple(self.symmetry_order * k for k in range(self.multiples + 1))


class FilterBank:
    """The filters of a bank and their transforms for maps of one shape.

    Attributes:
        filters: (count, side, side) float32, centre in the middle of an odd side.
        radii: (count,) centre of each filter's radial spline, px.
        profiles: (count,) which angular function each belongs to.
    """

    def __init__(self, bank: BankShape, shape: tuple[int, int]) -> None:
        """Prepare the bank for maps of (height, width) pixels."""
        self.bank, self.shape = bank, shape
        self.half = int(min(bank.radius + 2 * bank.step, max(shape) - 1))
        self.filters, self.radii, self.profiles = _evaluate(bank, self.half)
        self.period = padded_period(shape, self.half)
        self._transforms = fft.rfft2(wrapped(self.filters, self.period))

    @property
    def count(self) -> int:
        """Number of filters."""
        return len(self.filters)

    def responses(self, layer: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the correlation of every filter with a layer, (count, height * width); zero is assumed beyond the map."""
        return self._filtered(self._transforms.conj() * fft.rfft2(layer, s=self.period))

    def superpositions(self, activation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every filter * M for an activation map M (height, width): (count, height * width)."""
        return self._filtered(self._transforms * fft.rfft2(activation, s=self.period))

    def superpositions_at(self, positions: Array, weights: Array) -> NDArray[np.float32]:
        """Return the same for defects between pixels, positions (n, 2) as (x, y) in px, by phase ramps."""
        return self._filtered(self._transforms * ramps(positions, weights, self.period))

    def kernel(self, coefficients: Array) -> Array:
        """Return sum_i c_i filter_i, (..., side, side), for coefficients (..., count)."""
        return np.asarray(np.tensordot(coefficients, self.filters.astype(np.float64), axes=1))

    def gram(self) -> Array:
        """Return the scalar products of the filters, (count, count): the covariance of their responses to white noise."""
        flat = self.filters.reshape(self.count, -1).astype(np.float64)
        return np.asarray(flat @ flat.T)

    def _filtered(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        height, width = self.shape
        return np.asarray(fft.irfft2(spectra, s=self.period)[:, :height, :width]).reshape(self.count, -1)


def padded_period(shape: tuple[int, int], half: int) -> tuple[int, int]:
    """Return the period of transforms with which kernels of half a side `half` do not wrap around into the map."""
    rows, columns = (max(fft.next_fast_len(side + half, real=True), 2 * half + 1) for side in shape)
    return rows, columns


def wrapped(windows: NDArray[np.float32], period: tuple[int, int]) -> NDArray[np.float32]:
    """Return windows (..., side, side) on a periodic grid, their centre at index 0."""
    half = windows.shape[-1] // 2
    grid = np.zeros((*windows.shape[:-2], *period), dtype=np.float32)
    places = np.arange(-half, half + 1)
    grid[..., (places % period[0])[:, None], places % period[1]] = windows
    return grid


def ramps(positions: Array, weights: Array, period: tuple[int, int]) -> NDArray[np.complex64]:
    """Return the transform of weighted points between pixels, in the layout of rfft2."""
    rows = np.exp(-2j * np.pi * fft.fftfreq(period[0])[:, None] * positions[:, 1])
    columns = np.exp(-2j * np.pi * fft.rfftfreq(period[1])[:, None] * positions[:, 0])
    for ramp, side, index in ((rows, period[0], period[0] // 2), (columns, period[1], period[1] // 2)):
        if side % 2 == 0:
            ramp[index] = ramp[index].real
    return np.asarray((rows * weights) @ columns.T, dtype=np.complex64)


def _evaluate(bank: BankShape, half: int) -> tuple[NDArray[np.float32], Array, NDArray[np.intp]]:
    """Return filters, the centres of their splines, and which angular function each belongs to."""
    x, y = np.meshgrid(*2 * (np.arange(-half, half + 1.0),))
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    centres = np.arange(0, bank.radius + 1e-6, bank.step)
    splines = _cubic(np.abs(radius - centres[:, None, None]) / bank.step) * (radius < half + 0.5)
    filters, radii, profiles = [], [], []
    for order in bank.orders:
        angular = [np.ones_like(angle)] if order == 0 else [np.cos(order * angle), np.sin(order * angle)]
        for number, function in enumerate(angular):
            # Only the constant is defined at the centre itself.
            shaped = function if order == 0 else np.where(radius == 0, 0.0, function)
            kept = centres >= (order * _PX_AN_ORDER if order > _ALWAYS or not bank.spot else 0)
            filters.append((splines[kept] * shaped).astype(np.float32))
            radii.append(centres[kept])
            profiles.append(np.full(int(kept.sum()), 2 * order + number))
    if bank.spot:
        filters.append((radius == 0).astype(np.float32)[None])
        radii.append(np.zeros(1))
        profiles.append(np.array([-1]))
    return np.concatenate(filters), np.concatenate(radii), np.concatenate(profiles)


def _cubic(distance: Array) -> Array:
    """Return the cubic B-spline at a distance from its centre in units of the knots' distance."""
    inner, outer = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
    return np.asarray(np.where(distance < 1, inner, np.where(distance < 2, outer, 0.0)))
