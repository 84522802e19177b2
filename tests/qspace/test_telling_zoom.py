"""Where a picture of a spectrum begins."""

from __future__ import annotations

import numpy as np

from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.qspace.view import telling_zoom


def waves(wavenumber: float, width: float) -> np.ndarray:
    y, x = np.mgrid[-64:64, -64:64]
    return np.exp(-(x**2 + y**2) / (2 * width**2)) * np.cos(wavenumber * np.hypot(x, y))


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
    kernel = waves(0.5, 16)
    magnitude = fft_magnitude(kernel, "hann")
    assert telling_zoom(kernel) == 4 and share_within(magnitude, 16) >= 0.999 > share_within(magnitude, 8)
    faster = waves(1.2, 16)
    assert telling_zoom(faster) == 2 and share_within(fft_magnitude(faster, "hann"), 16) < 0.999


def test_steps_at_the_edges_count_for_nothing():
    kernel = waves(0.5, 16) + 0.2 * np.linspace(-1, 1, 128)[:, None]
    assert share_within(fft_magnitude(kernel), 16) < 0.999, "the slope does send lines through all of q-space"
    assert telling_zoom(kernel) == 4


def test_noise_and_a_small_kernel_are_shown_whole():
    assert telling_zoom(np.random.default_rng(0).standard_normal((64, 64))) == 1
    assert telling_zoom(np.ones((12, 12))) == 1
