"""The pieces of a start: whitening, skewed directions, the cut of the peaks, and the likelihood of the power spectrum."""

import numpy as np

from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.independent_components import FixedPoint, distinct, skewed_directions
from qpi_core.solvers.blind.start.peak_threshold import cut_activation, cut_peaks
from qpi_core.solvers.blind.start.self_training import SelfTraining
from qpi_core.solvers.blind.start.spectral_start import WhittleLikelihood, tukey
from qpi_core.solvers.blind.start.whitening import WhiteningRule, whitening_matrix


def test_whitened_responses_have_covariance_one_and_leave_noise_out():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((12, 12))
    noise = mixing @ mixing.T
    signal = rng.standard_normal((12, 2)) * 30
    covariance = noise + signal @ signal.T
    matrix = whitening_matrix(covariance, noise, WhiteningRule(most=5))
    np.testing.assert_allclose(matrix.T @ covariance @ matrix, np.eye(matrix.shape[1]), atol=1e-8)
    assert matrix.shape[1] == 4, "two directions above the noise, and never fewer than four"
    kept = matrix.T @ signal
    np.testing.assert_allclose(np.linalg.norm(kept), np.sqrt(2), rtol=0.01)


def test_the_skewed_source_is_found_with_its_sign():
    rng = np.random.default_rng(1)
    sources = rng.standard_normal((4, 4000))
    sources[2] = (rng.random(4000) < 0.03) / np.sqrt(0.03 * 0.97)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    directions, skewness = skewed_directions((turn @ sources).astype(np.float32), FixedPoint(), rng)
    best = directions[np.argmax(skewness)] @ turn
    assert best[2] > 0.99


def test_twins_are_left_out():
    one, other = np.random.default_rng(2).standard_normal((2, 500)).astype(np.float32)
    assert distinct(np.stack([one, other, one + 0.1 * other]), np.array([3.0, 1.0, 2.0]), 3) == [0, 1]


def test_the_cut_keeps_the_upper_class():
    rng = np.random.default_rng(3)
    response = np.abs(rng.normal(0, 0.1, (60, 60))).astype(np.float32)
    places = [(5 + 9 * row, 4 + 9 * column) for row in range(6) for column in range(6)]
    for place in places:
        response[place] = rng.normal(1.0, 0.1)
    assert sorted(zip(*np.nonzero(cut_peaks(response, 200)), strict=True)) == places


def test_a_defect_spread_over_two_pixels_counts_with_both():
    activation = np.zeros((40, 40), dtype=np.float32)
    for number in range(6):
        activation[5 + 5 * number, 10] = 1
        activation[5 + 5 * number, 25:27] = (0.55, 0.45)
    rng = np.random.default_rng(4)
    activation[rng.integers(0, 40, 30), rng.integers(30, 40, 30)] = 0.05
    assert cut_activation(activation, 100).sum() == 12


def test_self_training_completes_a_list_from_its_own_filter():
    rng = np.random.default_rng(5)
    activation = np.zeros((48, 48), dtype=np.float32)
    activation.ravel()[rng.choice(48 * 48, 30, replace=False)] = 1
    bank = FilterBank(BankShape(0, 8.0, 1.0, 1), (48, 48))
    kernel = np.tensordot(np.exp(-0.5 * bank.radii) * np.cos(bank.radii), bank.filters, axes=1)
    layer = np.zeros((48 + 2 * bank.half,) * 2)
    for row, column in zip(*np.nonzero(activation), strict=True):
        layer[row : row + len(kernel), column : column + len(kernel)] += kernel
    layer = layer[bank.half : -bank.half, bank.half : -bank.half].astype(np.float32)
    layer -= layer.mean()
    rich = FilterBank(BankShape(0, 20.0, 1.0, 1), (48, 48))
    responses = rich.responses(layer)
    training = SelfTraining(responses - responses.mean(axis=1, keepdims=True), (48, 48))
    some = activation * (rng.random((48, 48)) < 0.6)
    assert some.sum() < 22
    trained = training.trained(some.astype(np.float32), 100)
    assert np.sum(trained * activation) >= 27 and np.sum(trained * (1 - activation)) <= 3


def test_the_slope_of_the_likelihood_is_that_of_its_values():
    rng = np.random.default_rng(6)
    layer = rng.standard_normal((20, 24)).astype(np.float32)
    likelihood = WhittleLikelihood(FilterBank(BankShape(3, 5.0, 1.0, 1), (20, 24)), layer, np.ones((20, 24), dtype=bool), 0.1)
    at = 0.3 * rng.standard_normal(len(likelihood._transforms))
    _, slope = likelihood._value_and_slope(at)
    for number in rng.choice(len(at), 6, replace=False):
        ahead, behind = (at + sign * 1e-5 * (np.arange(len(at)) == number) for sign in (1, -1))
        difference = (likelihood._value_and_slope(ahead)[0] - likelihood._value_and_slope(behind)[0]) / 2e-5
        np.testing.assert_allclose(slope[number], difference, rtol=1e-4, atol=1e-4)


def test_the_window_of_the_power_falls_off_at_both_ends_alike():
    window = tukey(20, 0.15)
    np.testing.assert_array_equal(window, window[::-1])
    assert window[0] < 0.2 and np.all(window[3:-3] == 1)
