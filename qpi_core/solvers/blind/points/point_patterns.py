"""The patterns of single defects between pixels, and how they change where a defect moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from qpi_core.solvers.blind.start.filter_bank import wrapped

Array = NDArray[np.float64]

_MARGIN_PX = 8
"""Room for the tails of the band-limited interpolation."""


def point_patterns(kernels: NDArray[np.float32], positions: Array, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return pattern and derivatives of every defect on the map, (energies, 3, defects, height, width): A, dA/dx, dA/dy.

    Args:
        kernels: (energies, side, side), centre in the middle.
        positions: (n, 2) defects (x, y) in px, fractions allowed; the derivatives are by them.
        shape: (height, width).
    """
    whole = np.rint(positions).astype(int)
    shifted = _shifted(kernels, positions - whole)
    reach = shifted.shape[-1] // 2
    height, width = shape
    found = np.zeros((len(kernels), 3, len(positions), height, width), dtype=np.float32)
    for number, (column, row) in enumerate(whole):
        top, bottom = max(0, row - reach), min(height, row + reach + 1)
        left, right = max(0, column - reach), min(width, column + reach + 1)
        window = shifted[:, :, number, top - row + reach : bottom - row + reach, left - column + reach : right - column + reach]
        found[:, :, number, top:bottom, left:right] = window
    return found


def _shifted(kernels: NDArray[np.float32], fractions: Array) -> NDArray[np.float32]:
    """Return kernels moved by fractions of a pixel and their derivatives, (energies, 3, defects, side, side)."""
    side = kernels.shape[-1]
    period = fft.next_fast_len(side + 2 * _MARGIN_PX, real=True)
    down, across = fft.fftfreq(period), fft.rfftfreq(period)
    if period % 2 == 0:
        down[period // 2] = across[-1] = 0.0
    spectra = fft.rfft2(wrapped(kernels, (period, period)))
    ramps = np.exp(-2j * np.pi * (fractions[:, 1, None, None] * down[:, None] + fractions[:, 0, None, None] * across)).astype(np.complex64)
    # A pattern that is moved by r is A(p - r): its derivative by r is minus that by p.
    slopes = np.stack([np.ones((period, len(across))), -2j * np.pi * across + 0 * down[:, None], -2j * np.pi * down[:, None] + 0 * across])
    moved = spectra[:, None, None] * slopes.astype(np.complex64)[:, None] * ramps
    images = np.asarray(fft.irfft2(moved, s=(period, period)), dtype=np.float32)
    half = side // 2
    return np.roll(images, (half, half), axis=(-2, -1))[..., :side, :side]
