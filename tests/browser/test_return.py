"""A reload, a new tab, a map that has not arrived: nothing is lost, and nothing is shown in place of the map."""

from __future__ import annotations

import time
from pathlib import Path

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


def kept(app: AppPage, kept_in: Path, *parts: str) -> None:
    """Wait until these parts of the tab's work are kept, and nothing has been written for a while."""
    place = kept_in / app.page.evaluate("sessionStorage.getItem('qpi-tab')")
    eventually(lambda: all((place / f"{part}.zip").is_file() for part in parts), f"{parts} are kept")
    eventually(lambda: time.time() - max(path.stat().st_mtime for path in place.iterdir()) > 3, "all is kept")


def switch_off(app: AppPage) -> None:
    """Switch the keeping off; a press while the page still grows can miss the switch that has moved on, and is made again."""
    switch = app.page.locator(".st-key-autosave input").first

    def is_off() -> bool:
        if switch.is_checked():
            app.page.locator(".st-key-autosave label").first.click()
            app.page.wait_for_timeout(500)
        return not switch.is_checked()

    eventually(is_off, "the work is no longer kept")


def test_a_reload_brings_map_marks_settings_and_result_back(app: AppPage, kept_in: Path):
    app.choose("method", "Least squares")
    app.extract()
    kept(app, kept_in, "map", "marks", "result")
    app.page.reload()
    app.wait_for_map()
    app.wait_for_count(1)
    app.wait_for_step("1 Map: map.npy")
    app.wait_for_step("3 Kernel: ready")
    app.page.get_by_text("Brought back as it was at").wait_for()
    eventually(lambda: app.value_of("method") == "Least squares", "the method is the one that was chosen")


def test_a_new_tab_is_offered_the_last_work_and_begins_empty(app: AppPage, kept_in: Path):
    kept(app, kept_in, "map", "marks")
    other = AppPage(app.page.context.new_page())
    other.page.goto(app.page.url)
    other.wait_for_step("1 Map: load one or take the example")
    other.page.locator(".st-key-bring_back").get_by_role("button").click()
    other.wait_for_map()
    other.wait_for_count(1)


def test_switched_off_nothing_is_kept_and_leaving_asks(app: AppPage):
    switch_off(app)
    off = "localStorage.getItem('qpi-autosave-off') === '1' && window.onbeforeunload !== null"
    eventually(lambda: app.page.evaluate(off), "the browser knows that nothing is kept")
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
