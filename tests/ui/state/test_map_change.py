"""A result belongs to its map: nothing of it is left on another one, and what is carried over is said and can be taken away."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from ui.jobs.workers.queues import job_queue
from ui.state.saved_controls import qspace_controls
from ui.state.usual_controls import USUAL

OTHER = np.random.default_rng(0).standard_normal((40, 48))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A map with a result, in settings that nobody would expect on another map."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = upload(start(), "map.npy", noiseless_map())
    app.session_state["workspace"].defects.replace(POSITIONS, "test")
    app.run().selectbox(key="method").set_value("defect_average").run()
    app.slider(key="kernel_size").set_value(32).run()
    app.button(key="prepare_add").click().run()
    wait_for_job(app.button(key="extract").click().run())
    app.run()
    app.get_by_key("q_window").set_value("hann").run()
    app.slider(key="q_ring_slider").set_value((0.5, 0.9)).run()
    return app


def upload(app: AppTest, name: str, values: np.ndarray) -> AppTest:
    return app.file_uploader(key="map_upload").clear().upload(name, npy(values)).run()


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in [*app.markdown, *app.caption])


def settings_of(app: AppTest) -> dict[str, object]:
    return {key: app.session_state[key] for key in (*USUAL, "method", "q_ring") if key in app.session_state}


def test_another_map_has_neither_kernel_nor_settings_of_the_one_before(app: AppTest):
    before, space = settings_of(app), app.session_state["workspace"]
    outcome = space.outcome
    assert before["q_window"] == "hann" and before["kernel_size"] == 32 and outcome is not None
    upload(app, "other.npy", OTHER)
    assert not app.exception and space.outcome is None and len(space.defects.points) == 0 and not app.get("plotly_chart")
    assert "3 Kernel: press Extract" in texts(app) and not [one for one in app.button if one.key and one.key.startswith("download_")]
    after = settings_of(app)
    assert after["q_window"] == "none" and after["kernel_size"] == 40 and "q_ring" not in after
    assert app.selectbox(key="method").value != "defect_average"
    app.button(key="back_to_map").click().run()
    assert not app.exception and space.outcome is outcome and settings_of(app)["q_window"] == "hann"
    assert app.slider(key="kernel_size").value == 32 and app.selectbox(key="method").value == "defect_average"


def test_another_map_lets_the_pattern_decide_again(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(USUAL, "kernel_auto", True)
    assert not app.toggle(key="kernel_auto").value
    upload(app, "other.npy", OTHER)
    assert app.toggle(key="kernel_auto").value
    app.button(key="back_to_map").click().run()
    assert not app.toggle(key="kernel_auto").value and app.slider(key="kernel_size").value == 32


@pytest.mark.slow
def test_the_example_begins_afresh_each_time(app: AppTest):
    for _ in range(2):
        example = next(button for button in app.button if button.label == "Try the example")
        example.click().run()
        space = app.session_state["workspace"]
        assert not app.exception and space.preparations[space.loaded.sha256].steps == []
        assert app.slider(key="kernel_size").value == 64 and app.selectbox(key="method").value != "defect_average"
        app.button(key="prepare_add").click().run()
        assert len(space.preparations[space.loaded.sha256].steps) == 1


@pytest.mark.slow
def test_the_same_field_says_what_it_keeps_and_can_begin_afresh(app: AppTest):
    space = app.session_state["workspace"]
    upload(app, "second.npy", noiseless_map() * 2)
    assert space.outcome is None and len(space.defects.points) == 5
    assert "Kept from map.npy" in texts(app)
    assert "5 marks, 1 step of preparation, method and settings" in texts(app)
    app.button(key="start_afresh").click().run()
    assert not app.exception and len(space.defects.points) == 0 and space.preparations[space.loaded.sha256].steps == []
    assert app.slider(key="kernel_size").value == 64 and "Kept from" not in texts(app)


def test_a_kernel_that_ends_after_its_map_has_gone_is_not_shown(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.jobs.workers.register.PATIENCE_SECONDS", 0.0)
    gate = threading.Event()
    job_queue().submit("gate", lambda job: gate.wait(60))
    app.button(key="extract").click().run()
    upload(app, "other.npy", OTHER)
    gate.set()
    assert job_queue().submit("after", lambda job: None).wait(60)
    assert not app.run().exception and app.session_state["workspace"].outcome is None


def test_every_setting_of_the_q_space_view_belongs_to_the_map():
    assert set(qspace_controls()) - set(USUAL) == {"q_ring", "q_unit"}, "the unit is a habit of the user; the ring follows the result"
