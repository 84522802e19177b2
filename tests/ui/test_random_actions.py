"""Whoever presses whatever in whatever order: no page dies, no control is dead, nothing stands outside of its bounds.

A random user: every control that is on the page and not disabled may be touched, with a value that it offers; maps are loaded, defects are
marked, pages are changed. What is started runs on in its queue, as it does for a user who does not wait, and is left when the browser goes.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup

from tests.ui import app_actions as do
from tests.ui.app_driver import start

SHAPES = ((6, 6), (24, 30), (30, 22), (48, 48), (3, 20, 24))
_SLOW_KEYS = ("syn_draw", "assess", "compare", "stability")
"""Beginnings of the keys of buttons that compute for minutes what other tests look at."""


@pytest.fixture(autouse=True)
def short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """No networks, which take seconds to load, and a search of a second at most."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    monkeypatch.setattr("ui.extract.defects.blind_panel.TIME_LIMIT_S", 1.0)


WANDERERS = int(os.environ.get("QPI_WANDERERS", "1"))
"""How many users take 150 random actions each: 14 of them, 2,100 actions, take some minutes."""


def alive(app: AppTest, history: list[str]) -> None:
    """Fail where a page has died or a control stands outside of its bounds; the history tells how to get there."""
    assert not app.exception, f"{app.exception[0].message} after {history[-12:]}"
    for slider in app.slider:
        ends = slider.value if isinstance(slider.value, (tuple, list)) else (slider.value,)
        assert all(slider.min <= end <= slider.max for end in ends), (slider.key, ends, history[-12:])
    for field in app.number_input:
        assert field.value is None or field.min <= field.value <= field.max, (field.key, field.value, history[-12:])


def possible_actions(app: AppTest, rng: random.Random) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Return (name, action) of everything that can be done to the controls of the open page."""
    for button in app.button:
        if not button.disabled and not str(button.key or button.label).startswith(_SLOW_KEYS):
            yield f"press {button.key or button.label}", button.click
    for box in app.selectbox:
        if not box.disabled and box.options:
            yield f"choose in {box.key}", lambda box=box: box.select_index(rng.randrange(len(box.options)))
    for switch in (*app.toggle, *app.checkbox):
        if not switch.disabled:
            yield f"switch {switch.key}", lambda switch=switch: switch.set_value(not switch.value)
    for group in app.segmented_control:
        if not group.disabled and group.options:
            yield f"choose in {group.key}", lambda group=group: _press_one(group, rng)
    for slider in app.slider:
        if not slider.disabled:
            yield f"slide {slider.key}", lambda slider=slider: slider.set_value(_within(slider, rng))
    for slider in app.select_slider:
        if not slider.disabled and slider.options:
            yield f"step {slider.key}", lambda slider=slider: slider.set_value(_another(slider, rng))
    for field in app.number_input:
        if not field.disabled:
            yield f"type into {field.key}", lambda field=field: field.set_value(_number(field, rng))


class _Pressed(ButtonGroup[Any]):
    """A group of buttons of which one was pressed: the browser sends what stands on it, whatever value that is."""

    pressed = 0

    @property
    def formatted_values(self) -> list[str]:
        return [self.options[self.pressed]]


def _press_one(group: Any, rng: random.Random) -> None:
    group.__class__, group.pressed = _Pressed, rng.randrange(len(group.options))


def _within(slider: Any, rng: random.Random) -> Any:
    def one() -> Any:
        value = slider.min + rng.random() * (slider.max - slider.min)
        return type(slider.min)(value)

    return tuple(sorted((one(), one()))) if isinstance(slider.value, (tuple, list)) else one()


def _another(slider: Any, rng: random.Random) -> Any:
    """Return the value at a random place: those of numbered layers are their numbers, whatever they are called."""
    return rng.randrange(len(slider.options)) if isinstance(slider.value, int) else slider.value


def _number(field: Any, rng: random.Random) -> Any:
    low, high = max(field.min, -1e6), min(field.max, 1e6)
    value = rng.choice([low, high, low + rng.random() * (high - low), low + rng.random() * min(high - low, 50)])
    return math.floor(value) if isinstance(field.min, int) else float(value)


def whole_job(app: AppTest) -> AppTest:
    """Load a map, mark two defects and extract, so that the controls of a result are there too."""
    for step in (do.open_page("extract"), do.load((30, 22)), do.choose("method", "defect_average"), do.mark(), do.extract):
        app = step(app)
    return app


def wander(seed: int, actions: int) -> list[str]:
    """Do so many random things, and return what was done."""
    rng = random.Random(seed)
    app, history = start(), []
    moves = [
        *(("load", do.load(shape)) for shape in SHAPES),
        *(("mark", do.mark(labels)) for labels in (None, None, ("A", "B"))),
        *((f"open {page}", do.open_page(page)) for page in do.PAGES),
        ("quick stack method", do.choose("stack_method", "defect_average")),
        *(("a kernel", whole_job),) * 4,
    ]
    try:
        for _ in range(actions):
            offered = list(possible_actions(app, rng))
            if offered and rng.random() < 0.8:
                name, act = rng.choice(offered)
                history.append(name)
                act()
                app.run()
            else:
                name, move = rng.choice(moves)
                history.append(name)
                move(app)
            alive(app, history)
        for page in do.PAGES:
            alive(do.open_page(page)(app), [*history, f"open {page}"])
    finally:
        app.session_state["workspace"].leave()
    return history


@pytest.mark.slow
def test_a_random_user_leaves_every_page_alive():
    assert len(set(wander(2, 60))) > 20


# A cancel that meets Python inside a callback of the garbage collector cannot be passed on from there; it is tried again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 10 + WANDERERS))
def test_many_random_actions_leave_every_page_alive(seed: int):
    history = wander(seed, 150)
    assert len(history) == 150 and np.unique(history).size > 30
