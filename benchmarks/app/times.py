"""Measure what a user waits for, in Chromium: python benchmarks/app/times.py [--scan createc_scan_11nm.dat] (needs the test tools)

Writes times.json and the table of docs/benchmarks.md: seconds until the first page of a new server stands, until the
example's kernel is drawn, and from a measured scan on disk to a kernel with its verdict, with the server's CPU seconds beside it;
milliseconds from a click on a map of 1,000 marks to the picture with the new one, and from a click on a page's name to that page while a
stack of 200 layers runs; seconds until a cancelled computation has ended. The load of the machine before each stands beside it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.app.server import PATIENCE_MS, open_page, start_server  # noqa: E402
from benchmarks.app.times_table import HEADER, rows  # noqa: E402
from benchmarks.results_tables import filled, markdown  # noqa: E402
from qpi_core import simulate_observation  # noqa: E402
from tests.browser.app_page import AppPage  # noqa: E402

MARKS, MARKED_SIDE_PX, CLICKS = 1000, 512, 9
LAYERS, LAYER_SIDE_PX, LAYER_DEFECTS, ROUNDS = 200, 96, 12, 3
OUT = ROOT / "benchmarks" / "app" / "times.json"
SCAN_PATIENCE_MS = 1_800_000
COMMAND = "python benchmarks/app/times.py --scan createc_scan_11nm.dat"
SCAN_DEFECT_PX = (238.9, 209.7)
"""The defect of the scan, as docs/tutorial.md has it."""
PAGES = {
    "Synthesize": ".st-key-synthetic .heatmaplayer image",
    "Latent space": ".st-key-latent_chart .scatterlayer .point",
    "Benchmark": "[data-testid=stTabs]",
    "Documentation": "h2",
    "Stacks": ".st-key-stack_method",
    "Extract": ".st-key-method",
}
"""Name of a page -> what stands on it alone, and late."""
_SWITCH = """([name, ready]) => new Promise((resolve, reject) => {
    const fresh = part => !part.closest("[data-stale=true]") && part.getClientRects().length
    const seen = () => [...document.querySelectorAll(ready)].some(fresh)
    const link = [...document.querySelectorAll("a")].find(one => one.innerText.trim().endsWith(name))
    const begun = performance.now()
    link.click()
    const look = () => {
        if (seen()) requestAnimationFrame(() => resolve(performance.now() - begun))
        else if (performance.now() - begun > 120000) reject(new Error(`${name} does not come`))
        else requestAnimationFrame(look)
    }
    look()
})"""
_MARK = """canvas => new Promise(resolve => {
    window.qpiMarked = new Promise(done => {
        const before = canvas.dataset.count
        let begun = null
        canvas.addEventListener("pointerup", () => { begun = performance.now() }, { once: true, capture: true })
        new MutationObserver((_, self) => {
            if (begun === null || canvas.dataset.count === before) return
            self.disconnect()
            requestAnimationFrame(() => done(performance.now() - begun))
        }).observe(canvas, { attributes: true, attributeFilter: ["data-count"] })
    })
    resolve()
})"""
_GONE = """([key]) => new Promise(resolve => {
    const begun = performance.now()
    document.querySelector(`.st-key-${key} button`).click()
    const look = () => (document.querySelector(`.st-key-${key} button`) ? requestAnimationFrame(look) : resolve(performance.now() - begun))
    look()
})"""


def npy(values: NDArray[np.generic]) -> bytes:
    """Return an array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def cpu_seconds(server: psutil.Process) -> float:
    """Return the CPU seconds that the server and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in (server, *server.children(recursive=True)))


def timed(server: psutil.Process, act: Callable[[], None]) -> dict[str, float]:
    """Return the seconds that something takes, on the clock and of the server's CPU."""
    begun, used = time.perf_counter(), cpu_seconds(server)
    act()
    return {"s": round(time.perf_counter() - begun, 2), "server_cpu_s": round(cpu_seconds(server) - used, 2)}


def new_app(browser: Browser, address: str) -> AppPage:
    """Return the app in a browser session of its own, ready for a file."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    open_page(page, address)
    page.locator(".st-key-map_upload input[type=file]").wait_for(state="attached")
    return AppPage(page)


def take_list(app: AppPage, positions: NDArray[np.float64]) -> None:
    """Take over a list of defects (n, 2) in pixels."""
    table = "x_px,y_px\n" + "".join(f"{x:.3f},{y:.3f}\n" for x, y in positions)
    app.page.get_by_role("tab", name="From file").click()
    chooser = app.page.locator(".st-key-positions_upload input[type=file]")
    chooser.set_input_files({"name": "defects.csv", "mimeType": "text/csv", "buffer": table.encode()})
    app.page.get_by_role("button", name="Use this list").click()
    app.wait_for_count(len(positions))


def example(app: AppPage) -> None:
    """Press the example and wait until its kernel is drawn."""
    app.page.get_by_role("button", name="Try the example").click()
    app.page.locator(".st-key-kernel_row .heatmaplayer image").first.wait_for()


def scan_to_verdict(app: AppPage, scan: Path) -> None:
    """Go from a file on disk to a kernel with its verdict: file, plane, defect, Extract."""
    app.upload_map(scan.name, scan.read_bytes())
    app.page.get_by_role("button", name="Subtract the plane").click()
    app.page.get_by_text("Levelling: plane").first.wait_for(state="attached")
    app.wait_for_map()
    app.click(*SCAN_DEFECT_PX)
    app.wait_for_count(1)
    app.page.locator(".st-key-extract").get_by_role("button").click()
    app.page.locator(".st-key-verdict").wait_for(timeout=SCAN_PATIENCE_MS)


def marks_ms(app: AppPage) -> list[float]:
    """Return the milliseconds from the release of the mouse to the picture with one more mark than 1,000."""
    rng = np.random.default_rng(16)
    app.upload_map("noise.npy", npy(rng.standard_normal((MARKED_SIDE_PX, MARKED_SIDE_PX)).astype(np.float32)))
    app.wait_for_map()
    # On a grid with gaps, so that a click between them hits none.
    step = MARKED_SIDE_PX / 32
    places = np.array([[(column + 0.25) * step, (row + 0.25) * step] for row in range(32) for column in range(32)])[:MARKS]
    take_list(app, places)
    found = []
    for number in range(CLICKS):
        app.canvas.evaluate(_MARK)
        app.click((3 * number + 0.75) * step, (2 * number + 0.75) * step)
        found.append(round(app.page.evaluate("() => window.qpiMarked"), 1))
        app.wait_for_count(MARKS + number + 1)
    return found


def start_stack(app: AppPage) -> None:
    """Have a simulated stack of LAYERS energies computed."""
    rng = np.random.default_rng(17)
    positions = rng.uniform(8, LAYER_SIDE_PX - 9, (LAYER_DEFECTS, 2))
    shape = (LAYER_SIDE_PX, LAYER_SIDE_PX)
    kernels = [
        {"symmetry_order": 4, "orientation": 0.3, "wavenumber": q, "phase": 0.5, "decay": 0.2} for q in np.linspace(2.0, 4.0, LAYERS)
    ]
    clean = np.stack([simulate_observation(kernel, positions, shape) for kernel in kernels])
    app.upload_map("stack.npy", npy((clean + 0.2 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)))
    app.wait_for_map()
    take_list(app, positions)
    app.page.get_by_role("link", name="Stacks").click()
    app.page.get_by_role("button", name="Extract every layer").click()
    app.page.locator(".st-key-cancel_stack button").first.wait_for()


def switches_ms(page: Page) -> dict[str, dict[str, float]]:
    """Return, for each page, the milliseconds of the first visit and the median of the later ones."""
    found: dict[str, list[float]] = {name: [] for name in PAGES}
    for _ in range(ROUNDS):
        for name, ready in PAGES.items():
            found[name].append(page.evaluate(_SWITCH, [name, ready]))
            page.locator(".st-key-cancel_stack button").first.wait_for()
    return {name: {"first": round(times[0]), "later": round(median(times[1:]))} for name, times in found.items()}


def cancel_s(page: Page, key: str) -> float:
    """Return the seconds from a press on Cancel until the computation has ended."""
    page.locator(f".st-key-{key} button").first.wait_for()
    page.wait_for_timeout(2000)  # well on its way
    return round(page.evaluate(_GONE, [key]) / 1000, 2)


@dataclass(frozen=True)
class Running:
    """What is measured: a browser, and the app that it talks to."""

    browser: Browser
    address: str
    server: psutil.Process
    scan: Path | None

    def app(self) -> AppPage:
        """Return the app in a browser session of its own."""
        return new_app(self.browser, self.address)


def first_pages(run: Running) -> dict[str, Any]:
    """Return the seconds until the first page of a new server stands, and that of the next session."""
    return {name: round(open_page(run.browser.new_context().new_page(), run.address), 2) for name in ("new_server_s", "second_session_s")}


def examples(run: Running) -> dict[str, Any]:
    """Return the times of the example's kernel, in a new server and once more."""
    return {name: timed(run.server, partial(example, run.app())) for name in ("first", "again")}


def marks(run: Running) -> dict[str, Any]:
    """Return the milliseconds from a click to its marker."""
    times = marks_ms(run.app())
    return {"marks": MARKS, "median_ms": median(times), "longest_ms": max(times)}


def own_scan(run: Running) -> dict[str, Any]:
    """Return the times from a scan on disk to its verdict; empty without a scan."""
    return timed(run.server, partial(scan_to_verdict, run.app(), run.scan)) if run.scan is not None else {}


def stack(run: Running) -> dict[str, Any]:
    """Return the times of page switches while a stack runs, and of cancelling it and a blind search."""
    app = run.app()
    start_stack(app)
    found: dict[str, Any] = {"layers": LAYERS, "layer_px": [LAYER_SIDE_PX] * 2, "switch_ms": switches_ms(app.page)}
    app.page.get_by_role("link", name="Stacks").click()
    found["cancel_stack_s"] = cancel_s(app.page, "cancel_stack")
    app.page.get_by_role("link", name="Extract").click()
    app.page.locator(".st-key-find_blind").get_by_role("button").click()
    found["cancel_search_s"] = cancel_s(app.page, "cancel_blind")
    return found


PARTS: dict[str, Callable[[Running], dict[str, Any]]] = {
    "first_page": first_pages,
    "example": examples,
    "marker": marks,
    "stack": stack,
    "scan_to_verdict": own_scan,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"), help="path of the browser")
    parser.add_argument("--scan", type=Path, help="createc_scan_11nm.dat, which docs/tutorial.md says where to have")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="measure these; the file keeps the others")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    content: dict[str, Any] = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else {}
    content |= {"command": COMMAND, "processor_cores": os.cpu_count(), "python": platform.python_version()}
    process, address, _ = start_server()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
            run = Running(browser, address, psutil.Process(process.pid), args.scan)
            for part in args.only:
                load = os.getloadavg()[0]
                content[part] = PARTS[part](run) | {"load_before": round(load, 2)}
                args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            browser.close()
    finally:
        process.kill()
        process.wait(timeout=60)
    made = markdown(HEADER, rows(content))
    if args.out == OUT:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(filled(page.read_text(encoding="utf-8"), {"app_times": made}), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
