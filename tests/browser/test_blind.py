"""Find defects and kernel in a real browser: one button on a simulated map, marks to look over, and a search that is stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qpi_core.synthesis.simulated_maps.scenes import draw_scene
from tests.browser.app_page import AppPage, eventually, npy

SCENE = draw_scene(91, 3, 0.1, count=14)


@pytest.fixture
def app(new_page) -> AppPage:
    page = AppPage(new_page())
    page.upload_map("blind.npy", npy(SCENE.observation))
    page.wait_for_map()
    return page


def test_one_button_from_a_map_to_marks_and_a_kernel(app: AppPage):
    button = app.page.locator(".st-key-find_blind").get_by_role("button")
    box = button.bounding_box()
    assert box["y"] + box["height"] < 720, "the button is in sight without scrolling"
    button.click()
    app.wait_for_step("3 Kernel: ready")
    app.wait_for_count(14)
    eventually(lambda: app.canvas.get_attribute("data-sure") == "14", "every mark has a dot")
    app.page.locator(".st-key-kernel_preview .heatmaplayer image").wait_for()
    side_car = json.loads(app.download("json"))
    found = np.array(side_car["positions_px"])
    assert np.hypot(*(found[:, None] - SCENE.positions).transpose(2, 0, 1)).min(axis=1).max() < 1
    assert side_car["trusted"] is True


def test_a_search_that_is_stopped_before_it_has_anything_leaves_the_marks(app: AppPage):
    app.click(20, 20)
    app.wait_for_count(1)
    app.page.locator(".st-key-find_blind").get_by_role("button").click()
    app.page.locator(".st-key-cancel_blind").get_by_role("button").click()
    eventually(lambda: app.page.locator(".st-key-cancel_blind").count() == 0, "the search has ended")
    app.wait_for_count(1)
