"""Clicks beside spots whose places are known."""

import numpy as np
import pytest

from qpi_core import InputError, snap_to_extremum

PLACES = np.array([[20.3, 15.6], [60.0, 22.5], [31.7, 40.2]])
SIGNS = np.array([1.0, -1.0, 1.0])


def layer():
    y, x = np.mgrid[:56, :80]
    spots = sum(s * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for s, (a, b) in zip(SIGNS, PLACES, strict=True))
    return 7 + 0.002 * x + spots


def test_a_click_beside_a_spot_moves_onto_it_bright_or_dark():
    clicks = PLACES + np.array([[1.5, -1.0], [-0.8, 1.9], [1.2, 1.2]])
    moved = snap_to_extremum(1e-12 * layer(), clicks, 3)
    assert np.hypot(*(moved - PLACES).T).max() < 0.08


def test_the_strongest_within_the_radius_is_taken():
    y, x = np.mgrid[:30, :30]
    two = np.exp(-((x - 10) ** 2 + (y - 15) ** 2) / 2) - 2 * np.exp(-((x - 17) ** 2 + (y - 15) ** 2) / 2)
    np.testing.assert_allclose(snap_to_extremum(two, [[13.0, 15.0]], 5), [[17, 15]], atol=0.05)
    np.testing.assert_allclose(snap_to_extremum(two, [[11.0, 15.0]], 3), [[10, 15]], atol=0.05)


def test_without_an_extremum_nothing_moves():
    y, x = np.mgrid[:20, :24]
    clicks = np.array([[5.25, 6.5], [0.0, 0.0], [23.0, 19.0]])
    np.testing.assert_array_equal(snap_to_extremum(0.3 * x - 0.1 * y, clicks), clicks)
    np.testing.assert_array_equal(snap_to_extremum(np.full((20, 24), 5.0), clicks), clicks)
    gap = layer()
    gap[14:18, 18:23] = np.nan
    np.testing.assert_array_equal(snap_to_extremum(gap, PLACES[:1], 1), PLACES[:1])


def test_bad_arguments_get_a_sentence():
    with pytest.raises(InputError, match="radius_px"):
        snap_to_extremum(layer(), PLACES, 0)
    with pytest.raises(InputError, match="positions"):
        snap_to_extremum(layer(), [[100.0, 5.0]])
