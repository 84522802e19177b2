"""What is accepted from outside, and what is refused with a sentence."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.base.grid import central_crop, kernel_coordinates, kernel_polar, nm_to_px, px_to_nm, q_axis
from qpi_core.base.validation import require_observation, require_pixel_size, require_positions


def test_positions_reach_half_a_pixel_beyond_the_edge_pixels():
    assert len(require_positions([[-0.5, -0.5], [9.5, 4.5]], (5, 10))) == 2
    for outside in ([9.51, 0], [0, 4.51], [-0.51, 0], [4, 9]):
        with pytest.raises(InputError, match="x from 0 to 9"):
            require_positions([outside], (5, 10))


@pytest.mark.parametrize("bad", [[["a", "b"]], [[1, np.inf]], [1, 2, 3], [[1, 2, 3]], object()])
def test_bad_positions_are_refused(bad):
    with pytest.raises(InputError, match="positions"):
        require_positions(bad, (5, 10))


@pytest.mark.parametrize(
    "bad", [np.zeros(5), np.zeros((2, 2)), np.array([[None] * 5] * 5), np.full((5, 5), np.inf), np.full((5, 5), 1e300), [["a"] * 5] * 5]
)
def test_bad_observations_are_refused(bad):
    with pytest.raises(InputError, match="observation"):
        require_observation(bad)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="rows have different lengths"):
        require_observation([[1.0] * 5] * 4 + [[1.0] * 4])


def test_masked_pixels_count_as_not_measured():
    observation = np.ma.masked_greater(np.arange(25).reshape(5, 5), 20)
    values = require_observation(observation)
    assert np.isnan(values[4, 1:]).all() and (values.ravel()[:21] == np.arange(21)).all()
    with pytest.raises(InputError, match="not finite"):
        require_positions(np.ma.masked_equal([[1.0, 2.0], [9.0, 9.0]], 9.0), (5, 10))


@pytest.mark.parametrize("bad", [0, -1, np.nan, (1, 2, 3), "wide", (0.1, -0.1)])
def test_bad_pixel_sizes_are_refused(bad):
    with pytest.raises(InputError, match="pixel_size_nm"):
        require_pixel_size(bad)


def test_centre_is_at_half_the_size_for_odd_and_even_windows():
    for size in (7, 8):
        r, theta = kernel_polar(size, (0.1, 0.2))
        assert r[size // 2, size // 2] == 0
        assert r[size // 2, size // 2 + 1] == pytest.approx(0.2) and r[size // 2 + 1, size // 2] == pytest.approx(0.1)
        assert theta[size // 2 + 1, size // 2] == pytest.approx(np.pi / 2)
    x, y = kernel_coordinates(5, 1.0)
    assert (x[0] == [-2, -1, 0, 1, 2]).all() and (y[:, 0] == [-2, -1, 0, 1, 2]).all()


def test_wave_vectors_contain_two_pi():
    axis = q_axis(64, 10 / 64)
    assert axis[32] == 0 and axis[33] == pytest.approx(2 * np.pi / 10)


def test_lengths_go_both_ways():
    positions = [[3.0, 4.0]]
    np.testing.assert_allclose(px_to_nm(positions, (0.1, 0.5)), [[1.5, 0.4]])
    np.testing.assert_allclose(nm_to_px(px_to_nm(positions, (0.1, 0.5)), (0.1, 0.5)), positions)


def test_crop_keeps_the_centre():
    for wide in (9, 10):
        window = np.zeros((wide, wide), np.float32)
        window[wide // 2, wide // 2] = 1
        for size in (5, 6):
            assert central_crop(window, size)[size // 2, size // 2] == 1
    with pytest.raises(ValueError, match="crop"):
        central_crop(np.zeros((4, 4), np.float32), 5)
