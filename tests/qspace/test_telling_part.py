"""Where a picture of a spectrum begins."""

from __future__ import annotations

import numpy as np

from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.qspace.telling_part import telling_zoom


def share_within(magnitude: np.ndarray, reach: int) -> float:
    """Sum the power pixel by pixel."""
    middle, inside, whole = magnitude.shape[0] // 2, 0.0, 0.0
    for row in range(magnitude.shape[0]):
        for column in range(magnitude.shape[0]):
            distance = max(abs(row - middle), abs(column - middle))
            if distance:
                whole += magnitude[row, column] ** 2
                inside += magnitude[row, column] ** 2 * (distance <= reach)
    return inside / whole


def test_the_part_holds_the_power_and_the_next_smaller_one_does_not():
    y, x = np.mgrid[-64:64, -64:64]
    magnitude = fft_magnitude(np.exp(-(x**2 + y**2) / 512) * np.cos(0.5 * np.hypot(x, y)))
    zoom = telling_zoom(magnitude)
    assert zoom == 4 and share_within(magnitude, 16) >= 0.999 > share_within(magnitude, 8)


def test_noise_a_constant_and_a_small_kernel_are_shown_whole():
    assert telling_zoom(fft_magnitude(np.random.default_rng(0).standard_normal((64, 64)))) == 1
    assert telling_zoom(fft_magnitude(np.zeros((33, 33)))) <= 2
    assert telling_zoom(fft_magnitude(np.ones((12, 12)))) == 1


def test_zero_padding_does_not_change_the_part():
    y, x = np.mgrid[-64:64, -64:64]
    kernel = np.exp(-(x**2 + y**2) / 512) * np.cos(0.5 * np.hypot(x, y))
    assert telling_zoom(fft_magnitude(kernel, padded_size=512), 4) == telling_zoom(fft_magnitude(kernel))
