"""Measure the application from a browser: python benchmarks/app_server.py (needs the test tools and Chromium)

Writes benchmarks/app_server.json: how long the first page takes in a new server and in a second session, and the memory of the
server after two people have each extracted the example.
"""

from __future__ import annotations

import argparse
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

import psutil
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
EMPTY_PAGE, RESULT, EXAMPLE = "From an STM map to the pattern of a single defect", "How well it explains the map", "Try the example"
PATIENCE_MS = 300_000


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


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"), help="path of the browser")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("app_server.json"))
    args = parser.parse_args()
    server, address, answered = start_server()
    content = {"command": "python benchmarks/app_server.py", "processor_cores": os.cpu_count(), "python": platform.python_version()}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
            pages = [browser.new_context().new_page() for _ in range(2)]
            content["server_start_s"] = round(answered, 2)
            content["first_page_s"] = round(open_page(pages[0], address), 2)
            content["second_session_page_s"] = round(open_page(pages[1], address), 2)
            content["memory_pages_only_mib"] = round(memory_mib(server))
            for page in pages:
                page.get_by_role("button", name=EXAMPLE).click()
            for page in pages:
                page.get_by_text(RESULT).first.wait_for(timeout=PATIENCE_MS)
            content["memory_two_extractions_mib"] = round(memory_mib(server))
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
