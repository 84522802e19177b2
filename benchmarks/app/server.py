"""Measure the application from a browser: python benchmarks/app/server.py (needs the test tools and Chromium)

Writes server.json: how long the first page takes in a new server and in a second session; then eight people, each in a
browser of their own with a map of their own, extract at the same moment: seconds until each has a kernel, whether it is the kernel of
their map to the last bit, and the server's memory before, with and after them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from qpi_core import KernelEstimate, load_extractor, simulate_observation

ROOT = Path(__file__).resolve().parents[2]

EMPTY_PAGE, RESULT, EXAMPLE = "From an STM map to the pattern of a single defect", "How well it explains the map", "Try the example"
PATIENCE_MS = 300_000
PEOPLE, SIDE_PX, DEFECTS = 8, 192, 20
SETTLE_SECONDS = 5
LEAVING_SECONDS = 120 + 30
"""The server keeps a session for 120 s after its browser left (.streamlit/config.toml)."""


def start_server() -> tuple[subprocess.Popen[bytes], str, float]:
    """Return the server, its address, and the seconds until it answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", str(port)]
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while time.perf_counter() - started < 120:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return server, address, time.perf_counter() - started
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    server.kill()
    raise SystemExit("the server did not answer within two minutes")


def open_page(page: Page, address: str) -> float:
    """Return the seconds until the first page is drawn."""
    started = time.perf_counter()
    page.goto(address)
    page.get_by_text(EMPTY_PAGE).wait_for(timeout=PATIENCE_MS)
    return time.perf_counter() - started


def memory_mib(server: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of the server and its children."""
    process = psutil.Process(server.pid)
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]) / 2**20


def map_of(person: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return one person's map and its defects (n, 2) in pixels: no two have the same symmetry and wavenumber."""
    rng = np.random.default_rng([2506, person])
    positions = np.round(rng.uniform(8, SIDE_PX - 9, (DEFECTS, 2)), 3)
    order = (2, 3, 4, 6)[person % 4]
    kernel = {"symmetry_order": order, "orientation": 0.3, "wavenumber": 2.5 + 0.3 * person, "phase": 0.5, "decay": 0.2}
    clean = simulate_observation(kernel, positions, (SIDE_PX, SIDE_PX))
    return (clean + 0.1 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32), positions


def load_own_map(page: Page, person: int) -> None:
    """Upload one person's map and list."""
    observation, positions = map_of(person)
    content = io.BytesIO()
    np.save(content, observation)
    table = "x_px,y_px\n" + "".join(f"{x!r},{y!r}\n" for x, y in positions.tolist())
    name = f"person{person}.npy"
    chooser = page.locator(".st-key-map_upload input[type=file]")
    chooser.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content.getvalue()})
    page.get_by_text(f"1 Map: {name}").wait_for()
    page.get_by_role("tab", name="From file").click()
    chooser = page.locator(".st-key-positions_upload input[type=file]")
    chooser.set_input_files({"name": "defects.csv", "mimeType": "text/csv", "buffer": table.encode()})
    page.get_by_role("button", name="Use this list").click()
    page.get_by_text(f"2 Defects: {DEFECTS}").wait_for()


def has_own_kernel(page: Page, person: int) -> bool:
    """Say whether a page's kernel is, bit by bit, what Python gives for this person's map."""
    with page.expect_download() as caught:
        page.locator(".st-key-download_kernel_npy").get_by_role("button").click()
    shown = np.load(caught.value.path(), allow_pickle=False)
    estimate: KernelEstimate = load_extractor(device="cpu").extract(*map_of(person))
    return bool(np.array_equal(shown, estimate.kernel))


def measure_people(browser: Browser, address: str, server: subprocess.Popen[bytes]) -> dict[str, object]:
    """Let PEOPLE browsers extract at the same moment, and leave."""
    before = memory_mib(server)
    contexts = [browser.new_context(accept_downloads=True) for _ in range(PEOPLE)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.set_default_timeout(PATIENCE_MS)
        open_page(page, address)
    time.sleep(SETTLE_SECONDS)
    opened = memory_mib(server)
    for person, page in enumerate(pages):
        load_own_map(page, person)
    started = time.perf_counter()
    for page in pages:
        page.locator(".st-key-extract").get_by_role("button").click()
    seconds = []
    for page in pages:
        page.get_by_text("3 Kernel: ready").wait_for()
        seconds.append(round(time.perf_counter() - started, 1))
    time.sleep(SETTLE_SECONDS)
    idle = memory_mib(server)
    own = sum(has_own_kernel(page, person) for person, page in enumerate(pages))
    for context in contexts:
        context.close()
    time.sleep(LEAVING_SECONDS)
    return {
        "people": PEOPLE,
        "map_px": [SIDE_PX, SIDE_PX],
        "finished_after_s": seconds,
        "kernels_equal_to_python_to_the_last_bit": own,
        "memory_before_people_mib": round(before),
        "memory_a_session_page_only_mib": round((opened - before) / PEOPLE, 2),
        "memory_a_session_with_map_and_result_mib": round((idle - before) / PEOPLE, 2),
        "memory_after_people_left_mib": round(memory_mib(server)),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"), help="path of the browser")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    server, address, answered = start_server()
    content = {"command": "python benchmarks/app/server.py", "processor_cores": os.cpu_count(), "python": platform.python_version()}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
            contexts = [browser.new_context() for _ in range(2)]
            pages = [context.new_page() for context in contexts]
            content["server_start_s"] = round(answered, 2)
            content["first_page_s"] = round(open_page(pages[0], address), 2)
            content["second_session_page_s"] = round(open_page(pages[1], address), 2)
            content["memory_pages_only_mib"] = round(memory_mib(server))
            for page in pages:
                page.get_by_role("button", name=EXAMPLE).click()
            for page in pages:
                page.get_by_text(RESULT).first.wait_for(timeout=PATIENCE_MS)
            content["memory_two_extractions_mib"] = round(memory_mib(server))
            for context in contexts:
                context.close()
            time.sleep(LEAVING_SECONDS)  # what the first two held is no part of what the others take
            content |= measure_people(browser, address, server)
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
