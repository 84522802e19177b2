"""The whole map's spectrum against an explicit sum, and what random positions do to it."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.map_spectrum import coarser, map_spectrum, structure_factor
from qpi_core.qspace.spectra import fft_magnitude, kernel_window


def ring_kernel(size: int, q: float = 0.9) -> np.ndarray:
    offset = np.arange(size) - size // 2
    radius = np.hypot(offset[:, None], offset[None, :])
    return np.cos(q * radius) * np.exp(-(radius**2) / 60)


def place(kernel: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whole kernels on a torus, so that nothing is lost at the edges."""
    total = np.zeros(shape)
    half = kernel.shape[0] // 2
    rows, columns = np.indices(kernel.shape) - half
    for x, y in positions.astype(int):
        np.add.at(total, ((rows + y) % shape[0], (columns + x) % shape[1]), kernel)
    return total


def test_one_defect_gives_the_kernels_power():
    kernel = ring_kernel(32)
    spectrum = map_spectrum(place(kernel, np.array([[10, 20]]), (32, 32)), [1.0], 0.2)
    expected = fft_magnitude(kernel) ** 2
    expected[16, 16] = 0
    np.testing.assert_allclose(spectrum.power, expected, atol=1e-3)
    assert spectrum.q_step == pytest.approx((2 * np.pi / 6.4,) * 2) and spectrum.noise_power_per_variance == 32 * 32


@pytest.mark.parametrize("window", ["none", "hann"])
def test_white_noise_has_the_level_that_is_said(window):
    noise = 3.0 * np.random.default_rng(1).normal(size=(150, 120))
    noise[:20, :30] = np.nan
    weights = [1.0, 2.0]
    spectrum = map_spectrum(noise, weights, window=window)
    assert spectrum.noise_power_per_variance == pytest.approx((150 * 120 - 600) / 5)
    assert spectrum.power.mean() == pytest.approx(9.0 * spectrum.noise_power_per_variance, rel=0.03)


def test_random_positions_are_speckle_about_the_kernel():
    rng = np.random.default_rng(2)
    kernel = ring_kernel(32)
    positions = rng.integers(0, 128, (60, 2))
    spectrum = map_spectrum(place(kernel, positions, (128, 128)), np.ones(60))
    padded = fft_magnitude(kernel, padded_size=128) ** 2
    seen = padded > 0.05 * padded.max()
    seen[64, 64] = False
    ratio = spectrum.power[seen] / padded[seen]
    assert ratio.mean() == pytest.approx(1, abs=0.15) and ratio.std() == pytest.approx(1, abs=0.2)
    # The same ratio follows from the positions alone.
    rows, columns = np.nonzero(seen)
    waves = 2 * np.pi * np.stack([columns - 64, rows - 64], axis=1) / 128
    np.testing.assert_allclose(structure_factor(positions, np.ones(60), waves), ratio, atol=1e-3)


def test_structure_factor_is_the_explicit_sum():
    rng = np.random.default_rng(3)
    positions, weights, waves = rng.uniform(0, 50, (7, 2)), rng.uniform(0.5, 2, 7), rng.normal(size=(5, 2))
    for wave, value in zip(waves, structure_factor(positions, weights, waves), strict=True):
        total = sum(w * np.exp(-1j * (wave[0] * x + wave[1] * y)) for w, (x, y) in zip(weights, positions, strict=True))
        assert value == pytest.approx(abs(total) ** 2 / (weights**2).sum())


@pytest.mark.parametrize("shape", [(64, 64), (65, 100), (40, 201), (12, 13)])
def test_blocks_are_centred_on_zero(shape):
    rows, columns = (np.arange(side) - side // 2 for side in shape)
    plane = rows[:, None] * 1.0 + 1000.0 * columns[None, :]
    smaller, step = coarser(plane, (0.1, 0.2), 20)
    assert max(smaller.shape) <= 20
    expected = (np.arange(smaller.shape[0]) - smaller.shape[0] // 2) * (step[0] / 0.1)
    np.testing.assert_allclose(smaller[:, smaller.shape[1] // 2], expected, atol=1e-9)
    assert smaller[smaller.shape[0] // 2, -1] == pytest.approx(1000 * (smaller.shape[1] - 1 - smaller.shape[1] // 2) * step[1] / 0.2)
    assert coarser(plane, (0.1, 0.2), 300)[0] is plane
    assert kernel_window(shape, "hann")[shape[0] // 2, shape[1] // 2] == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: map_spectrum(np.zeros((8, 8, 2)), [1.0]),
        lambda: map_spectrum(np.zeros((8, 8)), [0.0]),
        lambda: map_spectrum(np.zeros((8, 8)), [1.0], window="blackman"),
        lambda: structure_factor(np.zeros((2, 3)), [1.0, 1.0], np.zeros((4, 2))),
        lambda: structure_factor(np.zeros((2, 2)), [1.0], np.zeros((4, 2))),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call()
