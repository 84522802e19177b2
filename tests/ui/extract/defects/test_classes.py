"""Classes of defects in the app: kept in step everywhere, a kernel for each, and all of them in the ZIP and the session file."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from qpi_core.extraction.stability.assessment import assess_classes
from qpi_core.maps.positions.files import load_positions
from qpi_core.results.archive import classes_zip
from qpi_core.results.session.session_file import load_session, session_bytes
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from ui.extract.defects.defect_table import apply_class_edits
from ui.state.loaders import extractor
from ui.state.preparation_state import PreparationState, restored_preparation, saved_preparation
from ui.state.saved_outcome import outcome_of_all
from ui.state.workspace import DefectList
from ui.widgets.session_panel import session_of

POINTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
LABELS = ("A", "B", "A", "B", "B")


def test_the_picture_s_classes_are_taken_and_nonsense_is_not():
    defects = DefectList()
    assert defects.adopt({"map": "m", "rev": 1, "points": POINTS.tolist(), "labels": ["A", "B", "A"]}, "m")
    assert defects.labels == ("A", "B", "A")
    for labels in (["A"], "ABA", ["A", 1, "B"], ["A", "", "B"], ["A", "B", "x" * 41]):
        assert not defects.adopt({"map": "m", "rev": 2, "points": POINTS.tolist(), "labels": labels}, "m")
    assert defects.adopt({"map": "m", "rev": 2, "points": POINTS.tolist(), "labels": ["A", "A", "A"]}, "m")
    assert defects.labels is None, "one class is a list without classes"


def test_edits_of_the_class_column():
    edits = {"edited_rows": {"0": {"class": "Co"}, 1: {"x (px)": 2.0}}, "deleted_rows": [2], "added_rows": [{"x (px)": 7.0}]}
    assert apply_class_edits(("A", "B", "B"), edits) == ("Co", "B", "A")


def test_classes_move_with_the_defects_and_come_back():
    class Shift:
        def __init__(self, by):
            self.by = by

        def forward(self, points):
            return points - self.by

        def backward(self, points):
            return points + self.by

    defects, state = DefectList(), PreparationState()
    defects.replace(POINTS, "file", ("A", "B", "C"))
    state.move_defects(defects, Shift(3.0), "crop", (20, 20))
    assert defects.labels == ("B", "C") and state.outside_labels == ("A",)
    again = restored_preparation(saved_preparation(state))
    assert again.outside_labels == ("A",)
    state.move_defects(defects, Shift(0.0), "all", (20, 20))
    assert dict(zip(defects.labels, map(tuple, defects.points), strict=True)) == {"A": (1, 2), "B": (3, 4), "C": (5, 6)}


@pytest.fixture(scope="module")
def extracted():
    app = start()
    app.file_uploader(key="map_upload").set_value(("map.npy", npy(noiseless_map()), "application/octet-stream")).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "test", LABELS)
    app.selectbox(key="method").set_value("tikhonov")
    app.run()
    app.button(key="extract").click().run()
    return wait_for_job(app)


@pytest.mark.slow
def test_a_kernel_for_every_class_and_a_choice_between_them(extracted):
    assert not extracted.exception
    outcome = extracted.session_state["workspace"].outcome
    assert list(outcome.kinds) == ["A", "B"] and [len(one.estimate.positions) for one in outcome.kinds.values()] == [2, 3]
    assert any("5 defects of 2 classes" in caption.value for caption in extracted.caption)
    said = [box.value for box in (*extracted.warning, *extracted.error, *extracted.markdown)]
    assert any("class A has only 2 defects" in sentence for sentence in said)


@pytest.mark.slow
def test_zip_and_session_hold_all_classes(extracted):
    space = extracted.session_state["workspace"]
    with zipfile.ZipFile(io.BytesIO(classes_zip({name: one.estimate for name, one in space.outcome.kinds.items()}))) as archive:
        names = set(archive.namelist())
        listed = load_positions(archive.read("class_B/positions.csv"), "positions.csv")
    np.testing.assert_array_equal(listed.positions_px, POSITIONS)
    assert listed.labels == LABELS
    assert {"estimate.json", "class_A/kernel.npy", "class_B/kernel.npy", "class_B/reproduce.py"} <= names
    session = load_session(session_bytes(session_of(space, {})))
    assert session.labels == LABELS
    again = outcome_of_all(session.results)
    assert list(again.kinds) == ["A", "B"] and again.question.labels == LABELS
    for name, one in again.kinds.items():
        np.testing.assert_array_equal(one.estimate.kernel, space.outcome.kinds[name].estimate.kernel)


@pytest.mark.slow
def test_stability_of_classes_needs_four_defects_of_each(extracted):
    assert extracted.button(key="check_stability").disabled and "of each class" in extracted.button(key="check_stability").help


@pytest.mark.slow
def test_stability_of_a_class_is_that_of_all_classes_together():
    places = np.random.default_rng(2).uniform([2, 2], [29, 29], (8, 2))
    app = start()
    app.file_uploader(key="map_upload").set_value(("map.npy", npy(noiseless_map()), "application/octet-stream")).run()
    app.session_state["workspace"].defects.replace(places, "test", tuple("AB" * 4))
    app.selectbox(key="method").set_value("defect_average")
    app.run()
    app.button(key="extract").click().run()
    app = wait_for_job(app)
    wait_for_job(app.button(key="check_stability").click().run(), "stability")
    space = app.session_state["workspace"]
    outcome = space.assessed
    found = extractor().extract_classes(
        outcome.question.view.layer.values, places, list("AB" * 4), "defect_average", outcome.estimate.kernel_size
    )
    name = outcome.estimate.provenance["classes"]["class"]
    expected = assess_classes(extractor(), outcome.question.view.layer.values, found)[name]
    assert not space.assessment_problem and space.assessment.correlations == pytest.approx(expected.correlations)
