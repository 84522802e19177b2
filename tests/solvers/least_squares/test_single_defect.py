"""One defect: held-out pixels cannot judge, the likelihood does. Against the explicit likelihood, and the map itself."""

import numpy as np
import pytest
from scipy.stats import norm

from qpi_core.solvers.least_squares.single_defect import is_one_place, likeliest_envelope
from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov
from qpi_core.solvers.refined.refined import Prior, nothing_known, solve_refined


def pattern(dx, dy):
    """A kernel with no symmetry at all."""
    return np.exp(-(dx**2 + dy**2) / 40) * np.cos(0.7 * dx - 0.35 * dy + 0.4) + 0.4 * np.exp(-((dx + 5) ** 2 + (dy - 3) ** 2) / 5)


def one_defect_map(x, y, noise, shape=(64, 60)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    clean = pattern(columns - x, rows - y)
    sigma = noise * clean.std()
    return clean + sigma * np.random.default_rng(3).standard_normal(shape), sigma


def true_kernel(size):
    offset = np.arange(size) - size // 2
    return pattern(*np.meshgrid(offset, offset))


def test_positions_at_one_place():
    assert is_one_place(np.array([[3.0, 4.0]])) and is_one_place(np.array([[3.0, 4.0], [3.3, 4.3]]))
    assert not is_one_place(np.array([[3.0, 4.0], [3.0, 4.6]]))


def test_the_gain_is_the_log_likelihood_ratio_of_independent_normal_pixels():
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(9, 8)).astype(np.float32), np.ones((9, 8), np.float32)
    mask[2, 3] = 0
    values[4, 4] = 9.0
    found = likeliest_envelope(values, mask, np.array([4.2, 3.9]), 1.5, 7, [1.0, 2.0], [0.05, 0.5])
    rows, columns = np.mgrid[:9, :8]
    dx, dy = columns - 4.2, rows - 3.9
    envelope = np.where(np.maximum(abs(dx), abs(dy)) <= 3, np.exp(-(dx**2 + dy**2) / (2 * found.width**2)), 0)
    deviation = np.sqrt(found.variance * (1 + (1.5 * envelope) ** 2 / found.strength))[mask > 0]
    seen = values[mask > 0]
    expected = norm.logpdf(seen, 0, deviation).sum() - norm.logpdf(seen, 0, np.sqrt(np.mean(seen**2))).sum()
    assert found.gain == pytest.approx(expected, rel=1e-4) and found.gain > 0


@pytest.mark.parametrize(("x", "y"), [(30, 33), (30.5, 33.5), (30.5, 33)])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_one_defect_gives_its_surroundings(x, y, noise):
    observation, sigma = one_defect_map(x, y, noise)
    solution = solve_tikhonov(observation + 4, np.array([[x, y]]), 32)
    truth = true_kernel(32)
    assert np.linalg.norm(solution.kernel - truth) < (0.02 + 0.35 * noise) * np.linalg.norm(truth)
    assert solution.noise_sigma == pytest.approx(sigma, rel=0.15)


def test_one_defect_in_the_corner_is_not_flattened():
    observation, _ = one_defect_map(59, 63, 0.05)
    kernel = solve_tikhonov(observation, np.array([[59.0, 63.0]]), 32).kernel
    seen = (slice(0, 17), slice(0, 17))
    assert np.linalg.norm((kernel - true_kernel(32))[seen]) < 0.1 * np.linalg.norm(true_kernel(32)[seen])


def test_a_wrong_prior_of_one_defect_is_corrected_and_a_right_one_is_not():
    observation, sigma = one_defect_map(30, 33, 0.05)
    positions = np.array([[30.0, 33.0]])
    nothing = Prior("none", nothing_known(observation, 32), 1.0)
    solution = solve_refined(observation, positions, 32, [nothing])
    truth = true_kernel(32)
    assert solution.details["correction"] == "solved"
    assert np.linalg.norm(solution.kernel - truth) < 0.05 * np.linalg.norm(truth)
    assert solution.noise_sigma == pytest.approx(sigma, rel=0.15)
    noise = np.random.default_rng(1).standard_normal((64, 60))
    assert solve_refined(noise, positions, 32, [Prior("none", nothing_known(noise, 32), 1.0)]).details["correction"] == "none"
