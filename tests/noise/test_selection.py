"""The marginal likelihood finds what a map holds, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.noise.components import MixedModel
from qpi_core.noise.lattice_waves import find_lattice_waves
from qpi_core.noise.outliers import find_outliers
from qpi_core.noise.selection import SelectionOptions, fit_components, score_white_noise
from qpi_core.noise.stationary import StationaryParameters

SHAPE = (40, 48)
START = StationaryParameters(10.0, 12.0, 0.3, 0.3, 6.0)
KERNEL = np.zeros((*SHAPE, 1))


def drawn(seed: int, parameters: StationaryParameters) -> np.ndarray:
    """A map with exactly this covariance, by its Cholesky factor."""
    y, x = (grid.ravel() for grid in np.indices(SHAPE))
    down, across = np.abs(np.subtract.outer(y, y)), np.abs(np.subtract.outer(x, x))
    p = parameters
    matrix = np.eye(y.size) + p.background * np.exp(-(down**2 + across**2) / (2 * p.background_length**2))
    matrix += (down == 0) * (p.rows + p.streaks * np.exp(-across / p.streak_length))
    return (np.linalg.cholesky(matrix) @ np.random.default_rng(seed).normal(size=y.size)).reshape(SHAPE)


@pytest.mark.parametrize(
    "truth",
    [
        StationaryParameters(background=4.0, background_length=7.0),
        StationaryParameters(rows=0.8),
        StationaryParameters(streaks=1.5, streak_length=4.0),
    ],
)
def test_the_term_that_is_there_is_found_with_its_size_and_no_other(truth: StationaryParameters) -> None:
    model = MixedModel(drawn(1, truth), (KERNEL,), (1.0, 1.0), 0.0)
    found = fit_components(model, START, (1.0,), SelectionOptions()).parameters
    for name in ("background", "rows", "streaks"):
        expected, value = getattr(truth, name), getattr(found, name)
        assert (value == 0) == (expected == 0), (name, found)
        assert expected == 0 or 0.4 < value / expected < 2.5
    if truth.background:
        assert found.background_length == pytest.approx(7.0, rel=0.25)


def test_white_noise_has_no_terms_and_no_score() -> None:
    least = 1.0
    for seed in range(12):
        values = np.random.default_rng(seed).normal(size=SHAPE)
        values -= values.mean()
        model = MixedModel(values, (KERNEL,), (1.0, 1.0), 0.0)
        least = min(least, *score_white_noise(model, values, 1.0, SelectionOptions()).values())
    assert least > SelectionOptions().probability
    assert fit_components(model, START, (1.0,), SelectionOptions()).parameters.white


def test_a_lattice_is_found_to_a_hundredth_of_a_pixel_of_its_spectrum_and_speckle_is_none() -> None:
    rng = np.random.default_rng(2)
    y, x = np.indices((64, 80))
    waves = [(1.21, 0.53), (-0.31, 1.44)]
    image = rng.normal(size=(64, 80)) + sum(0.4 * np.cos(q[0] * x + q[1] * y + 1.0) for q in waves)
    found = find_lattice_waves(image)
    assert len(found) == 2
    for wave in found:
        distance = min(min(np.hypot(*(np.array(wave.wave_vector) - s * np.array(q))) for s in (1, -1)) for q in waves)
        assert distance < 0.1 * 2 * np.pi / 80
        assert wave.amplitude == pytest.approx(0.4, rel=0.2)
    assert find_lattice_waves(rng.normal(size=(64, 80))) == ()


def test_spikes_are_found_and_spots_are_none() -> None:
    rng = np.random.default_rng(3)
    image = rng.normal(size=(50, 50))
    spikes = rng.permutation(2500)[:25]
    image.ravel()[spikes] += 10.0
    y, x = np.indices(image.shape)
    image += 8.0 * np.exp(-((x - 25) ** 2 + (y - 25) ** 2) / (2 * 2.0**2))
    image[3, 4] = np.nan
    found = find_outliers(image)
    away = np.hypot(x - 25, y - 25) > 5
    truth = np.zeros(2500, bool)
    truth[spikes] = True
    truth = truth.reshape(50, 50) & away & np.isfinite(image)
    assert np.mean(found[truth]) > 0.9
    assert (found & ~truth & away).sum() == 0
    assert (found & ~away).sum() <= 1
    assert not find_outliers(rng.normal(size=(50, 50))).any()
