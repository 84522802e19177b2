"""Preparation in a real browser: a crop carries the defects along, clicks land on the cropped map, and an undo brings all back."""

from __future__ import annotations

import numpy as np

from tests.browser.app_page import AppPage, eventually, npy
from tests.ui.app_driver import noiseless_map


def test_a_crop_moves_defects_and_an_undo_brings_them_back(new_page):
    app = AppPage(new_page())
    app.upload_map("tilted.npy", npy(noiseless_map() + np.arange(64, dtype=np.float32) * 0.05))
    app.wait_for_map()
    for done, place in enumerate((20, 40, 60), start=1):
        app.click(place, place)
        app.wait_for_count(done)
    page = app.page
    page.locator(".st-key-preparation summary").click()
    crop = page.get_by_role("option", name="Crop")

    def is_open() -> bool:
        # A list that opens while the page still grows is closed again.
        if not crop.is_visible():
            page.locator(".st-key-prepare_step [role=combobox], .st-key-prepare_step input").first.click()
            page.wait_for_timeout(500)
        return crop.is_visible()

    eventually(is_open, "the list of steps is open")
    crop.click()
    page.get_by_role("spinbutton", name="Left x (px)").wait_for()
    page.get_by_role("button", name="Add step").click()
    app.wait_for_count(2)
    eventually(lambda: page.get_by_text("1 defect outside set aside").count() == 1, "the third defect is said to be set aside")
    app.canvas.scroll_into_view_if_needed()
    app.page.locator(".st-key-map_upload").scroll_into_view_if_needed()
    app.click(10, 28)
    app.wait_for_count(3)
    page.locator(".st-key-prepare_undo button").first.click()
    app.wait_for_count(4)


def test_crop_and_mask_are_drawn_on_the_map(new_page):
    app = AppPage(new_page())
    app.upload_map("map.npy", npy(noiseless_map()))
    app.wait_for_map()
    page = app.page
    app.click(50, 30)
    app.wait_for_count(1)
    page.get_by_role("button", name="Mask").click()
    app.drag((4.6, 10.6), (12.4, 20.4))
    page.get_by_text("Leave out a rectangle: left 5, top 11, width 7, height 9").locator("visible=true").first.wait_for()
    app.wait_for_count(1)
    page.get_by_role("button", name="Crop", exact=True).click()
    page.keyboard.press("Escape")
    app.click(56, 12)
    app.wait_for_count(2)
    page.get_by_role("button", name="Crop", exact=True).click()
    app.drag((30.6, 20.6), (63, 63))
    page.get_by_text("Crop: 33 × 43 px from x = 31, y = 21").locator("visible=true").first.wait_for()
    app.wait_for_count(1)
    eventually(lambda: page.get_by_text("1 defect outside set aside").count() == 1, "the second defect is said to be set aside")


def test_a_polygon_is_clicked_and_closed(new_page):
    app = AppPage(new_page())
    app.upload_map("map.npy", npy(noiseless_map()))
    app.wait_for_map()
    page = app.page

    def draw(tool: str, *corners: tuple[float, float]) -> None:
        page.get_by_role("button", name=tool, exact=True).click()
        for number, corner in enumerate(corners, 1):
            app.click(*corner)
            eventually(lambda number=number: app.canvas.get_attribute("data-corners") == str(number), "the corner is set")

    draw("Mask", (10, 10), (30, 12), (20, 40), (2, 60))
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    page.get_by_text("Leave out a polygon: 3 corners").locator("visible=true").first.wait_for()
    draw("Crop", (5, 5), (60, 5), (60, 50), (5, 50))
    app.click(5, 5)
    page.get_by_text("Keep a polygon: 4 corners").locator("visible=true").first.wait_for()
    assert app.canvas.get_attribute("data-corners") == "0" and app.canvas.get_attribute("data-count") == "0"
    draw("Mask", (20, 20))
    page.keyboard.press("Escape")
    eventually(lambda: app.canvas.get_attribute("data-corners") == "0", "Escape leaves the polygon")
    app.click(30, 30)
    app.wait_for_count(1)
