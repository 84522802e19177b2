"""The wheel scrolls the page; it zooms a picture only with Ctrl, or after a press into the picture."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from tests.browser.app_page import AppPage, eventually, npy

_DATA_RANGE = "chart => [chart._fullLayout.xaxis.range, chart._fullLayout.xaxis2?.range]"


@pytest.fixture
def app(new_page) -> AppPage:
    page = AppPage(new_page())
    page.upload_map("noise.npy", npy(np.random.default_rng(3).standard_normal((80, 100)).astype(np.float32)))
    page.wait_for_map()
    return page


def scrolled(app: AppPage) -> float:
    return app.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")


def test_the_wheel_scrolls_past_the_map_and_zooms_it_on_request(app: AppPage):
    app.page.set_viewport_size({"width": 1280, "height": 500})
    app.page.mouse.move(*app.screen(30, 30))
    app.page.mouse.wheel(0, 120)
    eventually(lambda: scrolled(app) > 50, "the page scrolls")
    assert app.zoom() == 1
    app.page.get_by_text("Ctrl + wheel zooms").wait_for()
    app.page.keyboard.down("Control")
    app.page.mouse.wheel(0, -300)
    app.page.keyboard.up("Control")
    eventually(lambda: app.zoom() > 1.3, "Ctrl and wheel zoom")


def test_after_a_press_into_the_map_the_wheel_zooms_until_the_pointer_leaves(app: AppPage):
    app.click(30, 30)
    app.page.mouse.wheel(0, -300)
    eventually(lambda: app.zoom() > 1.3, "the wheel zooms after a press")
    zoom = app.zoom()
    app.page.mouse.move(5, 5)
    app.page.mouse.move(*app.screen(30, 30))
    app.page.mouse.wheel(0, -300)
    app.page.wait_for_timeout(500)
    assert app.zoom() == zoom


def test_charts_take_the_wheel_with_ctrl_only_and_the_fft_zooms_apart_from_the_kernel(new_page):
    app = AppPage(new_page())
    app.page.get_by_role("link", name="Synthesize").click()
    chart = app.page.locator(".st-key-synthetic .js-plotly-plot")
    chart.locator(".heatmaplayer image").last.wait_for()
    box = chart.bounding_box()
    before = chart.evaluate(_DATA_RANGE)
    app.page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    app.page.mouse.wheel(0, -200)
    app.page.wait_for_timeout(700)
    assert chart.evaluate(_DATA_RANGE) == before, "the wheel alone leaves the chart alone"
    app.page.keyboard.down("Control")
    app.page.mouse.wheel(0, -200)
    app.page.keyboard.up("Control")
    eventually(lambda: chart.evaluate(_DATA_RANGE)[0] != before[0], "Ctrl and wheel zoom the kernel")
    assert chart.evaluate(_DATA_RANGE)[1] == before[1], "the FFT stays as it was"


def test_a_second_channel_shares_zoom_and_pointer(new_page):
    app = AppPage(new_page())
    rng = np.random.default_rng(4)
    grid = io.BytesIO()
    np.savez(grid, didv=rng.standard_normal((60, 70)).astype(np.float32), z=rng.standard_normal((60, 70)).astype(np.float32))
    app.upload_map("both.npz", grid.getvalue())
    app.wait_for_map()
    app.choose(f"beside_{hashlib.sha256(grid.getvalue()).hexdigest()[:12]}", "z")
    second = app.page.locator(".st-key-picker canvas.beside")
    eventually(lambda: second.count() == 1 and second.get_attribute("data-origin") is not None, "the second channel is drawn")
    box = second.bounding_box()
    app.page.mouse.move(box["x"] + 60, box["y"] + 80)
    app.page.mouse.down()
    app.page.mouse.up()
    app.page.mouse.wheel(0, -300)
    canvas = app.page.locator(".st-key-picker canvas[role=application]")
    eventually(lambda: float(canvas.get_attribute("data-zoom")) > 1.3, "a zoom of the second picture is one of the map")
    assert canvas.get_attribute("data-origin") == second.get_attribute("data-origin") and canvas.get_attribute("data-count") == "0"
    app.page.locator(".st-key-picker").get_by_text("· z:").wait_for()
