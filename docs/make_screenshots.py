"""Make the pictures of the app in docs/screens and the README's: python docs/make_screenshots.py [address]

Starts the app, or uses the one at the address, drives it in Chromium through the example, and saves every page in the light and the
dark theme at 1280 x 800, with few enough colours that a picture stays below 150 kB. Needs the packages of the extra dev
and Chromium.
"""

from __future__ import annotations

import io
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

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM  # noqa: E402
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters  # noqa: E402
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation  # noqa: E402

SCREENS = FOLDER / "screens"
PATIENCE_MS = 300_000
SETTLE_MS = 2500
WIDTH, HEIGHT = 1280, 800
README_HEIGHT = 1270
"""The README shows the top of the page: map, kernel, FFT, numbers."""
MOST_BYTES = 150_000
STACK_DEFECTS = 12


def main() -> None:
    """Save all pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed; on Debian: apt install chromium")
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
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
    save_page(page, SCREENS / f"extract_{theme}.png")
    scroll_to(page, page.locator(".st-key-kernel_row"))
    save_page(page, SCREENS / f"result_{theme}.png")
    photograph_qspace(page, theme)
    if theme == "light":
        save_readme_picture(page)
    page.get_by_role("link", name="Synthesize").click()
    page.get_by_role("button", name="Extract from this").click()
    comparison = page.get_by_text("Every method on one map")
    comparison.wait_for()
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
    photograph_stack(page, theme)


def photograph_qspace(page: Any, theme: str) -> None:
    """Put a lattice over the kernel's spectrum; the page's other pictures do not show this section."""
    page.get_by_role("button", name="Lattice").click()
    page.locator(".st-key-q_lattice_kind [data-baseweb=select], .st-key-q_lattice_kind [role=combobox]").first.click()
    page.get_by_role("option", name="Square", exact=True).click()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")  # a button with the focus shows its help
    scroll_to(page, page.get_by_role("heading", name="q-space"))
    page.wait_for_timeout(SETTLE_MS)
    save_page(page, SCREENS / f"qspace_{theme}.png")


def photograph_stack(page: Any, theme: str) -> None:
    """Open a simulated energy stack with its defects, and extract every layer."""
    stack, positions = simulated_stack()
    page.get_by_role("link", name="Extract").click()
    page.locator(".st-key-map_upload input[type=file]").set_input_files(stack)
    page.get_by_text("1 Map: band.npz").wait_for()
    page.get_by_role("tab", name="From file").click()
    page.locator(".st-key-positions_upload input[type=file]").set_input_files(positions)
    page.get_by_role("button", name="Use this list").click()
    page.get_by_text(f"2 Defects: {STACK_DEFECTS}").wait_for()
    page.get_by_role("link", name="Stacks").click()
    page.locator(".st-key-stack_method [data-baseweb=select], .st-key-stack_method [role=combobox]").first.click()
    page.get_by_role("option", name="Circular harmonics", exact=True).click()
    page.get_by_role("button", name="Extract every layer").click()
    page.locator("[data-testid=stPlotlyChart]").first.wait_for()
    save_page(page, SCREENS / f"stacks_{theme}.png")


def simulated_stack() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a stack and its defects as files: the ring of a band whose energy grows with the square of the wave number."""
    rng = np.random.default_rng(7)
    energies = np.linspace(20.0, 200.0, 10)
    side = 96
    places = rng.uniform(6, side - 7, (STACK_DEFECTS, 2))
    kernels = [KernelParameters(0, np.pi / 2, float(np.sqrt(1.5 + energy / 20)), 0.5, 0.2) for energy in energies]
    clean = [simulate_observation(kernel, places, (side, side)) for kernel in kernels]
    layers = [layer + 0.1 * layer.std() * rng.standard_normal(layer.shape) for layer in clean]
    content = io.BytesIO()
    np.savez_compressed(content, didv=np.asarray(layers, np.float32), bias_mv=energies, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    table = "x_px,y_px\n" + "".join(f"{x:.3f},{y:.3f}\n" for x, y in places)
    binary = "application/octet-stream"
    return (
        {"name": "band.npz", "mimeType": binary, "buffer": content.getvalue()},
        {"name": "defects.csv", "mimeType": "text/csv", "buffer": table.encode()},
    )


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
