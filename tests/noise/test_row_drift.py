"""The drift of the scan lines is a random walk from line to line, less its mean."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.noise.row_drift import MOST_WAVES, drift_columns, drift_variance, left_to_rows


def walk_covariance(height: int) -> np.ndarray:
    """Return the covariance of a random walk of steps N(0, 1) less its mean, from its definition."""
    centred = np.tril(np.ones((height, height))) - np.tril(np.ones((height, height))).mean(axis=0)
    return centred @ centred.T


@pytest.mark.parametrize("height", [2, 7, MOST_WAVES + 1])
def test_all_waves_together_are_the_random_walk(height):
    columns = drift_columns((height, 3))
    assert columns.shape == (height, 3, height - 1)
    np.testing.assert_allclose(columns[:, 0] @ columns[:, 2].T, walk_covariance(height), atol=1e-10 * height)
    assert drift_variance(height) == pytest.approx(np.trace(walk_covariance(height)) / height) and left_to_rows(height) == 0


def test_long_maps_keep_the_long_waves_and_leave_the_rest_to_the_rows():
    height = 200
    columns, whole = drift_columns((height, 2))[:, 0], walk_covariance(height)
    assert columns.shape[1] == MOST_WAVES
    assert drift_variance(height) == pytest.approx(np.mean(np.sum(columns**2, axis=1)))
    assert drift_variance(height) + left_to_rows(height) == pytest.approx(np.trace(whole) / height)
    assert left_to_rows(height) < 0.03 * drift_variance(height)


def test_a_single_row_cannot_drift():
    assert drift_columns((1, 5)).shape == (1, 5, 0) and drift_variance(1) == 0
