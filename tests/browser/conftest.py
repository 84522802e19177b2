"""A real server and a real Chromium for the tests of this folder."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ui.autosave.store import FOLDER_VARIABLE

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_MS = 100_000
_PAGES: list[Any] = []  # the open pages of the running test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here as a browser test, and as slow: server and browser alone take longer than most tests.

    One that fails is tried once more in a fresh browser: on a busy machine two programs that talk over a socket are not always in
    step. The first failure is still listed at the end of the run, with what the page showed.
    """
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add to a failure what stood on its pages: the assertion alone does not say why something never came."""
    outcome = yield
    report = outcome.get_result()
    if call.excinfo is None or report.skipped:
        return
    for number, page in enumerate(_PAGES, 1):
        try:
            shown = page.locator("body").inner_text(timeout=5_000)
            tags = page.evaluate("[...document.querySelectorAll('[class*=st-key-]')].map(part => part.className).join(' ')")
            tags = " ".join(re.findall(r"st-key-\S+", tags))
        except Exception as error:  # noqa: BLE001 - a page that cannot be asked must not hide the failure itself
            shown, tags = f"cannot be read: {error}", ""
        report.sections.append((f"page {number}", f"{shown[:3000]}\n{tags[:2000]}"))


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium; missing it is a reason to skip, or to fail where the browser tests are required."""
    executable = next((found for name in NAMES if (found := shutil.which(name))), None)
    missing = "Chromium is not installed" if executable is None else ""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed"
    if missing:
        if os.environ.get("QPI_REQUIRE_BROWSER") == "1" or os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{missing}, and the browser tests are required here (QPI_REQUIRE_BROWSER or CI is set).")
        pytest.skip(f"{missing}; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def kept_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the app of these tests keeps work for a reload."""
    return tmp_path_factory.mktemp("autosave")


@pytest.fixture(scope="session")
def address(kept_in: Path) -> Iterator[str]:
    """The address of the app, started for these tests on a free port, with a folder of its own for what it keeps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    settings = {**os.environ, FOLDER_VARIABLE: str(kept_in)}
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:  # a computation that nobody waits for any more
                server.kill()


def is_complaint(said: Any) -> bool:
    """Say whether a message of the console is an error of the app.

    Streamlit drops the pictures of a page as soon as it is left; one that the browser still asks for is then not found.
    """
    return said.type == "error" and "/media/" not in str(said.location.get("url"))


@pytest.fixture
def new_page(chromium, address: str):
    """Open the app in a browser of its own; afterwards its console must be free of errors and nothing may have been asked from outside."""
    contexts, complaints = [], []

    def open_page(**options):
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        _PAGES.append(page)
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", lambda said: complaints.append(f"{said.text} {said.location}") if is_complaint(said) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:")) else complaints.append(request.url))
        page.goto(address)
        return page

    yield open_page
    _PAGES.clear()
    for context in contexts:
        context.close()
    assert not complaints, complaints


def _wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"the app ended with status {server.returncode} before it answered")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail("the app did not answer within three minutes")
