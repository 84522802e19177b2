"""Eq. 7 against its own formula and symmetries."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.kernel_families.equation_7 import (
    SYMMETRY_ORDERS,
    KernelParameters,
    draw_kernel_parameters,
    equation_7,
    phenomenological_kernel,
)
from qpi_core.synthesis.kernel_families.harmonic_patterns import draw_harmonic_pattern


@pytest.mark.parametrize("order", SYMMETRY_ORDERS)
@pytest.mark.parametrize("size", [15, 64])
def test_equals_the_formula_pixel_by_pixel(order, size):
    kernel = phenomenological_kernel(order, 0.4, 2.5, 0.7, 0.2, size=size, pixel_size_nm=(0.1, 0.2))
    for row in range(0, size, 7):
        for column in range(0, size, 5):
            y, x = (row - size // 2) * 0.1, (column - size // 2) * 0.2
            r, theta = np.sqrt(x * x + y * y), np.arctan2(y, x)
            expected = np.sin(order / 2 * theta + 0.4) ** 2 * np.sin(2.5 * r + 0.7) ** 2 * np.exp(-0.2 * r * r)
            assert kernel[row, column] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_turning_by_the_symmetry_angle_changes_nothing_and_by_half_of_it_does(order):
    rng = np.random.default_rng(0)
    radius, angle = rng.uniform(0.2, 4, 200), rng.uniform(0, 2 * np.pi, 200)

    def at(turn):
        return equation_7(radius * np.cos(angle + turn), radius * np.sin(angle + turn), order, 0.3, 2.0, 0.5, 0.1)

    np.testing.assert_allclose(at(2 * np.pi / order), at(0), atol=1e-10)
    assert np.abs(at(np.pi / order) - at(0)).max() > 0.1


def test_orientation_and_phase_have_period_pi():
    base = phenomenological_kernel(3, 0.4, 2.0, 0.7, 0.2, size=21)
    shifted = phenomenological_kernel(3, 0.4 + np.pi, 2.0, 0.7 - np.pi, 0.2, size=21)
    np.testing.assert_allclose(shifted, base, atol=1e-6)


def test_the_ring_of_the_spectrum_lies_at_twice_the_wavenumber():
    kernel = phenomenological_kernel(0, np.pi / 2, 3.0, np.pi / 2, 0.1, size=129, pixel_size_nm=0.1)
    spectrum = np.abs(np.fft.fft(kernel[64] - kernel[64].mean()))[:64]
    q = 2 * np.pi * np.fft.fftfreq(129, 0.1)[:64]
    assert q[q > 3][spectrum[q > 3].argmax()] == pytest.approx(6.0, abs=0.3)


def test_draws_follow_the_protocol_and_the_seed():
    drawn = [draw_kernel_parameters(np.random.default_rng([5, i])) for i in range(300)]
    again = [draw_kernel_parameters(np.random.default_rng([5, i])) for i in range(300)]
    assert drawn == again
    assert {p.symmetry_order for p in drawn} == set(SYMMETRY_ORDERS)
    assert all(1.5 <= p.wavenumber <= 6 and 0.08 <= p.decay <= 0.6 and 0 <= p.phase < np.pi for p in drawn)
    assert all(p.orientation == np.pi / 2 for p in drawn if p.symmetry_order == 0)
    assert np.median([p.decay for p in drawn]) == pytest.approx(np.sqrt(0.08 * 0.6), rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"symmetry_order": 2.5}, "symmetry_order"),
        ({"symmetry_order": -1}, "symmetry_order"),
        ({"decay": 0.0}, "decay"),
        ({"wavenumber": -1.0}, "wavenumber"),
        ({"phase": np.nan}, "phase"),
        ({"size": 0}, "size"),
        ({"size": 10**7}, "size"),
        ({"pixel_size_nm": -0.1}, "pixel_size_nm"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, word):
    with pytest.raises(InputError, match=word):
        phenomenological_kernel(**arguments)


def test_a_mapping_with_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="kernel_parameters"):
        KernelParameters.coerce({"wavelength": 3})


def test_harmonic_patterns_are_signed_and_have_their_symmetry():
    signs, turned = [], 0
    for index in range(40):
        pattern = draw_harmonic_pattern(np.random.default_rng([1, index]))
        radius, angle = np.random.default_rng(index).uniform(0.2, 2, 50), np.random.default_rng(index).uniform(0, 6.3, 50)
        values = pattern(radius * np.cos(angle), radius * np.sin(angle))
        signs.append((values.min() < 0) and (values.max() > 0))
        if pattern.symmetry_order > 1:
            step = 2 * np.pi / pattern.symmetry_order
            np.testing.assert_allclose(pattern(radius * np.cos(angle + step), radius * np.sin(angle + step)), values, atol=1e-9)
            turned += 1
    assert sum(signs) > 20 and turned > 10
