"""What is drawn on the map becomes a step: the pixels whose centres lie in it, once, and only of the map that is shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qpi_core.maps.preparation import Preparation
from tests.ui.app_driver import noiseless_map, npy, start
from ui.extract.preparation.drawn_area import adopt_area, area_steps
from ui.state.loaders import loaded_file
from ui.state.map_change import use_map
from ui.state.preparation_state import preparation_of
from ui.state.workspace import Workspace

AREA = {"map": "a map", "serial": "1", "left": 2.4, "top": 5.5, "right": 9.0, "bottom": 11.2}


@pytest.mark.parametrize("name", ["crop", "mask_rectangle"])
def test_the_step_takes_the_pixels_whose_centres_lie_in_the_rectangle(name):
    image = np.random.default_rng(0).standard_normal((20, 16))
    after = Preparation.from_json(area_steps({**AREA, "step": name})).apply(image).values
    y, x = np.mgrid[:20, :16]
    within = (x >= AREA["left"]) & (x <= AREA["right"]) & (y >= AREA["top"]) & (y <= AREA["bottom"])
    if name == "crop":
        np.testing.assert_array_equal(after.ravel(), image[within])
    else:
        np.testing.assert_array_equal(np.isnan(after), within)


@pytest.mark.parametrize(
    "changed",
    [{"step": "level"}, {"left": math.nan}, {"right": "9"}, {"top": None}, {"left": 2.2, "right": 2.6}, {"bottom": math.inf}],
)
def test_what_a_browser_should_not_send_is_no_step(changed):
    assert area_steps({**AREA, "step": "crop", **changed}) == []


TRIANGLE = [[2.4, 3.1], [11.7, 4.2], [6.3, 15.8]]


def _within(corners: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """Return which pixel centres lie in a polygon: an odd number of its sides is crossed on the way out to the right."""
    inside = np.zeros(shape, dtype=bool)
    for y, x in np.ndindex(shape):
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                inside[y, x] ^= True
    return inside


@pytest.mark.parametrize("name", ["crop", "mask_rectangle"])
def test_a_polygon_keeps_or_leaves_out_the_pixels_whose_centres_lie_in_it(name):
    image = np.random.default_rng(0).standard_normal((20, 16))
    area = {"map": "a map", "serial": "1", "step": name, "corners": TRIANGLE}
    after = Preparation.from_json(area_steps(area)).apply(image).values
    within = _within(TRIANGLE, image.shape)
    assert within.sum() > 40
    if name == "crop":
        assert after.shape == (12, 9)
        np.testing.assert_array_equal(after, np.where(within, image, np.nan)[4:16, 3:12])
    else:
        np.testing.assert_array_equal(np.isnan(after), within)


@pytest.mark.parametrize(
    "corners",
    ["nonsense", TRIANGLE[:2], TRIANGLE * 100, [[1, 2], [3, 4], [5]], [[1, 2], [3, 4], [5, "6"]], [[1, 2], [3, 4], [math.inf, 6]]],
)
def test_corners_that_a_browser_should_not_send_are_no_step(corners):
    assert area_steps({**AREA, "step": "crop", "corners": corners}) == []


def test_a_rectangle_is_taken_once_and_only_on_its_own_map():
    space = Workspace()
    use_map(space, loaded_file("map.npy", npy(noiseless_map())))
    steps = preparation_of(space)
    for value in (None, "nonsense", {**AREA, "step": "crop", "map": "another"}):
        adopt_area(space, value, "a map")
    assert steps.steps == []
    drawn = {**AREA, "step": "crop", "serial": "2"}
    adopt_area(space, drawn, "a map")
    adopt_area(space, drawn, "a map")
    assert steps.steps == [{"step": "crop", "left": 3, "top": 6, "width": 7, "height": 6}]
    steps.undo()
    adopt_area(space, drawn, "a map")
    assert steps.steps == []


def test_a_rectangle_that_is_too_small_is_taken_back_with_a_sentence():
    app = start()
    space = app.session_state["workspace"]
    use_map(space, loaded_file("map.npy", npy(noiseless_map())))
    app.run()
    adopt_area(space, {**AREA, "step": "crop", "right": 3.5}, "a map")
    app.run()
    assert preparation_of(space).steps == []
    assert any("crop" in error.value and "width" in error.value for error in app.error)
    assert not app.exception
