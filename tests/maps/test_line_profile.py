"""Profiles against formulas: a plane is straight along every line, and a stripe has its own width."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps.line_profile import line_profile

Y, X = np.mgrid[:40, :60].astype(float)


def test_a_plane_is_straight_and_the_length_counts_the_pitch():
    profile = line_profile(2.0 * X - 3.0 * Y, (5.0, 30.0), (35.5, 10.25), pixel_size_nm=(0.2, 0.1))
    assert profile.length == pytest.approx(np.hypot(30.5 * 0.1, 19.75 * 0.2))
    assert profile.angle == pytest.approx(np.arctan2(-19.75 * 0.2, 30.5 * 0.1))
    share = profile.distance / profile.length
    np.testing.assert_allclose(profile.values, 2 * (5 + 30.5 * share) - 3 * (30 - 19.75 * share), atol=1e-4)


def test_the_width_averages_across_the_line_only():
    stripe = (np.abs(Y - 20) <= 1).astype(float)
    narrow = line_profile(stripe, (10, 20), (50, 20))
    wide = line_profile(stripe, (10, 20), (50, 20), width_px=9)
    np.testing.assert_allclose(narrow.values, 1.0, atol=1e-6)
    np.testing.assert_allclose(wide.values, 3 / 9, atol=1e-6)


def test_what_was_not_measured_takes_no_part():
    image = np.ones((40, 60))
    image[:, 30:34] = np.nan
    profile = line_profile(image, (20, 20), (45, 20))
    assert np.isnan(profile.values[10:14]).all() and (profile.values[:9] == 1).all()
    image[18:23, 30:34] = np.nan
    image[25, 30:34] = 1.0
    assert np.isfinite(line_profile(image, (20, 20), (45, 20), width_px=11).values).all()


@pytest.mark.parametrize(
    ("start", "end", "width", "says"),
    [
        ((5, 5), (5, 5), 1, "same place"),
        ((-1, 5), (5, 5), 1, "on the map"),
        ((5, 5), (70, 5), 1, "on the map"),
        ((1, 1), (5, 5), 0, "width_px"),
    ],
)
def test_bad_lines_are_told(start, end, width, says):
    with pytest.raises(InputError, match=says):
        line_profile(X, start, end, width)
