"""A stretched kernel under a background and streaks: the noise model does not hide the stretch."""

import numpy as np
import pytest

from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.harmonic.frame import stretch_matrix
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from tests.solvers.harmonic.stretched_patterns import noisy_map, on_window, stretched_pattern

SHAPE, SIZE = (48, 56), 28


def solved(numbers):
    """Return the estimate and the true kernel of a map with a background as strong as the kernels' pattern."""
    rng = np.random.default_rng(21)
    points = rng.uniform(0, 1, (16, 2)) * [SHAPE[1] - 1, SHAPE[0] - 1]
    kernel = stretched_pattern(4, numbers)
    clean = noisy_map([kernel], [points], SHAPE, 0.15, rng)
    observation = clean + clean.std() * draw_background(SmoothBackground(1.0), SHAPE, rng).astype(np.float32)
    return Extractor("none", device="cpu").extract(observation, points, "harmonic", SIZE), on_window(kernel, SIZE)


@pytest.mark.slow
def test_the_stretch_is_found_beside_the_background():
    numbers = np.array([0.05, -0.03])
    estimate, truth = solved(numbers)
    assert estimate.noise_model and estimate.background_map.std() > 0.1
    long, short = 1 / np.linalg.eigvalsh(stretch_matrix(numbers))
    ratio, deviation = estimate.parameters["stretch_ratio"]
    assert abs(ratio - long / short) < 4 * deviation < 0.05
    assert np.sqrt(np.mean((estimate.kernel - truth) ** 2)) < 0.02 * np.ptp(truth)


@pytest.mark.slow
def test_a_round_kernel_stays_round_beside_a_background():
    estimate, _ = solved(np.zeros(2))
    assert estimate.noise_model and "stretch_ratio" not in estimate.parameters and estimate.symmetry_order == 4
