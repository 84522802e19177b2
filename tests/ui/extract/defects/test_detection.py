"""The detection on the Extract page: drawn at once, and added, put in place of the marks, or left, as the user says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import POSITIONS, npy, start
from ui.extract.defects.proposal_bar import add_to, new_defects
from ui.jobs.defect_search import start_search
from ui.jobs.workers.queues import Job
from ui.state.workspace import DefectList, Workspace


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A map of five spots of which the first two are marked."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    y, x = np.mgrid[:64, :64]
    spots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4) for px, py in POSITIONS)
    app = (
        start()
        .file_uploader(key="map_upload")
        .upload("map.npy", npy(spots + 0.01 * np.random.default_rng(0).standard_normal((64, 64))))
        .run()
    )
    app.session_state["workspace"].defects.replace(POSITIONS[:2], "table", ("B", "A"))
    app.run()
    app.segmented_control(key="look_for").set_value("spots").run()
    return next(button for button in app.button if button.label == "Propose defects").click().run()


def drawn_squares(app: AppTest) -> int:
    """Return how many proposals the map was given to draw."""
    (picker,) = app.get("bidi_component")
    data = json.loads(picker.proto.json) if picker.proto.WhichOneof("data") == "json" else json.loads(picker.proto.mixed.json)
    return len(data["proposal"])


def test_what_is_found_is_drawn_in_the_same_run(app: AppTest):
    assert len(app.session_state["workspace"].proposal) == 5 and drawn_squares(app) == 5


def test_marks_are_never_replaced_unasked(app: AppTest):
    defects = app.session_state["workspace"].defects
    assert app.button(key="proposal_add").label == "Add 3" and app.button(key="proposal_replace").label == "Replace 2"
    app.button(key="proposal_add").click().run()
    np.testing.assert_array_equal(defects.points[:2], POSITIONS[:2])
    assert len(defects.points) == 5 and defects.labels == ("B", "A", "A", "A", "A")
    assert not app.exception and drawn_squares(app) == 0 and not [one for one in app.button if one.key == "proposal_add"]


def test_replace_takes_the_squares_alone(app: AppTest):
    app.button(key="proposal_replace").click().run()
    assert len(app.session_state["workspace"].defects.points) == 5 and app.session_state["workspace"].defects.labels is None


def test_cancel_leaves_the_marks(app: AppTest):
    app.button(key="proposal_cancel").click().run()
    np.testing.assert_array_equal(app.session_state["workspace"].defects.points, POSITIONS[:2])
    assert drawn_squares(app) == 0


def test_a_square_on_a_mark_is_not_new():
    marks = np.array([[10.0, 10.0], [40.0, 5.0]])
    proposal = np.array([[12.0, 10.5], [20.0, 20.0], [40.0, 8.5]])
    np.testing.assert_array_equal(new_defects(proposal, marks), [[20.0, 20.0], [40.0, 8.5]])
    defects = DefectList()
    add_to(defects, proposal)
    assert len(defects.points) == 3 and defects.labels is None


def test_a_broad_pattern_that_is_found_beside_its_mark_is_that_defect(monkeypatch: pytest.MonkeyPatch):
    """The filter of a depression 6 px wide is flat at its top: what it finds 4 px beside the mark is no second defect."""
    monkeypatch.setattr(
        "qpi_core.extraction.defects.defect_detection.find_defects", lambda *_, **__: np.array([[24.0, 20.0], [50.0, 40.0]])
    )
    y, x = np.mgrid[-20:21, -20:21]
    space, view = Workspace(), SimpleNamespace(layer=SimpleNamespace(values=np.zeros((64, 64)), sha256="of the layer"))
    space.defects.replace(np.array([[20.0, 20.0]]), "table")
    job = Job("search")
    monkeypatch.setattr(space.jobs, "start", lambda _kind, _title, work, take, _patience: (vars(job).update(result=work(job)), take(job)))
    job.state = "done"
    start_search(space, view, 0.5, np.exp(-(x**2 + y**2) / 72), "auto")
    np.testing.assert_array_equal(space.proposal, [[20, 20], [50, 40]])
    np.testing.assert_array_equal(new_defects(space.proposal, space.defects.points), [[50, 40]])
