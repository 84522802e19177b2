"""Errors against sums written out, known statistics, and inputs that must be refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpi_core.evaluation.metrics import bootstrap_interval, cosine, coverage, fft_correlation, grouped_bootstrap_interval, kernel_errors

RNG = np.random.default_rng(5)
TRUTH = RNG.uniform(-2, 6, (7, 7))
ESTIMATE = TRUTH + RNG.normal(0, 0.3, (7, 7))


def test_errors_against_explicit_sums():
    low, high = TRUTH.min(), TRUTH.max()
    absolute = squared = 0.0
    for row in range(7):
        for column in range(7):
            gap = (ESTIMATE[row, column] - low) / (high - low) - (TRUTH[row, column] - low) / (high - low)
            absolute += abs(gap) / 49
            squared += gap**2 / 49
    errors = kernel_errors(ESTIMATE, TRUTH)
    assert errors.mae == pytest.approx(absolute)
    assert errors.mse == pytest.approx(squared)
    assert errors.rmse == pytest.approx(squared**0.5)


def test_a_constant_offset_has_known_errors():
    errors = kernel_errors(TRUTH + 0.1 * np.ptp(TRUTH), TRUTH)
    assert (errors.mae, errors.mse, errors.rmse) == pytest.approx((0.1, 0.01, 0.1))


@given(st.floats(0.01, 1e3), st.floats(-1e3, 1e3))
def test_units_do_not_matter(scale, offset):
    first, second = kernel_errors(ESTIMATE, TRUTH), kernel_errors(scale * ESTIMATE + offset, scale * TRUTH + offset)
    assert second.rmse == pytest.approx(first.rmse, rel=1e-6)
    assert second.mae == pytest.approx(first.mae, rel=1e-6)


def test_cosine_of_known_vectors():
    first, second = np.zeros((2, 2)), np.zeros((2, 2))
    first[0, 0], second[0] = 3.0, 1.0
    assert cosine(first, second) == pytest.approx(1 / np.sqrt(2))
    assert cosine(-second, second) == pytest.approx(-1)
    assert cosine(np.zeros((2, 2)), second) == 0.0


def test_fft_correlation_ignores_a_shift_and_sees_another_wavelength():
    x = np.arange(32)
    wave = np.cos(2 * np.pi * 5 * x / 32)[None, :] * np.hanning(32)[:, None]
    other = np.cos(2 * np.pi * 9 * x / 32)[None, :] * np.hanning(32)[:, None]
    assert fft_correlation(np.roll(wave, 3, axis=1), wave) == pytest.approx(1)
    # The two spectra share no bright pixel: only the removed mean correlates.
    assert abs(fft_correlation(other, wave)) < 0.05
    magnitudes = [np.abs(np.fft.fft2(image)).ravel() for image in (ESTIMATE, TRUTH)]
    assert fft_correlation(ESTIMATE, TRUTH) == pytest.approx(np.corrcoef(magnitudes)[0, 1])


def test_coverage_of_gaussian_errors():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.1, 2, (200, 200))
    truth = rng.normal(0, 1, (200, 200))
    found = truth + sigma * rng.standard_normal((200, 200))
    assert coverage(found, sigma, truth, 1.0) == pytest.approx(0.6827, abs=0.01)
    assert coverage(found, sigma, truth, 1.96) == pytest.approx(0.95, abs=0.005)


def test_bootstrap_interval_of_a_mean_agrees_with_the_normal_one():
    values = np.random.default_rng(1).normal(10, 2, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval([3.0, 3.0]) == (3.0, 3.0)


def test_groups_that_share_a_deviation_widen_the_interval():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(50), 20)
    shared = rng.normal(0, 1, 50)
    values = 10 + shared[groups] + rng.normal(0, 0.1, 1000)
    low, high = grouped_bootstrap_interval(values, groups)
    half = 1.96 * shared.std() / np.sqrt(50)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.08)
    assert high - low > 3 * np.subtract(*bootstrap_interval(values)[::-1])
    # One scene a group is the plain bootstrap, drawn in the same way.
    assert grouped_bootstrap_interval(values, np.arange(1000)) == pytest.approx(bootstrap_interval(values))


def test_a_statistic_of_several_columns_sees_their_means():
    values = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 8.0]])
    low, high = grouped_bootstrap_interval(values, ["a", "a", "b"], lambda means: means[:, 1] / means[:, 0])
    assert (low, high) == (2.0, 4.0)
    with pytest.raises(ValueError, match="two groups"):
        grouped_bootstrap_interval(values, ["a"] * 3)


@pytest.mark.parametrize(
    ("estimate", "truth", "word"),
    [
        (np.zeros((3, 3)), np.eye(4), "shape"),
        (np.zeros(9), np.arange(9.0), "shape"),
        (np.full((3, 3), np.nan), np.eye(3), "finite"),
        (np.eye(3), np.full((3, 3), np.inf), "finite"),
        (np.eye(3), np.ones((3, 3)), "constant"),
    ],
)
def test_what_has_no_error_is_refused(estimate, truth, word):
    with pytest.raises(ValueError, match=word):
        kernel_errors(estimate, truth)


def test_intervals_need_two_finite_values():
    with pytest.raises(ValueError, match="two values"):
        bootstrap_interval([1.0])
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_interval([1.0, np.nan])
    with pytest.raises(ValueError, match="negative"):
        coverage(np.eye(3), -np.eye(3), np.eye(3), 1.0)
