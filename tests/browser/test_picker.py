"""The map under a real mouse and keyboard: markers, undo, zoom, and the table in step."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core import simulate_observation
from tests.browser.app_page import AppPage, eventually, npy


@pytest.fixture
def app(new_page):
    rng = np.random.default_rng(3)
    page = AppPage(new_page())
    page.upload_map("noise.npy", npy(rng.standard_normal((80, 100)).astype(np.float32)))
    page.wait_for_map()
    return page


def mark(app: AppPage, *points: tuple[float, float]) -> None:
    for point in points:
        before = int(app.canvas.get_attribute("data-count"))
        app.click(*point)
        app.wait_for_count(before + 1)


def hovered(app: AppPage, x: float, y: float) -> str:
    # A button further down has scrolled the page.
    app.canvas.evaluate("element => element.scrollIntoView({block: 'center'})")
    app.page.mouse.move(*app.screen(x + 8, y + 8))
    app.page.mouse.move(*app.screen(x, y))
    app.page.wait_for_timeout(300)
    return app.canvas.get_attribute("data-hover")


def test_click_on_a_marker_removes_it_and_undo_brings_it_back(app: AppPage):
    mark(app, (20, 20), (60, 40))
    app.click(20, 20)
    app.wait_for_count(1)
    app.page.keyboard.press("Control+z")
    app.wait_for_count(2)
    app.page.keyboard.press("Control+z")
    app.wait_for_count(1)
    app.page.keyboard.press("Control+Shift+z")
    app.wait_for_count(2)
    app.page.get_by_role("button", name="Clear").click()
    app.wait_for_count(0)
    app.page.get_by_role("button", name="Undo").click()
    app.wait_for_count(2)


def test_drag_moves_a_marker_and_right_click_removes_it(app: AppPage):
    mark(app, (20, 20))
    app.drag((20, 20), (50, 60))
    eventually(lambda: hovered(app, 50, 60) == "0", "the marker is where it was dragged")
    assert hovered(app, 20, 20) == "-1"
    app.wait_for_count(1)
    app.click(50, 60, button="right")
    app.wait_for_count(0)


def test_box_removes_what_is_inside(app: AppPage):
    mark(app, (20, 20), (30, 30), (70, 60))
    app.page.keyboard.down("Shift")
    app.drag((10, 10), (40, 40))
    app.page.keyboard.up("Shift")
    app.wait_for_count(1)
    assert hovered(app, 70, 60) == "0"


def test_zoom_at_the_cursor_is_kept(app: AppPage):
    place = app.screen(30, 50)
    app.page.mouse.move(*place)
    app.page.keyboard.down("Control")
    app.page.mouse.wheel(0, -500)
    app.page.keyboard.up("Control")
    eventually(lambda: app.zoom() > 1.5, "the wheel zooms")
    np.testing.assert_allclose(app.screen(30, 50), place, atol=1.0)
    zoom = app.zoom()
    mark(app, (32, 52))
    app.choose("colours", "Magma")
    assert app.zoom() == zoom
    app.page.get_by_role("link", name="Synthesize").click()
    app.page.get_by_role("button", name="Extract from this").wait_for()
    app.page.get_by_role("link", name="Extract").click()
    app.wait_for_map()
    app.wait_for_count(1)
    assert app.zoom() == zoom
    app.page.keyboard.press("Tab")
    app.page.get_by_role("button", name="Fit").click()
    eventually(lambda: app.zoom() == 1, "Fit shows the whole map")


def test_keyboard_alone_marks_a_defect(app: AppPage):
    app.canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        app.page.keyboard.press(key)
    app.wait_for_count(1)
    app.page.keyboard.press("Delete")
    app.wait_for_count(0)


def edit_first_x(app: AppPage, table, text: str) -> None:
    """Type into the first row's x. The grid is a canvas whose editor opens a moment after the double click: try until it took the text."""

    def typed() -> bool:
        box = table.bounding_box()
        app.page.mouse.dblclick(box["x"] + 0.45 * box["width"], box["y"] + 52)
        app.page.wait_for_timeout(1000)
        for key in ("Control+a", *text, "Enter"):
            app.page.keyboard.press(key)
        app.page.wait_for_timeout(1000)
        return table.locator("[data-testid=glide-cell-2-0]").text_content() == text

    eventually(typed, f"the table takes {text}")


def test_table_and_picture_stay_in_step(app: AppPage):
    mark(app, (20, 30), (60, 40))
    table = app.page.locator("[data-testid=stDataFrame]")
    cells = table.locator("[data-testid=glide-cell-1-0], [data-testid=glide-cell-2-0]")
    eventually(lambda: cells.count() >= 2, "the table has its cells")
    x, y = (float(table.locator(f"[data-testid=glide-cell-{column}-0]").text_content()) for column in (2, 3))
    np.testing.assert_allclose([x, y], [20, 30], atol=0.3)
    edit_first_x(app, table, "75")
    eventually(lambda: hovered(app, 75, y) == "0", "the marker follows the table")
    app.wait_for_count(2)
    app.click(75, y)
    app.wait_for_count(1)
    eventually(lambda: table.locator("[data-testid=glide-cell-2-0]").text_content().startswith("60"), "the table follows the picture")


def test_a_held_marker_follows_the_arrow_keys_as_one_change(app: AppPage):
    mark(app, (20, 20), (60, 40))
    keyboard = app.page.keyboard
    keyboard.press("n")
    keyboard.press("n")
    eventually(lambda: app.canvas.get_attribute("data-held") == "1", "the second marker is held")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "Alt+ArrowUp"):
        keyboard.press(key)
    keyboard.press("Enter")
    assert hovered(app, 62, 49.9) == "1"
    app.wait_for_count(2)
    keyboard.press("Control+z")
    eventually(lambda: hovered(app, 60, 40) == "1", "one undo takes all four steps back")
    keyboard.press("p")
    keyboard.press("Delete")
    app.wait_for_count(1)
    assert hovered(app, 20, 20) == "0"


def test_moved_positions_are_drawn_until_the_marks_change(app: AppPage, new_page):
    rng = np.random.default_rng(1)
    places = np.array([[14.0, 18.0], [45.0, 22.0], [30.0, 47.0]])
    kernel = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.25}
    clean = simulate_observation(kernel, places, (64, 64))
    app.upload_map("three.npy", npy((clean + 0.02 * rng.standard_normal(clean.shape)).astype(np.float32)))
    app.page.get_by_text("64 × 64 px").wait_for()
    for place in places:
        mark(app, tuple(place + [0.7, -0.6]))
    app.choose("method", "Circular harmonics")
    app.extract()
    eventually(lambda: app.canvas.get_attribute("data-moved") == "3", "the moved positions are drawn")
    app.click(10, 55)
    app.wait_for_count(4)
    assert app.canvas.get_attribute("data-moved") == "0"
    app.page.keyboard.press("Control+z")
    eventually(lambda: app.canvas.get_attribute("data-moved") == "3", "the marks are again those that were moved")
    app.page.locator(".st-key-take_over_positions").get_by_role("button").click()
    eventually(lambda: hovered(app, *places[0]) == "0", "the marks are where the defects are")


def test_marks_of_two_classes_keep_theirs_through_drag_undo_and_the_table(app: AppPage):
    mark(app, (20, 20))
    app.page.get_by_label("Class of new marks").select_option("B")
    mark(app, (60, 40))
    app.drag((60, 40), (50, 60))
    eventually(lambda: hovered(app, 50, 60) == "1", "the marker is where it was dragged")
    app.page.get_by_text("2 defects of 2 classes").first.wait_for()
    app.click(50, 60)
    app.wait_for_count(1)
    app.page.get_by_text("1 defect, kernel").first.wait_for()
    app.page.keyboard.press("Control+z")
    app.page.get_by_text("2 defects of 2 classes").first.wait_for()


def test_a_file_dropped_on_the_map_is_loaded_in_its_place(app: AppPage):
    mark(app, (20, 20))
    values = np.random.default_rng(4).standard_normal((40, 50)).astype(np.float32)
    app.canvas.evaluate(
        """(canvas, bytes) => {
            const dropped = new DataTransfer()
            dropped.items.add(new File([new Uint8Array(bytes)], "dropped.npy"))
            for (const kind of ["dragover", "drop"]) {
                const told = new DragEvent(kind, { dataTransfer: dropped, bubbles: true, composed: true, cancelable: true })
                canvas.dispatchEvent(told)
                if (!told.defaultPrevented) throw new Error(`${kind} is left to the browser`)
            }
        }""",
        list(npy(values)),
    )
    app.wait_for_step("1 Map: dropped.npy")
    app.wait_for_count(0)
