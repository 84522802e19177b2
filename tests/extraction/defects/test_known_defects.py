"""Which places that a search found are marked defects."""

import numpy as np
import pytest

from qpi_core.extraction.defects.known_defects import at_their_marks, same_place_radius
from qpi_core.synthesis.simulated_maps.scenes import draw_scene


def bump(width: float) -> np.ndarray:
    y, x = np.mgrid[-30:31, -30:31]
    return np.exp(-(x**2 + y**2) / (2 * width**2))


@pytest.mark.parametrize("width", [3.0, 6.0])
def test_the_radius_is_that_of_the_autocorrelation(width):
    # The autocorrelation of a Gaussian is one of sqrt(2) times its width: 0.7 at 2 width sqrt(log(1 / 0.7)).
    assert same_place_radius(bump(width) + 5.0) == pytest.approx(2 * width * np.sqrt(np.log(1 / 0.7)), abs=0.5)


def test_rings_can_be_told_apart_at_a_few_pixels_and_a_constant_is_no_pattern():
    assert 1 < same_place_radius(draw_scene(5, 1).kernel) < 4
    assert same_place_radius(np.ones((9, 9))) == 0.0


def test_a_mark_is_one_of_the_places_and_the_nearest():
    marks = np.array([[10.0, 10.0], [40.0, 40.0], [60.0, 5.0]])
    found = np.array([[16.0, 10.0], [12.0, 10.0], [41.0, 44.0], [5.0, 60.0]])
    placed = at_their_marks(found, marks, 8.0)
    np.testing.assert_array_equal(placed, [[16, 10], [10, 10], [40, 40], [5, 60]])
    np.testing.assert_array_equal(found[1], [12, 10])


def test_a_place_at_its_mark_makes_no_room_for_another_one():
    found, marks = np.array([[100.0, 0.0], [100.0, 3.0]]), np.array([[100.0, 3.0], [100.0, 6.0]])
    np.testing.assert_array_equal(at_their_marks(found, marks, 5.0), found)
    found, marks = np.array([[20.0, 0.0], [5.0, 0.0]]), np.array([[20.0, 1.0], [20.0, 21.0]])
    np.testing.assert_array_equal(at_their_marks(found, marks, 24.0), [[20, 1], [5, 0]])


def test_two_marks_share_no_place_and_nothing_is_moved_without_marks():
    marks = np.array([[10.0, 10.0], [13.0, 10.0]])
    np.testing.assert_array_equal(at_their_marks(np.array([[12.0, 10.0]]), marks, 8.0), [[13, 10]])
    found = np.array([[12.0, 10.0]])
    for others in (np.zeros((0, 2)), marks + 50):
        np.testing.assert_array_equal(at_their_marks(found, others, 8.0), found)
    assert at_their_marks(np.zeros((0, 2)), marks, 8.0).shape == (0, 2)
