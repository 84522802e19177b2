"""The main job in a real browser: load a map, click its defects, extract, take the kernel home."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from qpi_core import load_extractor, simulate_observation
from tests.browser.app_page import AppPage, eventually, npy

PARAMETERS = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.25}
POSITIONS = np.array([[14.0, 18.0], [45.0, 22.0], [30.0, 47.0]])


@pytest.fixture(scope="module")
def observation():
    return simulate_observation(PARAMETERS, POSITIONS, (64, 64))


@pytest.fixture
def app(new_page, observation):
    page = AppPage(new_page())
    page.upload_map("three.npy", npy(observation))
    page.wait_for_map()
    return page


def test_map_to_kernel_and_home(app: AppPage, observation):
    for done, (x, y) in enumerate(POSITIONS, start=1):
        app.click(x, y)
        app.wait_for_count(done)
    app.choose("method", "Least squares")
    app.extract()

    side_car = json.loads(app.download("json"))
    clicked = np.array(side_car["positions_px"])
    np.testing.assert_allclose(clicked, POSITIONS, atol=0.2)
    assert side_car["provenance"]["input"]["name"] == "three.npy"

    kernel = np.load(io.BytesIO(app.download("kernel_npy")), allow_pickle=False)
    expected = load_extractor(device="cpu").extract(observation, clicked, "tikhonov", kernel.shape[0])
    np.testing.assert_array_equal(kernel, expected.kernel)

    picture = Image.open(io.BytesIO(app.download("kernel_png")))
    assert picture.format == "PNG" and min(picture.size) > 200
    assert len(np.unique(np.asarray(picture.convert("L")))) > 30

    with zipfile.ZipFile(io.BytesIO(app.download("zip"))) as archive:
        np.testing.assert_array_equal(np.load(io.BytesIO(archive.read("kernel.npy"))), kernel)
        assert {"kernel.png", "fft.npy", "fft.png", "estimate.json", "reproduce.py"} <= set(archive.namelist())


def test_bad_file_gives_a_sentence_and_keeps_the_work(app: AppPage):
    app.click(20, 20)
    app.wait_for_count(1)
    app.upload_map("broken.npy", b"this is no array")
    app.page.get_by_role("alert").filter(has_text="broken.npy").wait_for()
    assert app.canvas.get_attribute("data-count") == "1"
    app.wait_for_step("1 Map: three.npy")


def test_two_browsers_are_apart(app: AppPage, new_page):
    app.click(20, 20)
    app.wait_for_count(1)
    other = AppPage(new_page(color_scheme="dark"))
    other.wait_for_step("1 Map: load one or take the example")
    assert other.canvas.count() == 0
    app.wait_for_count(1)


def test_example_in_one_click(new_page):
    app = AppPage(new_page())
    app.page.get_by_role("button", name="Try the example").click()
    app.wait_for_step("3 Kernel: ready")
    app.wait_for_count(30)
    # The frame is the window of the kernel.
    eventually(lambda: app.canvas.get_attribute("data-frame") not in (None, "0"), "the window is framed in the map")
    framed = int(app.canvas.get_attribute("data-frame"))
    # Without scrolling: the kernel beside the map. After scrolling: the steps are still there.
    app.page.locator(".st-key-kernel_preview .heatmaplayer image").wait_for()
    assert lower_edge(app, ".st-key-kernel_preview") < 800
    app.page.get_by_text("Take home", exact=True).scroll_into_view_if_needed()
    assert lower_edge(app, ".st-key-steps") < 800 and lower_edge(app, ".st-key-picker") < 0
    kernel = np.load(io.BytesIO(app.download("kernel_npy")), allow_pickle=False)
    assert kernel.shape == (framed, framed) and np.isfinite(kernel).all()


def lower_edge(app: AppPage, selector: str) -> float:
    box = app.page.locator(selector).bounding_box()
    return box["y"] + box["height"]
