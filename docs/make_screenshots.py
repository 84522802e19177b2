"""Make the pictures of the app in docs/screens and the README's.

    python docs/make_screenshots.py [--address URL]                 # Synthesize, Latent space, Benchmark, Documentation: simulated maps
    python docs/make_screenshots.py --measured FOLDER [--address URL]   # Extract, result, q-space, Stacks, the README's: measured files

Starts the app, or uses the one at the address, drives it in Chromium, and saves the pages in the light and the dark theme at 1280 x 800,
with few enough colours that a picture stays below 150 kB. The folder holds createc_scan_11nm.dat and grid.3ds, which docs/tutorial.md
says where to have. Needs the packages of the extra dev and Chromium.
"""

from __future__ import annotations

import argparse
import json
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

from PIL import Image

FOLDER = Path(__file__).resolve().parent
SCREENS = FOLDER / "screens"
PATIENCE_MS = 600_000
SETTLE_MS = 2500
WIDTH, HEIGHT = 1280, 800
README_HEIGHT = 1270
"""The README shows the top of the page: map, kernel, FFT, numbers."""
MOST_BYTES = 150_000
DEFECT_PX = (238.9, 209.7)
GRID_CHANNEL = "LockinX (V)"
GRID_DEFECTS = "x_px,y_px\n14.6,3.6\n4.4,12.3\n"
"""The defect of the scan and those of the grid, as docs/tutorial.md has them."""


def main() -> None:
    """Save all pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; on Debian: apt install chromium")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, metavar="FOLDER", help="take the pictures of measured files, which lie here")
    parser.add_argument("--address", metavar="URL", help="of an app that runs already")
    args = parser.parse_args()
    with running_app(args.address) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            if args.measured is None:
                photograph(page, theme)
            else:
                photograph_scan(page, theme, args.measured / "createc_scan_11nm.dat")
                photograph_grid(page, theme, args.measured / "grid.3ds")
            context.close()
        browser.close()


def photograph(page: Any, theme: str) -> None:
    """Walk through the pages of one theme."""
    page.get_by_role("link", name="Synthesize").click()
    page.get_by_role("button", name="Extract from this").click()
    comparison = page.get_by_text("Every method on one map")
    comparison.wait_for()
    wait_for_charts(page)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")  # the button is further down
    save_page(page, SCREENS / f"synthesize_{theme}.png")
    scroll_to(page, comparison)
    save_page(page, SCREENS / f"comparison_{theme}.png")
    page.get_by_role("link", name="Latent space").click()
    page.locator(".st-key-latent_chart .scatterlayer .point").nth(50).wait_for()
    save_page(page, SCREENS / f"latent_space_{theme}.png")
    page.get_by_role("link", name="Benchmark").click()
    page.get_by_role("tab", name="Model card").wait_for()
    save_page(page, SCREENS / f"benchmark_{theme}.png")
    page.get_by_role("link", name="Documentation").click()
    page.get_by_text("From a file to the kernel").wait_for()
    save_page(page, SCREENS / f"documentation_{theme}.png")


def photograph_scan(page: Any, theme: str, scan: Path) -> None:
    """Take the plane out of the scan, mark its defect and extract the kernel; a single defect takes no background (docs/tutorial.md)."""
    page.locator(".st-key-map_upload input[type=file]").set_input_files(scan)
    page.get_by_role("button", name="Subtract the plane").click()
    page.get_by_text("Levelling: plane").first.wait_for(state="attached")
    wait_for_charts(page)
    canvas = page.locator(".st-key-picker canvas")
    left, top, scale_x, scale_y = json.loads(canvas.get_attribute("data-origin"))
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 1 + left + (DEFECT_PX[0] + 0.5) * scale_x, box["y"] + 1 + top + (DEFECT_PX[1] + 0.5) * scale_y)
    page.get_by_text("2 Defects: 1").wait_for()
    page.locator(".st-key-model_noise label").first.click()
    page.locator(".st-key-extract").get_by_role("button").click()
    page.get_by_text("Take home", exact=True).first.wait_for()
    save_page(page, SCREENS / f"extract_{theme}.png")
    scroll_to(page, page.locator(".st-key-kernel_row"))
    save_page(page, SCREENS / f"result_{theme}.png")
    scroll_to(page, page.get_by_role("heading", name="q-space"))
    page.wait_for_timeout(SETTLE_MS)
    save_page(page, SCREENS / f"qspace_{theme}.png")
    if theme == "light":
        save_readme_picture(page)


def photograph_grid(page: Any, theme: str, grid: Path) -> None:
    """Extract every layer of the grid at the two defects that docs/tutorial.md marks, and show the energy that it looks at."""
    table = {"name": "defects.csv", "mimeType": "text/csv", "buffer": GRID_DEFECTS.encode()}
    page.locator(".st-key-map_upload input[type=file]").set_input_files(grid)
    page.get_by_text(f"1 Map: {grid.name}").wait_for()
    choose(page, "[class*=st-key-channel_]", GRID_CHANNEL)
    page.get_by_role("tab", name="From file").click()
    page.locator(".st-key-positions_upload input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Use this list").click()
    page.get_by_text("2 Defects: 2").wait_for()
    page.get_by_role("link", name="Stacks").click()
    choose(page, ".st-key-stack_method", "Least squares")
    page.get_by_role("button", name="Extract every layer").click()
    page.get_by_text("3 Kernels of every layer: ready").wait_for()
    wait_for_charts(page)
    # The bright energies lie in the upper quarter of E(q).
    chart = page.locator(".st-key-stack_energies .js-plotly-plot").first.bounding_box()
    page.mouse.click(chart["x"] + 0.4 * chart["width"], chart["y"] + 0.27 * chart["height"])
    page.wait_for_timeout(SETTLE_MS)
    save_page(page, SCREENS / f"stacks_{theme}.png")


def choose(page: Any, place: str, option: str) -> None:
    """Choose from a select box."""
    page.locator(f"{place} [data-baseweb=select], {place} [role=combobox]").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def save_page(page: Any, path: Path) -> None:
    """Save what the window shows."""
    page.mouse.move(640, 8)
    wait_for_charts(page)
    path.parent.mkdir(exist_ok=True)
    page.screenshot(path=path)
    make_small(path)


def scroll_to(page: Any, place: Any) -> None:
    """Bring a place to the top of the window, below the bar."""
    place.wait_for()
    place.evaluate("""element => {
        const main = document.querySelector('[data-testid=stMain]')
        main.scrollBy(0, element.getBoundingClientRect().top - 130)
    }""")


def save_readme_picture(page: Any) -> None:
    """Save the top of the Extract page: the window is made higher, then put back."""
    page.set_viewport_size({"width": WIDTH, "height": README_HEIGHT})
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    save_page(page, FOLDER / "screenshot.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def wait_for_charts(page: Any) -> None:
    """Wait until nothing is being computed, no placeholder is left and every chart has its content."""
    page.wait_for_function("![...document.querySelectorAll('button')].some(button => button.innerText === 'Cancel')")
    page.wait_for_function("document.querySelectorAll('[data-testid=stSkeleton]').length === 0")
    drawn = "chart.querySelector('.heatmaplayer image, .scatterlayer .point, .scatterlayer .js-line')"
    page.wait_for_function(f"[...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(chart => {drawn})")
    page.wait_for_timeout(SETTLE_MS)


def make_small(path: Path) -> None:
    """Rewrite a picture below MOST_BYTES, with all its colours where they fit, else with as many as do."""
    with Image.open(path) as picture:
        original = picture.convert("RGB")
    original.save(path, optimize=True)
    if path.stat().st_size <= MOST_BYTES:
        return
    for colours in (256, 192, 128, 96, 64, 48):
        # Maximum coverage keeps the ends of a colour scale, which a median cut merges; k-means keeps the greys grey.
        original.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return
    sys.exit(f"{path.name} is larger than {MOST_BYTES} bytes even in 48 colours.")


@contextmanager
def running_app(address: str | None) -> Iterator[str]:
    """Give the address of the app: the one that runs, or one that is started for this."""
    if address is not None:
        yield address
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
