"""Preparation on the Extract page: steps are added, taken back, recorded and saved, and the defects go along."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.maps import level, load_map
from qpi_core.maps.preparation import STEPS, Crop, Level, Preparation
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from ui.charts.maps import StepPicture, step_panels
from ui.extract.preparation.before_after import describe_removed
from ui.extract.preparation.preparation_names import ABOUT, TITLES

TILTED = noiseless_map() + np.arange(64, dtype=np.float32) * 0.05


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return load(start(), TILTED)


def load(app: AppTest, values: np.ndarray, name: str = "map.npy") -> AppTest:
    app.file_uploader(key="map_upload").upload(name, npy(values)).run()
    assert not app.exception
    return app


def space_of(app: AppTest):
    return app.session_state["workspace"]


def state_of(app: AppTest):
    return space_of(app).preparations[space_of(app).loaded.sha256]


def put_defects(app: AppTest, points: np.ndarray) -> None:
    space_of(app).defects.replace(points, "test")
    app.run()


def add(app: AppTest, name: str, **parameters: float) -> AppTest:
    """Choose a step, set some of its numbers, and press Add."""
    app.selectbox(key="prepare_step").set_value(name).run()
    for key, value in parameters.items():
        app.number_input(key=f"prepare_{key}").set_value(value)
    app.button(key="prepare_add").click().run()
    assert not app.exception
    return app


@pytest.mark.slow
def test_every_step_has_a_form_that_makes_it(app: AppTest):
    assert set(TITLES) == set(ABOUT) == set(STEPS)
    y, x = np.mgrid[:64, :64]
    load(app.file_uploader(key="map_upload").clear().run(), np.cos(1.5 * x + 0.1 * y) + np.cos(1.45 * y), "lattice.npy")
    for name in STEPS:
        app.selectbox(key="prepare_step").set_value(name).run()
        assert not app.exception
        if name == "mask_polygon":
            assert app.button(key="prepare_add").disabled and any("corners" in caption.value for caption in app.caption)
            app.text_area(key="prepare_corners").set_value("5, 5\n9 5\n7; 9").run()
        before = len(state_of(app).steps)
        app.button(key="prepare_add").click().run()
        assert not app.exception
        if name == "normalise_set_point":  # a map of one channel has no current: a sentence, and the list stays
            assert len(state_of(app).steps) == before
            assert any("name begins with Current" in error.value for error in app.error)
        elif name in ("average_sweeps", "derive_conductance"):  # nor several energies, nor a way back
            assert len(state_of(app).steps) == before
            assert any("in both directions" in error.value or "has 1 layer" in error.value for error in app.error)
        else:
            assert state_of(app).steps[-1]["step"] == name
            app.button(key="prepare_undo").click().run()
            assert len(state_of(app).steps) == before


def test_levelling_is_used_and_recorded(app: AppTest):
    put_defects(app, POSITIONS)
    add(app, "level")
    app.selectbox(key="method").set_value("tikhonov").run()
    wait_for_job(app.button(key="extract").click().run())
    outcome = space_of(app).outcome
    np.testing.assert_array_equal(outcome.question.view.layer.values, level(TILTED, "plane").astype(np.float32))
    assert outcome.estimate.provenance["input"]["steps"] == [{"step": "level", "kind": "plane"}]
    app.button(key="prepare_remove_0").click().run()
    assert not app.exception and any("out of date" in text.value for text in app.markdown)


def test_defects_go_along_with_a_crop_and_come_back(app: AppTest):
    put_defects(app, POSITIONS)
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    space = space_of(app)
    within = POSITIONS[(POSITIONS >= [9.5, 11.5]).all(axis=1) & (POSITIONS <= [49.5, 47.5]).all(axis=1)]
    assert 0 < len(within) < len(POSITIONS)
    np.testing.assert_allclose(space.defects.points, within - [10, 12])
    assert len(state_of(app).outside) == len(POSITIONS) - len(within)
    assert any("outside set aside" in caption.value for caption in app.caption)
    app.button(key="prepare_undo").click().run()
    found = space.defects.points[np.lexsort(space.defects.points.T)]
    np.testing.assert_allclose(found, POSITIONS[np.lexsort(POSITIONS.T)])
    assert len(state_of(app).outside) == 0


def test_a_list_of_the_raw_map_is_moved_to_the_crop(app: AppTest):
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    app.file_uploader(key="positions_upload").upload("list.csv", b"x_px,y_px\n20,30\n2,60\n").run()
    app.button(key="use_list").click().run()
    np.testing.assert_allclose(space_of(app).defects.points, [[10, 18]])
    np.testing.assert_allclose(state_of(app).outside, [[2, 60]])


def step_chart(app: AppTest) -> dict | None:
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return next((spec for spec in specs if spec["layout"].get("uirevision") == "step"), None)


def test_what_a_step_removed_is_shown(app: AppTest):
    add(app, "level")
    assert app.selectbox(key="prepare_removed").value == 0, "the step that was added is looked at"
    assert not app.exception
    assert any("Background" in caption.value for caption in app.caption)
    before, after, removed = step_chart(app)["data"]
    spans = [one["zmax"] - one["zmin"] for one in (before, after, removed)]
    np.testing.assert_allclose(spans, spans[0], rtol=1e-6)
    assert spans[0] > 0.9 * np.ptp(TILTED) * 0.5 and before["z"]["shape"] == "64, 64"
    app.selectbox(key="prepare_removed").set_value(-1).run()
    assert step_chart(app) is None and not app.exception


def test_a_step_that_took_out_nothing_says_so(app: AppTest):
    add(app, "level")
    add(app, "level")
    assert any("This step took nothing out of the map" in caption.value for caption in app.caption)
    assert len(step_chart(app)["data"]) == 2
    app.button(key="prepare_undo").click().run()
    app.button(key="prepare_undo").click().run()
    assert not app.exception and step_chart(app) is None


def test_large_maps_are_thinned_and_a_step_that_changes_the_unit_has_scales_of_its_own():
    result = Preparation((Crop(0, 0, 50, 50),)).apply(np.random.default_rng(0).random((900, 1300))).results[0]
    assert describe_removed(np.ones((900, 1300)), result)[1]
    figure = step_panels([StepPicture("Before", np.ones((900, 1300)), 1.0, None, "A")], 200)
    assert figure["data"][0]["z"]["shape"] == "300, 434"


def test_steps_are_saved_loaded_and_refused_with_a_sentence(app: AppTest):
    steps = [{"step": "crop", "left": 4, "top": 4, "width": 40, "height": 40}, {"step": "level", "kind": "lines"}]
    app.file_uploader(key="prepare_upload").upload("preparation.json", json.dumps({"steps": steps}).encode()).run()
    assert not app.exception and state_of(app).steps == steps
    assert not app.button(key="prepare_undo").disabled
    app.file_uploader(key="prepare_upload").clear().upload("bad.json", b'[{"step": "sharpen"}]').run()
    assert not app.exception and state_of(app).steps == steps
    assert any("sharpen" in error.value for error in app.error)


def test_steps_that_fit_no_more_leave_the_way_back_open(app: AppTest):
    steps = [{"step": "crop", "left": 0, "top": 0, "width": 400, "height": 40}]
    app.file_uploader(key="prepare_upload").upload("preparation.json", json.dumps(steps).encode()).run()
    assert not app.exception and any("64 x 64 pixels" in error.value for error in app.error)
    app.button(key="prepare_undo").click().run()
    assert not app.exception and not app.error and state_of(app).steps == []


def test_another_map_begins_without_steps_and_the_first_keeps_its_own(app: AppTest):
    put_defects(app, POSITIONS)
    add(app, "level")
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    moved = space_of(app).defects.points
    load(app.file_uploader(key="map_upload").clear().run(), np.random.default_rng(0).normal(size=(40, 48)), "other.npy")
    assert state_of(app).steps == [] and space_of(app).carried == ""
    next(button for button in app.button if button.label == "Back to the map before").click().run()
    assert [step["step"] for step in state_of(app).steps] == ["level", "crop"]
    np.testing.assert_array_equal(space_of(app).defects.points, moved)


def test_the_same_field_keeps_defects_and_steps(app: AppTest):
    put_defects(app, POSITIONS)
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    moved = space_of(app).defects.points
    load(app.file_uploader(key="map_upload").clear().run(), TILTED * 2, "second.npy")
    assert [step["step"] for step in state_of(app).steps] == ["crop"]
    assert any("Kept from map.npy" in text.value and "1 step of preparation" in text.value for text in app.caption)
    np.testing.assert_array_equal(space_of(app).defects.points, moved)
    app.button(key="prepare_remove_0").click().run()
    assert len(space_of(app).defects.points) == len(POSITIONS)


def test_a_result_says_enough_to_be_made_again(app: AppTest, tmp_path, monkeypatch: pytest.MonkeyPatch):
    from qpi_core.results.script import python_snippet

    put_defects(app, POSITIONS)
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    add(app, "level")
    app.selectbox(key="method").set_value("tikhonov").run()
    wait_for_job(app.button(key="extract").click().run())
    estimate = space_of(app).outcome.estimate
    (tmp_path / "map.npy").write_bytes(npy(TILTED))
    assert load_map(tmp_path / "map.npy").shape == (64, 64)
    monkeypatch.chdir(tmp_path)
    exec(compile(python_snippet(estimate), "snippet", "exec"), {})
    np.testing.assert_array_equal(np.load("kernel.npy"), estimate.kernel)


def test_a_saved_session_keeps_the_crop_and_the_defects_outside(app: AppTest):
    from ui.state.preparation_state import PreparationState, restored_preparation, saved_preparation

    put_defects(app, POSITIONS)
    add(app, "crop", left_64=10, top_64=12, across_64=40, down_64=36)
    saved = json.loads(json.dumps(saved_preparation(state_of(app))))
    other = load(start(), TILTED)
    space = space_of(other)
    assert isinstance(state_of(other), PreparationState)
    space.preparations[space.loaded.sha256] = restored_preparation(saved)
    put_defects(other, space_of(app).defects.points)
    np.testing.assert_array_equal(space.defects.points, space_of(app).defects.points)
    other.button(key="prepare_remove_0").click().run()
    found = space.defects.points[np.lexsort(space.defects.points.T)]
    np.testing.assert_allclose(found, POSITIONS[np.lexsort(POSITIONS.T)])


def test_a_tilted_map_offers_to_subtract_the_plane(app: AppTest):
    assert any("% of this map's variance is tilt" in caption.value for caption in app.caption)
    app.button(key="prepare_plane").click().run()
    assert state_of(app).steps == Preparation((Level("plane"),)).to_json()
    assert not any(button.key == "prepare_plane" for button in app.button)
    app.button(key="prepare_undo").click().run()
    assert state_of(app).steps == [] and any(button.key == "prepare_plane" for button in app.button)


def test_a_level_map_offers_nothing(app: AppTest):
    load(app, noiseless_map(), "level.npy")
    assert not any(button.key == "prepare_plane" for button in app.button)
