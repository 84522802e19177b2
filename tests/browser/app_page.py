"""The app as a user handles it: files, mouse on the map, buttons."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECONDS = 100


def eventually(question: Callable[[], bool], what: str) -> None:
    """Wait until something becomes true."""
    deadline = time.monotonic() + SECONDS
    while not question():
        assert time.monotonic() < deadline, f"it never came true that {what}"
        time.sleep(0.1)


class AppPage:
    """One open browser page on the app."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.canvas = page.locator(".st-key-picker canvas")

    def upload_map(self, name: str, content: bytes) -> None:
        self.upload("map_upload", name, content)

    def upload(self, key: str, name: str, content: bytes) -> None:
        """Choose a file, again where the page is not yet listening: a file that is chosen in the first moment is not even shown."""
        uploader = self.page.locator(f".st-key-{key}")
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        for _ in range(6):
            uploader.locator("input[type=file]").set_input_files(file)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                if "per file" not in uploader.inner_text():  # the size limit gives way to the file
                    return
                time.sleep(0.1)
        raise AssertionError(f"the upload of {name} is never shown")

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Return where a map pixel is on the screen."""
        left, top, scale_x, scale_y = json.loads(self.canvas.get_attribute("data-origin"))
        box = self.canvas.bounding_box()
        border = 1
        return box["x"] + border + left + (x + 0.5) * scale_x, box["y"] + border + top + (y + 0.5) * scale_y

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.screen(x, y), **options)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.screen(*start))
        target = self.screen(*end)
        self.page.mouse.down()
        self.page.mouse.move(*target, steps=6)
        self.page.mouse.up()

    def wait_for_map(self) -> None:
        eventually(lambda: self.canvas.count() == 1 and self.canvas.get_attribute("data-origin") is not None, "the map is shown")

    def wait_for_count(self, count: int) -> None:
        """Wait until picture and Python agree on a number of defects."""
        eventually(lambda: self.canvas.get_attribute("data-count") == str(count), f"the picture shows {count} defects")
        self.wait_for_step(f"2 Defects: {count}" if count else "2 Defects: mark at least one")

    def wait_for_step(self, label: str) -> None:
        """Wait until the line of steps says this (a step's icon comes before its text)."""
        self.page.locator(".st-key-steps").get_by_text(re.compile(re.escape(label) + "$")).first.wait_for()

    def zoom(self) -> float:
        return float(self.canvas.get_attribute("data-zoom"))

    def choose(self, key: str, option: str) -> None:
        """Choose from a select box."""
        self.page.locator(f".st-key-{key} [data-baseweb=select], .st-key-{key} [role=combobox]").first.click()
        self.page.get_by_role("option", name=option, exact=True).click()
        box = self.page.locator(f".st-key-{key}")
        eventually(lambda: option in box.inner_text() or self.value_of(key) == option, f"{option} is chosen")

    def value_of(self, key: str) -> str:
        """Return what stands in a select box."""
        field = self.page.locator(f".st-key-{key} input").first
        return field.input_value() if field.count() else ""

    def extract(self) -> None:
        self.page.locator(".st-key-extract").get_by_role("button").click()
        self.wait_for_step("3 Kernel: ready")

    def download(self, kind: str) -> bytes:
        with self.page.expect_download() as caught:
            self.page.locator(f".st-key-download_{kind}").get_by_role("button").click()
        return Path(caught.value.path()).read_bytes()


def npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
