"""An energy stack in a real browser: seen from other pages while it is computed, stopped, finished, its layers stepped through by keys."""

from __future__ import annotations

from tests.browser.app_page import AppPage, eventually
from tests.ui.stacks.stack_app import ENERGIES, POSITIONS, npz


def test_a_stack_goes_on_behind_other_pages_and_its_layers_follow_the_arrow_keys(new_page):
    app = AppPage(new_page())
    page = app.page
    app.upload_map("grid.npz", npz())
    app.wait_for_map()
    page.get_by_role("tab", name="From file").click()
    content = "x_px,y_px\n" + "".join(f"{x},{y}\n" for x, y in POSITIONS)
    chooser = page.locator(".st-key-positions_upload input[type=file]")
    chooser.set_input_files({"name": "defects.csv", "mimeType": "text/csv", "buffer": content.encode()})
    page.get_by_role("button", name="Use this list").click()
    app.wait_for_count(len(POSITIONS))
    page.get_by_role("link", name="Stacks").click()
    page.get_by_role("button", name="Extract every layer").click()
    bar = page.locator(".st-key-bottom_bar")
    bar.get_by_text("Energy stack").first.wait_for()
    page.get_by_role("link", name="Documentation").click()
    # Still running, with its bar, or just ended: both are said on a page that has nothing to do with it.
    page.get_by_text("From a file to the kernel").wait_for()
    bar.get_by_text("Energy stack").first.wait_for()
    page.get_by_role("link", name="Stacks").click()
    app.wait_for_step("3 Kernels of every layer: ready")

    def line() -> float:
        return float(page.locator(".st-key-stack_energies .js-plotly-plot").last.evaluate("chart => chart.layout?.shapes?.[0]?.y0 ?? NaN"))

    page.locator(".st-key-stack_energies .heatmaplayer image").first.wait_for()
    eventually(lambda: line() in ENERGIES, "the layer in view is a line in E(q)")
    start = line()
    slider = page.locator("[class*=st-key-stack_layer]").get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight" if start < ENERGIES[-1] else "ArrowLeft")
    eventually(lambda: line() != start and line() in ENERGIES, "the line in E(q) is at the next energy")
