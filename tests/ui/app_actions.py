"""What a user can do to the app, as steps that a test strings together in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import npy, wait_for_job

PAGES = ("extract", "stacks", "synthesize", "latent", "benchmark", "documentation")
SIDES = ((6, 6), (5, 70), (12, 12), (17, 40), (30, 22), (64, 64), (130, 90))
Action = Callable[[AppTest], AppTest]


def on_extract(app: AppTest) -> bool:
    """Say whether the Extract page is open with a map."""
    return bool([one for one in app.selectbox if one.key == "method"]) and app.session_state["workspace"].loaded is not None


def load(shape: tuple[int, ...]) -> Action:
    """Open a map of noise of this shape; a leading energy axis makes it a stack."""

    def act(app: AppTest) -> AppTest:
        if not [one for one in app.file_uploader if one.key == "map_upload"]:
            return app
        values = np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)
        name = "x".join(map(str, shape)) + ".npy"
        return app.file_uploader(key="map_upload").clear().upload(name, npy(values)).run()

    return act


def prepare(step: str, **fields: float) -> Action:
    """Add a preparation step, with some of its fields, named by the beginnings of their keys, filled in."""

    def act(app: AppTest) -> AppTest:
        if not [one for one in app.selectbox if one.key == "prepare_step"]:
            return app
        app.selectbox(key="prepare_step").set_value(step).run()
        for name, value in fields.items():
            for field in [one for one in app.number_input if one.key.startswith(f"prepare_{name}")]:
                field.set_value(min(max(value, field.min), field.max)).run()
        button = app.button(key="prepare_add")
        return app if button.disabled else button.click().run()

    return act


def press(key: str) -> Action:
    """Press a button where it is there and not disabled."""

    def act(app: AppTest) -> AppTest:
        found = [one for one in app.button if one.key == key and not one.disabled]
        return found[0].click().run() if found else app

    return act


def choose(key: str, value: object) -> Action:
    """Choose from a list where it offers the value."""

    def act(app: AppTest) -> AppTest:
        boxes = [one for one in (*app.selectbox, *app.segmented_control) if one.key == key and not one.disabled]
        return boxes[0].set_value(value).run() if boxes else app

    return act


def slide(key: str, share: float) -> Action:
    """Move a slider to a share of its range."""

    def act(app: AppTest) -> AppTest:
        found = [one for one in app.slider if one.key == key and not one.disabled]
        return found[0].set_value(type(found[0].min)(found[0].min + share * (found[0].max - found[0].min))).run() if found else app

    return act


def mark(labels: tuple[str, ...] | None = None) -> Action:
    """Mark two defects, of these classes, as the picture does."""

    def act(app: AppTest) -> AppTest:
        if not on_extract(app):
            return app
        app.session_state["workspace"].defects.replace(np.array([[1.0, 2.0], [3.0, 1.5]]), "picture", labels)
        return app.run()

    return act


def open_page(name: str) -> Action:
    """Go to another page."""
    return lambda app: app.switch_page(f"pages/{name}.py").run()


def extract(app: AppTest) -> AppTest:
    """Press Extract where it can be pressed, and wait for the kernel."""
    return wait_for_job(press("extract")(app))
