"""No text overlaps another one, is cut off, or leaves the window, and axe-core finds nothing serious: every page, light and dark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.browser.accessibility import grave_findings
from tests.browser.app_page import AppPage, eventually
from tests.measured_data import CREATEC_SCAN as SCAN
from tests.ui.stacks.stack_app import POSITIONS, npz

SIZES = ((1280, 800), (1920, 1080))
_FAULTS = """() => {
    const shown = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const skipped = "style, script, noscript, [aria-hidden=true], [data-testid=stTooltipContent], canvas, option, .hint, .katex"
    while (walker.nextNode()) {
        const node = walker.currentNode, owner = node.parentElement
        if (!node.textContent.trim() || !owner || owner.closest(skipped)) continue
        const style = getComputedStyle(owner), own = owner.getBoundingClientRect()
        if (own.width <= 1 || own.height <= 1) continue // for screen readers only
        if (style.visibility === "hidden" || Number(style.opacity) < 0.05 || style.fontSize === "0px") continue
        const range = document.createRange()
        range.selectNodeContents(node)
        const lines = [...range.getClientRects()].filter(line => line.width > 1 && line.height > 1)
        for (const line of lines) {
            // Behind the bar at the lower edge, or scrolled out of its box: not seen, so not judged. Pictures' labels take no pointer.
            const chart = owner.closest(".js-plotly-plot"), y = (line.top + line.bottom) / 2
            const seen = [0.1, 0.5, 0.9].some(share => {
                const top = document.elementFromPoint(line.left + share * line.width, y)
                return top && (chart ? top.closest(".js-plotly-plot") === chart : owner.contains(top) || top.contains(owner))
            })
            if (seen) shown.push({text: node.textContent.trim().slice(0, 50), owner, line})
        }
    }
    const faults = []
    for (const {text, owner, line} of shown) {
        if (line.right > innerWidth + 1 || line.left < -1) faults.push(`leaves the window: ${text}`)
        for (let box = owner; box && box !== document.body; box = box.parentElement) {
            if (!["hidden", "clip"].includes(getComputedStyle(box).overflowX)) continue
            const edge = box.getBoundingClientRect()
            if (edge.width > 1 && (line.right > edge.right + 1.5 || line.left < edge.left - 1.5)) { faults.push(`cut off: ${text}`); break }
        }
    }
    const kin = (a, b) => a === b || a.contains(b) || b.contains(a)
    for (let i = 0; i < shown.length; i++) for (let j = 0; j < i; j++) {
        const a = shown[i].line, b = shown[j].line
        if (kin(shown[i].owner, shown[j].owner)) continue
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
        if (wide > 2 && high > 0.35 * Math.min(a.height, b.height)) faults.push(`${shown[i].text} lies on ${shown[j].text}`)
    }
    return [...new Set(faults)]
}"""
_LABELS = """chart => {
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
"""Of the labels of one chart, those that lie on each other: `_FAULTS` forgives those that share a box, this does not."""
_BUTTONS = """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(chart => {
    const bar = chart.querySelector(".modebar")?.getBoundingClientRect()
    if (!bar) return []
    return [...chart.querySelectorAll("text")].filter(text => text.textContent.trim()).filter(text => {
        const box = text.getBoundingClientRect()
        const wide = Math.min(box.right, bar.right) - Math.max(box.left, bar.left)
        return wide > 1 && Math.min(box.bottom, bar.bottom) - Math.max(box.top, bar.top) > 1
    }).map(text => `plotly's buttons lie on ${text.textContent}`)
})"""
"""Texts of charts that the buttons cover which come with the pointer."""
_SCROLL = "top => { const main = document.querySelector('[data-testid=stMain]'); main.scrollTop = top; return main.scrollHeight }"


@pytest.fixture
def app(new_page: Any) -> AppPage:
    return AppPage(new_page())


def faults(app: AppPage) -> list[str]:
    """Return what is wrong on the open page from its top to its end, in both sizes and both themes, and what axe-core finds in either."""
    found = []
    app.page.mouse.move(2, 2)  # a button that was just pressed would show its tooltip, half faded in, over the page
    for width, height in SIZES:
        app.page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            app.page.emulate_media(color_scheme=theme)
            app.page.wait_for_timeout(700)
            top = 0
            while top < app.page.evaluate(_SCROLL, top):
                app.page.wait_for_timeout(100)
                found += [f"{width} x {height}, {theme}, {top} px down: {fault}" for fault in app.page.evaluate(_FAULTS)]
                top += height - 250
            app.page.evaluate(_SCROLL, 0)
            found += [f"{width} x {height}, {theme}: {fault}" for fault in app.page.evaluate(_BUTTONS)]
            if width == SIZES[0][0]:
                found += [f"{theme}: {finding}" for finding in grave_findings(app.page)]
    return found


def test_the_check_itself_finds_what_is_wrong(new_page: Any):
    page = new_page()
    page.set_content(
        "<div style='position:absolute;left:20px;top:20px'>first words</div><div style='position:absolute;left:40px;top:22px'>on top</div>"
        "<div style='position:absolute;top:90px;width:30px;overflow:hidden;white-space:nowrap'>far too long for it</div>"
        "<div style='position:absolute;top:150px'>nothing wrong here</div>"
    )
    found = page.evaluate(_FAULTS)
    assert found == ["cut off: far too long for it", "on top lies on first words"]


@pytest.mark.skipif(not SCAN.is_file(), reason="the measured scans are not here")
def test_extract_page_with_a_measured_map(app: AppPage):
    app.upload_map(SCAN.name, SCAN.read_bytes())
    app.wait_for_map()
    app.click(255, 212)
    app.wait_for_count(1)
    app.choose("method", "Defect average")
    app.page.locator(".st-key-kernel_auto label").first.click()
    app.extract()
    chart = app.page.locator(".st-key-fit .heatmaplayer image")
    eventually(lambda: chart.count() == 3, "the result is drawn")
    for key, images in (("kernel_row", 2), ("fit", 3)):
        chart = app.page.locator(f".st-key-{key} .js-plotly-plot")
        eventually(lambda chart=chart, images=images: chart.locator(".heatmaplayer image").count() == images, f"{key} is drawn")
        units = chart.locator(".cbtitle text").all_text_contents()
        assert units and all(unit in ("fm", "pm", "nm") for unit in units), "lengths of a measured map have a prefix, not 1e-11 m"
        assert chart.evaluate(_LABELS) == []
    assert faults(app) == []


def test_stacks_page(app: AppPage):
    page = app.page
    page.get_by_role("link", name="Stacks").click()
    app.upload("stack_upload", "grid.npz", npz())
    page.get_by_text("No defects are marked").wait_for()
    page.get_by_role("link", name="Extract").click()
    app.wait_for_map()
    for done, (x, y) in enumerate(np.rint(POSITIONS[:2]), start=1):
        app.click(float(x), float(y))
        app.wait_for_count(done)
    page.get_by_role("link", name="Stacks").click()
    app.choose("stack_method", "Least squares")
    page.get_by_role("button", name="Extract every layer").click()
    app.wait_for_step("3 Kernels of every layer: ready")
    page.locator(".st-key-stack_residual .heatmaplayer image").last.wait_for()
    assert faults(app) == []


def test_the_other_pages(app: AppPage):
    found = {}
    for name, ready in (
        ("Synthesize", ".st-key-synthetic .heatmaplayer image"),
        ("Latent space", ".js-plotly-plot .scatterlayer"),
        ("Benchmark", ".js-plotly-plot"),
        ("Documentation", "h1, h2"),
    ):
        app.page.get_by_role("link", name=name).click()
        app.page.locator(ready).first.wait_for()
        app.page.wait_for_timeout(800)
        found[name] = faults(app)
    assert not any(found.values()), found
