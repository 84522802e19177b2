"""A reload, a new tab, a map that has not arrived: nothing is lost, and nothing is shown in place of the map."""

from __future__ import annotations

import pytest

from tests.browser.app_page import AppPage, eventually, npy
from tests.ui.app_driver import noiseless_map
from ui.widgets.picker import _FOLDER, _SCRIPTS


@pytest.fixture
def app(new_page) -> AppPage:
    page = AppPage(new_page())
    page.upload_map("map.npy", npy(noiseless_map()))
    page.wait_for_map()
    page.click(20, 30)
    page.wait_for_count(1)
    page.page.locator(".st-key-autosave").wait_for()
    return page


def kept(app: AppPage) -> None:
    """Wait until the app has had the time to keep what was done last."""
    app.page.wait_for_timeout(3000)


def test_a_reload_brings_map_marks_settings_and_result_back(app: AppPage):
    app.choose("method", "Least squares")
    app.extract()
    kept(app)
    app.page.reload()
    app.wait_for_map()
    app.wait_for_count(1)
    app.wait_for_step("1 Map: map.npy")
    app.wait_for_step("3 Kernel: ready")
    app.page.get_by_text("Brought back as it was at").wait_for()
    eventually(lambda: app.value_of("method") == "Least squares", "the method is the one that was chosen")


def test_a_new_tab_is_offered_the_last_work_and_begins_empty(app: AppPage):
    kept(app)
    other = AppPage(app.page.context.new_page())
    other.page.goto(app.page.url)
    other.wait_for_step("1 Map: load one or take the example")
    other.page.locator(".st-key-bring_back").get_by_role("button").click()
    other.wait_for_map()
    other.wait_for_count(1)


def test_switched_off_nothing_is_kept_and_leaving_asks(app: AppPage):
    app.page.locator(".st-key-autosave label").first.click()
    kept(app)
    asked = []
    app.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    app.page.reload()
    app.wait_for_step("1 Map: load one or take the example")
    assert asked == ["beforeunload"]
    app.page.wait_for_timeout(1500)
    assert app.canvas.count() == 0 and app.page.locator(".st-key-bring_back").count() == 0


def test_a_moment_without_a_map_leaves_the_picture_alone(new_page):
    app = AppPage(new_page())
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    page = (_FOLDER / "index.html").read_text(encoding="utf-8")
    raised = app.page.evaluate(
        """async ([script, html]) => {
            const place = document.createElement("div")
            place.innerHTML = html
            document.body.append(place)
            const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })))
            try {
                for (const data of [null, {}, { session: "s", name: "n" }])
                    module.default({ data, parentElement: place, setStateValue() {} })
            } catch (error) { return String(error) }
            return ""
        }""",
        [script, page],
    )
    assert raised == ""
