"""Make the pictures of the app in this folder: python docs/make_screenshots.py [address]

Starts the app, or uses the one at the address, drives it in Chromium through the example, and saves every page in the light and the
dark theme at 1280 x 800. Needs the packages of requirements-dev.txt and Chromium.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PATIENCE_MS = 300_000
SETTLE_MS = 2500
README_HEIGHT = 1230
"""The README shows the top of the page: map, kernel, FFT, numbers."""


def main() -> None:
    """Save all pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; on Debian: apt install chromium")
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=theme)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            photograph(page, theme)
            context.close()
        browser.close()


def photograph(page: Any, theme: str) -> None:
    """Walk through the pages of one theme."""
    page.get_by_role("button", name="Try the example").click()
    page.get_by_text("Take home", exact=True).first.wait_for()
    page.mouse.move(640, 20)
    save_whole_page(page, f"extract_{theme}.png")
    page.get_by_role("link", name="Synthesize").click()
    page.get_by_role("button", name="Extract from this").click()
    page.get_by_text("Every method on one map").wait_for()
    page.mouse.move(640, 20)
    save_whole_page(page, f"synthesize_{theme}.png")
    page.get_by_role("link", name="Latent space").click()
    points = page.locator(".st-key-latent_chart .scatterlayer .point")
    points.nth(50).wait_for()
    page.mouse.move(640, 20)
    wait_for_charts(page)
    page.screenshot(path=FOLDER / f"latent_space_{theme}.png")


def save_whole_page(page: Any, name: str) -> None:
    """Save a page from top to bottom: the window is made as high as what it shows, then put back."""
    wait_for_charts(page)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": 1280, "height": height + 10})
    wait_for_charts(page)
    page.screenshot(path=FOLDER / name)
    if name == "extract_light.png":
        page.screenshot(path=FOLDER / "screenshot.png", clip={"x": 0, "y": 0, "width": 1280, "height": README_HEIGHT})
    page.set_viewport_size({"width": 1280, "height": 800})


def wait_for_charts(page: Any) -> None:
    """Wait until no placeholder is left and every chart has its content."""
    page.wait_for_function("document.querySelectorAll('[data-testid=stSkeleton]').length === 0")
    drawn = "chart.querySelector('.heatmaplayer image, .scatterlayer .point')"
    page.wait_for_function(f"[...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(chart => {drawn})")
    page.wait_for_timeout(SETTLE_MS)


@contextmanager
def running_app() -> Iterator[str]:
    """Give the address of the app: the one on the command line, or one that is started for this."""
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    with subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until_up(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def wait_until_up(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    sys.exit("The app did not answer.")


if __name__ == "__main__":
    main()
