"""Work that takes longer than a moment: the page goes on, shows what is computed, and can stop it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start
from ui.jobs.workers.background import Stopped, computed, forget
from ui.jobs.workers.queues import quick_queue
from ui.state.workspace import Workspace


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = start()
    return app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The queue for short work, held up until the event is set, and a page that does not wait for it."""
    monkeypatch.setattr("ui.jobs.workers.background.PATIENCE_SECONDS", 0.0)
    gate = threading.Event()
    quick_queue().submit("gate", lambda job: gate.wait(60))
    yield gate
    gate.set()


def state_of(app: AppTest):
    space = app.session_state["workspace"]
    return space.preparations[space.loaded.sha256]


def let_go(gate: threading.Event) -> None:
    gate.set()
    assert quick_queue().submit("after", lambda job: None).wait(60)


def test_a_step_that_takes_long_is_waited_for(app: AppTest, busy: threading.Event):
    app.button(key="prepare_add").click().run()
    assert not app.exception and not app.get("bidi_component") and not app.button(key="cancel_layer").disabled
    let_go(busy)
    app.run()
    assert not app.exception and [step["step"] for step in state_of(app).steps] == ["level"]
    assert any("Levelling" in caption.value for caption in app.caption) and not any(one.key == "cancel_layer" for one in app.button)


def test_a_step_that_is_stopped_is_taken_back(app: AppTest, busy: threading.Event):
    app.button(key="prepare_add").click().run()
    app.button(key="cancel_layer").click().run()
    let_go(busy)
    app.run()
    assert not app.exception and not app.error and state_of(app).steps == []


def test_a_search_that_takes_long_can_be_stopped(app: AppTest, busy: threading.Event):
    app.session_state["workspace"].defects.replace(POSITIONS, "test")
    propose = next(button for button in app.run().button if button.label == "Propose defects")
    propose.click().run()
    assert next(button for button in app.button if button.label == "Propose defects").disabled
    app.button(key="cancel_search").click().run()
    let_go(busy)
    app.run()
    space = app.session_state["workspace"]
    assert not app.exception and space.jobs.get("search") is None and len(space.proposal) == 0


def test_values_are_kept_by_key_and_made_anew_when_forgotten():
    space, made = Workspace(), []

    def value(key: int) -> int | None:
        return computed(space, "value", key, "Value", lambda job: made.append(key) or 10 * key)

    assert [value(key) for key in (1, 2, 1, 2)] == [10, 20, 10, 20] and made == [1, 2]
    for key in (3, 4):
        value(key)
    assert value(1) == 10 and made == [1, 2, 3, 4, 1]
    forget(space, "value")
    assert value(4) == 40 and made[-1] == 4


def test_a_stopped_value_says_so_until_it_is_forgotten(busy: threading.Event):
    space = Workspace()
    assert computed(space, "value", 1, "Value", lambda job: 1) is None
    space.jobs.values["value"][1].cancel()
    let_go(busy)
    with pytest.raises(Stopped):
        computed(space, "value", 1, "Value", lambda job: 1)
    forget(space, "value")
    computed(space, "value", 1, "Value", lambda job: 1)
    let_go(busy)
    assert computed(space, "value", 1, "Value", lambda job: 1) == 1
    np.testing.assert_equal(space.jobs.values["value"][1].state, "done")
