"""The Green's-function kernel against its known far field and symmetry."""

import numpy as np
import pytest

from qpi_core.evaluation.benchmark.unusual_kernels import ParabolicBand, green_function_pattern


def test_far_field_is_friedels_oscillation():
    """H0(z) -> sqrt(2 / (pi z)) exp(i (z - pi/4)), so -Im[(-i/4)^2 H0^2 e^{id} sin d] / pi has a closed form far away."""
    k, shift = 4.0, 0.9
    pattern = green_function_pattern((ParabolicBand(k, 1e9, shift),), tip_nm=0.0)
    r = np.linspace(30, 40, 200)
    expected = np.sin(shift) * np.sin(2 * k * r - np.pi / 2 + shift) * 2 / (np.pi * k * r) / (16 * np.pi)
    np.testing.assert_allclose(pattern(r, np.zeros_like(r)), expected, atol=0.01 * np.abs(expected).max())


def test_mean_free_path_damps_exponentially():
    endless, damped = (green_function_pattern((ParabolicBand(3.0, length, 1.2),), 0.0) for length in (1e9, 2.0))
    r = np.linspace(10, 12, 400)
    ratio = np.std(damped(r, 0 * r) * np.exp(r / 2.0) * r) / np.std(endless(r, 0 * r) * r)
    assert ratio == pytest.approx(1, rel=0.05)


def test_ellipse_scales_the_two_axes():
    round_band = green_function_pattern((ParabolicBand(3.0, 1e9, 1.0),), 0.0)
    elliptic = green_function_pattern((ParabolicBand(3.0, 1e9, 1.0, ellipticity=1.44),), 0.0)
    r = np.linspace(1, 4, 50)
    np.testing.assert_allclose(elliptic(r, 0 * r), round_band(1.2 * r, 0 * r), atol=1e-12)
    np.testing.assert_allclose(elliptic(0 * r, r), round_band(r / 1.2, 0 * r), atol=1e-12)
