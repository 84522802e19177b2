"""Wave vectors that stay where they are are named, waves of a band are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hankel1

from qpi_core.base.errors import InputError
from qpi_core.qspace.dispersion.set_point import check_set_point
from qpi_core.synthesis.bands.band_structures import surface_state_wavenumber

PITCH, SIZE = 0.3, 64
ENERGIES = np.linspace(-20.0, 160.0, 10)


def wave(k: float) -> np.ndarray:
    line = PITCH * (np.arange(SIZE) - SIZE // 2)
    r = np.hypot(np.hypot(line[:, None], line), PITCH / 2)
    return -np.imag(np.exp(-1.2j) * hankel1(0, k * r) ** 2) * np.exp(-r / 8) * k


def kernels(seed: int, standing: float | None, noise: float = 0.03) -> np.ndarray:
    """A band's waves, and on top one that does not change."""
    rng = np.random.default_rng(seed)
    band = np.stack([wave(k) for k in surface_state_wavenumber(ENERGIES)])
    fixed = 0.0 if standing is None else 1.5 * wave(standing / 2)
    return band + fixed + noise * rng.standard_normal(band.shape)


@pytest.mark.parametrize("seed", range(5))
def test_a_band_alone_names_nothing_and_so_does_noise(seed):
    assert not check_set_point(kernels(seed, None), ENERGIES, PITCH).found
    noise = np.random.default_rng(seed).standard_normal((10, SIZE, SIZE))
    assert not check_set_point(noise, ENERGIES, PITCH).found


@pytest.mark.parametrize("seed", range(5))
def test_a_wave_that_stands_still_is_named_with_the_channels_that_have_it(seed):
    rng = np.random.default_rng([seed, 1])
    height = 1.5 * wave(2.5) + 0.03 * rng.standard_normal((1, SIZE, SIZE))
    current = 0.03 * rng.standard_normal((10, SIZE, SIZE))
    found = check_set_point(kernels(seed, 5.0), ENERGIES, PITCH, {"height": height, "current": current})
    assert [one.q for one in found.found] == [pytest.approx(5.0, abs=0.35)]
    assert found.found[0].elsewhere == ("height",) and "kernels of height" in found.sentences[0]
    alone = check_set_point(kernels(seed, 5.0), ENERGIES, PITCH)
    assert "kernels of current and height would tell" in alone.sentences[0]


def test_bad_input_gets_a_sentence():
    with pytest.raises(InputError, match="at least 4 layers"):
        check_set_point(kernels(0, None)[:3], ENERGIES[:3], PITCH)
    with pytest.raises(InputError, match="as many rings"):
        check_set_point(kernels(0, None), ENERGIES, PITCH, {"height": np.ones((1, 20, 20))})
