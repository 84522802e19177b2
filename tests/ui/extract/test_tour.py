"""The tour and the example that looks measured."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import npy, start
from ui.extract.tour import STEPS
from ui.state.measured_example import measured_example


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    monkeypatch.setattr("ui.jobs.workers.register.PATIENCE_SECONDS", 0.0)
    return start()


def keys(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def test_the_tour_goes_through_its_steps_and_ends(app: AppTest):
    app.button(key="tour_start").click().run()
    space = app.session_state["workspace"]
    assert not app.exception and len(space.defects.points) == 12 and space.jobs.get("extraction") is not None
    for number, (title, _) in enumerate(STEPS, start=1):
        assert any(f"{number} of {len(STEPS)}, {title}" in text.value for text in app.markdown)
        app.button(key="tour_next").click().run()
    assert not app.exception and "tour_next" not in keys(app) and space.tour is None
    space.leave()


def test_the_tour_is_skipped_and_does_not_follow_to_another_map(app: AppTest):
    app.button(key="tour_start").click().run()
    space = app.session_state["workspace"]
    app.file_uploader(key="map_upload").upload("mine.npy", npy(np.random.default_rng(0).standard_normal((30, 30)))).run()
    assert not app.exception and "tour_next" not in keys(app)
    app.button(key="back_to_map").click().run()
    app.button(key="tour_skip").click().run()
    assert "tour_next" not in keys(app) and not app.exception and space.loaded.name == "looks-measured.npy"
    space.leave()


def test_the_example_is_as_the_tour_says():
    example = measured_example()
    assert example.scan.shape == (80, 80) and example.scan.pixel_size_known
    # Rows differ in their offsets by far more than white noise would make them.
    values = example.scan.layer()
    rows = np.diff(values.mean(axis=1))
    assert rows.std() > 2 * values.std() / np.sqrt(values.size)
    assert len(example.positions) == 12
