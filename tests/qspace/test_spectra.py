"""Spectra against explicit sums and shapes with known transforms."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import WINDOWS, fft_magnitude, kernel_fft, kernel_window, line_cut, q_axes, radial_average


def explicit_dft(kernel: np.ndarray, pixel_size_nm: tuple[float, float]) -> np.ndarray:
    """Sum of A(d) exp(-i q d) with d from the centre pixel, one q after the other."""
    height, width = kernel.shape
    dy, dx = pixel_size_nm
    y = (np.arange(height) - height // 2) * dy
    x = (np.arange(width) - width // 2) * dx
    out = np.zeros(kernel.shape, dtype=complex)
    for row in range(height):
        for column in range(width):
            q_y = 2 * np.pi * (row - height // 2) / (height * dy)
            q_x = 2 * np.pi * (column - width // 2) / (width * dx)
            out[row, column] = np.sum(kernel * np.exp(-1j * (q_y * y[:, None] + q_x * x[None, :])))
    return out


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (6, 11)])
def test_transform_equals_the_explicit_sum(shape):
    kernel = np.random.default_rng(3).normal(size=shape)
    np.testing.assert_allclose(kernel_fft(kernel), explicit_dft(kernel, (0.2, 0.3)), atol=1e-10)


@pytest.mark.parametrize("size", [8, 9])
def test_padding_samples_the_same_function_more_finely(size):
    kernel = np.random.default_rng(4).normal(size=(size, size))
    padded_size = 4 * size + 1
    spectrum = kernel_fft(kernel, padded_size=padded_size)
    offset = np.arange(size) - size // 2
    for row, column in [(0, 0), (7, 20), (padded_size // 2, padded_size // 2)]:
        q_y, q_x = (2 * np.pi * (index - padded_size // 2) / padded_size for index in (row, column))
        expected = np.sum(kernel * np.exp(-1j * (q_y * offset[:, None] + q_x * offset[None, :])))
        assert spectrum[row, column] == pytest.approx(expected, abs=1e-10)


def test_even_kernel_has_a_real_transform():
    offset = np.arange(65) - 32
    kernel = np.exp(-(offset[:, None] ** 2 + 2 * offset[None, :] ** 2) / 50)
    assert np.abs(kernel_fft(kernel).imag).max() < 1e-10


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("side", [16, 17])
def test_windows_peak_on_the_centre_pixel_and_are_even_about_it(window, side):
    values = kernel_window((side, side), window)
    assert values[side // 2, side // 2] == pytest.approx(1.0)
    assert values.max() <= 1 + 1e-12
    for distance in range(1, (side - 1) // 2 + 1):
        assert values[side // 2 + distance, side // 2] == pytest.approx(values[side // 2 - distance, side // 2])
    if window == "hann":
        assert values[side // 2 + 4, side // 2] == pytest.approx(np.cos(np.pi * 4 / (side if side % 2 == 0 else side - 1)) ** 2)


def test_ring_of_equation_7_lies_at_twice_the_wavenumber():
    pitch, wavenumber = 10 / 64, 4.0
    offset = (np.arange(64) - 32) * pitch
    radius = np.hypot(offset[:, None], offset[None, :])
    kernel = np.sin(wavenumber * radius) ** 2 * np.exp(-0.1 * radius**2)
    profile = radial_average(fft_magnitude(kernel, "hann", 256), pitch)
    beyond = profile.q > 4
    assert profile.q[beyond][np.argmax(profile.values[beyond])] == pytest.approx(2 * wavenumber, abs=0.4)


def test_radial_average_of_a_function_of_the_radius():
    for shape, pitch in [((64, 64), (0.2, 0.2)), ((65, 65), (0.2, 0.2)), ((64, 48), (0.2, 0.25))]:
        q_y, q_x = q_axes(shape, pitch)
        profile = radial_average(np.hypot(q_y[:, None], q_x[None, :]), pitch)
        step = profile.q[1]
        assert np.abs(profile.values - profile.q).max() < 0.5 * step
        assert profile.values[0] == 0
        assert profile.q[-1] <= np.pi / max(pitch) + 1e-9


def test_q_axes_include_two_pi():
    q_y, q_x = q_axes((64, 32), (0.1, 0.2))
    assert q_y[32] == 0 and q_x[16] == 0
    assert q_y[0] == pytest.approx(-np.pi / 0.1)
    assert q_x[1] - q_x[0] == pytest.approx(2 * np.pi / (32 * 0.2))


def test_line_cut_of_a_plane_is_linear_in_q():
    shape, pitch = (40, 50), (0.2, 0.15)
    q_y, q_x = q_axes(shape, pitch)
    plane = 2 * q_x[None, :] + 3 * q_y[:, None] + 1
    for angle in (0.0, 0.7, np.pi / 2, 2.5):
        cut = line_cut(plane, pitch, angle=angle, width=2.0)
        measured = np.isfinite(cut.values)
        assert measured.sum() > 10
        np.testing.assert_allclose(cut.values[measured], (cut.q * (2 * np.cos(angle) + 3 * np.sin(angle)) + 1)[measured], atol=1e-9)
        single = line_cut(plane, pitch, angle=angle)
        assert np.isfinite(single.values).all()


def test_line_cut_along_the_rows_reads_the_pixels():
    values = np.random.default_rng(5).normal(size=(32, 32))
    cut = line_cut(values, 0.2, angle=0.0)
    np.testing.assert_allclose(cut.values, values[16, 1:], atol=1e-12)
    downwards = line_cut(values, 0.2, angle=np.pi / 2)
    np.testing.assert_allclose(downwards.values, values[1:, 16], atol=1e-9)


def test_width_averages_parallel_lines():
    values = np.random.default_rng(6).normal(size=(32, 32))
    step = 2 * np.pi / (32 * 0.2)
    cut = line_cut(values, 0.2, angle=0.0, width=2 * step)
    np.testing.assert_allclose(cut.values, values[15:18, 1:].mean(axis=0), atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernel_fft(np.zeros((4, 4)), window="blackman"),
        lambda: kernel_fft(np.zeros((4, 4)), padded_size=3),
        lambda: kernel_fft(np.zeros((4, 4)), padded_size=10**9),
        lambda: kernel_fft(np.zeros((4, 4, 2))),
        lambda: kernel_fft(np.full((4, 4), np.nan)),
        lambda: kernel_fft(np.array([["a", "b"], ["c", "d"]])),
        lambda: radial_average(np.zeros((4, 4)), 0.0),
        lambda: line_cut(np.zeros((4, 4)), 0.1, angle=np.nan),
        lambda: line_cut(np.zeros((4, 4)), 0.1, width=-1.0),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call()
