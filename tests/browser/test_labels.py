"""No label of a chart runs into another one at 1280 pixels, and lengths of a measured map have a prefix: pm, not 1e-11 m."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.app_page import AppPage, eventually

SCAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "scans" / "createc_scan_11nm.dat"
_OVERLAPS = """chart => {
    const texts = [...chart.querySelectorAll(".cbaxis text, .cbtitle text, .xtick text, .ytick text, .xtitle, .ytitle, .x2title, "
        + ".y2title, .annotation-text")].filter(element => element.textContent.trim())
    const boxes = texts.map(element => [element.textContent, element.getBoundingClientRect()])
    const found = []
    for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
        const [a, b] = [boxes[i][1], boxes[j][1]]
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
        if (wide > 1 && high > 1) found.push(`${boxes[i][0]} on ${boxes[j][0]}`)
    }
    return found
}"""


@pytest.mark.skipif(not SCAN.is_file(), reason="the measured scans are not here")
def test_labels_of_a_measured_map_keep_apart_and_have_prefixes(new_page):
    app = AppPage(new_page())
    app.upload_map(SCAN.name, SCAN.read_bytes())
    app.wait_for_map()
    app.click(255, 212)
    app.wait_for_count(1)
    app.choose("method", "Defect average")
    app.extract()
    for key, images in (("kernel_row", 2), ("fit", 3)):
        chart = app.page.locator(f".st-key-{key} .js-plotly-plot")
        eventually(lambda chart=chart, images=images: chart.locator(".heatmaplayer image").count() == images, f"{key} is drawn")
        units = chart.locator(".cbtitle text").all_text_contents()
        assert units and all(unit in ("fm", "pm", "nm") for unit in units), units
        assert chart.evaluate(_OVERLAPS) == []
