"""The verdict on top of a result, and the button that mends it."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.diagnostics.verdict import Remedy, verdict_of
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job

NOISY = noiseless_map() + np.float32(0.05) * np.random.default_rng(3).standard_normal((64, 64)).astype(np.float32)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A map of five marked defects, without networks."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(NOISY)).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "table")
    return app.run()


def extract(app: AppTest, **controls: object) -> AppTest:
    for key, value in controls.items():
        control = app.slider(key=key) if key == "kernel_size" else app.selectbox(key=key)
        control.set_value(value).run()
    return wait_for_job(app.button(key="extract").click().run())


def boxes(app: AppTest) -> list[str]:
    return [box.value for box in (*app.success, *app.warning, *app.error) if box.value.startswith("**")]


@pytest.mark.slow
def test_a_window_that_cuts_is_mended_by_one_press(app: AppTest):
    extract(app, kernel_size=16)
    (said,) = boxes(app)
    verdict = verdict_of(app.session_state["workspace"].outcome.estimate)
    assert verdict.remedy is Remedy.ENLARGE_WINDOW and "kernel window of 16" in said
    wait_for_job(app.button(key="mend").click().run())
    assert not app.exception and app.session_state["workspace"].outcome.question.kernel_size == int(verdict.value)
    assert len(boxes(app)) == 1 and "kernel window of 16" not in boxes(app)[0]


def test_marks_set_twice_are_merged_and_undo_brings_them_back(app: AppTest):
    space = app.session_state["workspace"]
    space.defects.replace(np.concatenate([POSITIONS, POSITIONS[:1] + 0.1]), "table")
    extract(app.run(), method="tikhonov")
    wait_for_job(app.button(key="mend").click().run())
    assert len(space.defects.points) == 5 and len(space.outcome.question.positions) == 5 and not app.exception


@pytest.mark.slow
def test_two_kinds_are_marked_as_classes_by_one_press(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    scene = draw_measured_scene("second-30-listed", 90210, 1)
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(scene.observation)).run()
    space = app.session_state["workspace"]
    space.defects.replace(scene.positions, "table")
    extract(app.run())
    assert "defects of two kinds" in boxes(app)[0] and space.defects.labels is None
    wait_for_job(app.button(key="mend").click().run())
    assert space.defects.labels == scene.classes and not app.exception


@pytest.mark.slow
def test_more_defects_like_the_kernel_are_looked_for_by_one_press(app: AppTest):
    space = app.session_state["workspace"]
    space.defects.replace(POSITIONS[:1], "table")
    extract(app.run(), kernel_size=32)
    verdict = verdict_of(space.outcome.estimate)
    assert verdict.remedy is Remedy.FIND_MISSING and len(space.outcome.question.positions) == 1
    wait_for_job(app.button(key="mend").click().run())
    assert not app.exception
    assert len(space.proposal), space.proposal_note
    distance = np.hypot(*(POSITIONS[:, None] - space.proposal[None]).transpose(2, 0, 1))
    assert np.sum(distance.min(axis=1) < 2) >= 3
    assert any("They are in the map above" in caption.value for caption in app.caption)


@pytest.mark.slow
def test_an_average_is_extracted_again_by_the_best_method(app: AppTest):
    extract(app, method="defect_average")
    wait_for_job(app.button(key="mend").click().run())
    assert app.session_state["workspace"].outcome.question.method == "refined" and app.selectbox(key="method").value == "refined"


def test_a_stale_result_offers_no_remedy(app: AppTest):
    extract(app, method="defect_average")
    app.session_state["workspace"].defects.replace(POSITIONS[:3], "table")
    app.run()
    assert boxes(app) and not [button for button in app.button if button.key == "mend"]


def test_only_one_box_is_shown_and_the_rest_is_folded(app: AppTest):
    extract(app, method="parametric")
    verdict = verdict_of(app.session_state["workspace"].outcome.estimate)
    assert len(boxes(app)) == 1 and verdict.others
    assert [fold.label for fold in app.expander if "further" in fold.label] == [
        f"{len(verdict.others)} further {'remark' if len(verdict.others) == 1 else 'remarks'}"
    ]
