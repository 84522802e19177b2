"""Synthesize and Latent space in a real browser."""

from __future__ import annotations

import pytest

from qpi_core.networks.checkpoints import list_models
from tests.browser.app_page import AppPage, eventually


def test_slider_moves_the_pictures_and_comparison_ends(new_page):
    app = AppPage(new_page())
    app.page.get_by_role("link", name="Synthesize").click()
    app.page.get_by_text("2B = 6 rad/nm").wait_for()
    app.page.locator(".st-key-syn_wavenumber").get_by_role("slider").focus()
    app.page.keyboard.press("ArrowRight")
    app.page.get_by_text("2B = 6.1 rad/nm").wait_for()
    app.page.locator(".st-key-compare").get_by_role("button").click()
    app.page.get_by_text("Every method on one map").wait_for()
    app.page.locator("[data-testid=stDataFrame]").wait_for()


def test_page_comes_although_the_name_of_the_tab_is_sent_a_moment_after_the_click(new_page):
    page = new_page()
    held, clicked = [], []

    def watch(socket):
        server = socket.connect_to_server()

        def send(message):
            if b"shelf" in message and not (held or clicked):
                held.append(message)
                return
            server.send(message)
            if clicked and held:
                server.send(held.pop())

        socket.on_message(send)

    page.route_web_socket("**/_stcore/stream", watch)
    page.reload()
    link = page.get_by_role("link", name="Synthesize")
    for _ in range(1000):
        if held:
            break
        page.wait_for_timeout(20)
    assert held, "the browser names its tab"
    clicked.append(True)
    link.click()
    page.get_by_text("2B = 6 rad/nm").wait_for()
    assert not held
    assert page.url.endswith("/synthesize")


def test_click_on_a_point_shows_its_kernel(new_page):
    models = list_models()
    if not models or not (models[0].folder / "atlas.npz").is_file():
        pytest.skip("no released model with an atlas is here")
    app = AppPage(new_page())
    app.page.get_by_role("link", name="Latent space").click()
    points = app.page.locator(".st-key-latent_chart .scatterlayer .point")
    eventually(lambda: points.count() > 100, "the training kernels are shown")
    app.page.get_by_text("One of them", exact=True).wait_for()
    box = points.nth(7).bounding_box()
    app.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    app.page.get_by_text("The kernel behind the point", exact=True).wait_for()
    app.page.locator(".st-key-latent_fraction").get_by_role("slider").focus()
    app.page.keyboard.press("ArrowRight")
    app.page.locator(".st-key-latent_fraction").get_by_text("0.05").wait_for()
    app.page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    assert app.page.get_by_text("The kernel behind the point", exact=True).is_visible(), "the path does not lose the point"
    app.page.get_by_role("button", name="Open in Synthesize").click()
    app.page.get_by_text("The map is the exact sum").wait_for()


def test_dark_theme_reaches_the_map(new_page):
    app = AppPage(new_page(color_scheme="dark"))
    app.page.get_by_role("button", name="Try the example").click()
    app.wait_for_map()
    background = app.canvas.evaluate("element => getComputedStyle(element).backgroundColor")
    red, green, blue = (int(float(part)) for part in background.removeprefix("rgb(").removesuffix(")").split(",")[:3])
    assert max(red, green, blue) < 80
