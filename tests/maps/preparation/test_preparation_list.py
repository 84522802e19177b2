"""The list of steps: in and out of JSON, replayed on another layer, positions through several steps."""

import json
from dataclasses import fields

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from qpi_core.maps.preparation import (
    STEPS,
    AverageSweeps,
    CorrectDrift,
    CorrectShear,
    Crop,
    DeriveConductance,
    Level,
    MaskDisc,
    MaskPolygon,
    MaskRectangle,
    NormaliseSetPoint,
    Preparation,
    RemoveStreaks,
    RepairOutliers,
    Resample,
    load_preparation,
)
from tests.maps.written import written_files as written

PEAKS = ((6.0, 0.5), (-0.5, 6.0))
EVERY_STEP = Preparation(
    (
        Level("polynomial", 3),
        Level("line_differences"),
        RemoveStreaks(3.5, 20, 1),
        RepairOutliers(6.0, 5, "unmeasured"),
        Crop(2, 3, 40, 41),
        Resample(),
        Resample(0.15),
        CorrectShear(PEAKS, ((6.1, 0.5), (-0.5, 6.1))),
        CorrectDrift(PEAKS, 1.0, "Z (m)"),
        MaskRectangle(1, 2, 3.5, 4, keep=False),
        MaskDisc(20, 20, 3),
        MaskPolygon(((1, 1), (5, 1), (3, 6))),
        AverageSweeps(),
        DeriveConductance(9, 3),
        NormaliseSetPoint("current_over_bias", "Current (A)", 0.1),
    )
)


def test_every_step_survives_json():
    assert {step.name for step in EVERY_STEP.steps} == set(STEPS)
    text = json.dumps(EVERY_STEP.to_json(), allow_nan=False)
    assert Preparation.from_json(json.loads(text)) == EVERY_STEP
    assert Preparation((Level("plane"),)).to_json() == [{"step": "level", "kind": "plane"}]


@pytest.mark.parametrize("name", STEPS)
def test_every_parameter_is_explained(name):
    for part in fields(STEPS[name]):
        assert part.name in STEPS[name].__doc__


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"step": "level"}, "list of steps"),
        (["level"], "Step 1 of the preparation must be an object"),
        ([{"step": "level"}, {"step": "sharpen"}], "Step 2 of the preparation is 'sharpen', which is unknown"),
        ([{"step": "level", "kid": "plane"}], "unknown parameter 'kid'"),
        ([{"step": "crop", "left": 1, "top": 1, "width": 8}], "needs the parameter 'height'"),
        ([{"step": "crop", "left": 1.5, "top": 1, "width": 8, "height": 8}], "left of step 1"),
        ([{"step": "crop", "left": -1, "top": 1, "width": 8, "height": 8}], "whole number from 0"),
        ([{"step": "level", "kind": "tilt"}], "must be one of 'plane'"),
        ([{"step": "level", "kind": "plane", "order": 2}], "polynomial"),
        ([{"step": "mask_disc", "x": True, "y": 1, "radius": 1}], "must be a number"),
        ([{"step": "mask_disc", "x": float("nan"), "y": 1, "radius": 1}], "x of the step 'mask_disc'"),
        ([{"step": "mask_polygon", "corners": [[1, 2], [3]]}], "pairs of numbers"),
        ([{"step": "correct_shear", "measured": [[1, 0], [0, 1]], "ideal": "square"}], "pairs of numbers"),
        ([{"step": "level"}] * 101, "at most 100"),
    ],
)
def test_bad_lists_get_a_sentence(described, sentence):
    with pytest.raises(InputError, match=sentence):
        Preparation.from_json(described)


def test_files_with_a_list_an_object_or_a_side_car(tmp_path):
    steps = Preparation((Level("lines"), Crop(1, 2, 30, 31)))
    side_car = {"kernel_size": 9, "provenance": {"input": {"name": "map.npy", "steps": steps.to_json()}}}
    for content in (steps.to_json(), {"steps": steps.to_json()}, side_car):
        assert load_preparation(json.dumps(content).encode()) == steps
    assert load_preparation(json.dumps({"provenance": {"input": {"name": "map.npy"}}}).encode()) == Preparation()
    with pytest.raises(InputError, match="steps.txt is not a JSON file"):
        load_preparation(b"plane, then crop", "steps.txt")
    with pytest.raises(InputError, match="list of steps"):
        load_preparation(b'{"stages": []}', "steps.json")
    with pytest.raises(InputError, match="no file named"):
        load_preparation(tmp_path / "steps.json")


def test_steps_run_in_order_and_say_what_they_removed():
    y, x = np.mgrid[:40, :50].astype(float)
    layer = 2 * x + np.random.default_rng(0).normal(size=x.shape)
    levelled_first = Preparation((Level("plane"), Crop(0, 0, 20, 20))).apply(layer)
    cropped_first = Preparation((Crop(0, 0, 20, 20), Level("plane"))).apply(layer)
    assert abs(levelled_first.values.mean()) > 1e-3 and abs(cropped_first.values.mean()) < 1e-9
    assert [result.removed.shape for result in cropped_first.results] == [(40, 50), (20, 20)]
    untouched = Preparation().apply(layer)
    np.testing.assert_array_equal(untouched.values, layer)
    assert untouched.values is not layer and untouched.results == ()


def test_positions_through_several_steps_and_back():
    layer = np.random.default_rng(0).normal(size=(60, 80))
    shear = CorrectShear(PEAKS, ((6.2, 0.3), (-0.7, 5.9)))
    prepared = Preparation((Crop(4, 6, 70, 50), Resample(0.08), shear, Crop(3, 2, 60, 50))).apply(layer, (0.2, 0.1))
    points = np.random.default_rng(1).uniform(5, 50, (20, 2))
    moved = prepared.coordinates.forward(points)
    by_hand = (points - [4, 6] + 0.5) * [0.1 / 0.08, 0.2 / 0.08] - 0.5
    sheared = Preparation((shear,)).apply(np.zeros((125, 87)), 0.08).coordinates.forward(by_hand)
    np.testing.assert_allclose(moved, sheared - [3, 2], atol=1e-9)
    np.testing.assert_allclose(prepared.coordinates.backward(moved), points, atol=1e-9)
    assert prepared.coordinates.forward(np.zeros((0, 2))).shape == (0, 2)


def test_replayed_on_every_layer_of_a_map():
    data = np.random.default_rng(1).normal(size=(20, 24, 2, 5)).astype(np.float32)
    data[:, :, 0] = 1e-10 * (1 + 0.1 * data[:, :, 0])
    scan = load_map(written.grid_3ds(data, z=written.asymmetric(20, 24)), "grid.3ds")
    preparation = Preparation((Crop(2, 3, 16, 12), NormaliseSetPoint(), Level("plane")))
    for index in (0, 4):
        expected = scan.layer(index=index) / (scan.layer("Current (A)", index=index) / (scan.bias_mv[index] / 1e3))
        expected = expected.astype(float)[3:15, 2:18]
        prepared = preparation.apply_to_scan(scan, index=index)
        np.testing.assert_allclose(prepared.values, Preparation((Level("plane"),)).apply(expected).values, rtol=1e-4, atol=1e-6)
        assert prepared.unit == "V" and prepared.pixel_size_nm == scan.pixel_size_nm
    with pytest.raises(InputError, match="is 0 mV"):
        preparation.apply_to_scan(scan, index=2)
    with pytest.raises(InputError, match="needs the channel 'Topo'"):
        Preparation((CorrectDrift(PEAKS, 1.0, "Topo"),)).apply_to_scan(scan)


ON_ONE_LAYER = [step for step in EVERY_STEP.steps if not isinstance(step, (Crop, AverageSweeps, DeriveConductance))]


@pytest.mark.parametrize("step", ON_ONE_LAYER, ids=lambda step: step.name)
def test_every_step_copes_with_gaps(step):
    y, x = np.mgrid[:60, :60].astype(float)
    layer = np.cos(0.6 * x + 0.05 * y) + np.cos(0.6 * y - 0.05 * x) + 0.05 * np.random.default_rng(0).normal(size=x.shape)
    layer[20:26, 30:45] = np.nan
    layer[50] = np.nan
    before = layer.copy()
    companions = {"Z (m)": layer, "Current (A)": 2 + 0.1 * layer}
    prepared = Preparation((step,)).apply(layer, 0.1, 30.0, companions=companions)
    np.testing.assert_array_equal(layer, before)
    assert np.isfinite(prepared.values).mean() > 0.7 and not np.isinf(prepared.values).any()
    missing = prepared.coordinates.backward([[37.0, 22.5], [10.0, 50.0]])
    x_gap, y_gap = np.round(prepared.coordinates.forward([[37.0, 22.5]])[0]).astype(int)
    assert np.isnan(prepared.values[y_gap, x_gap]) and missing.shape == (2, 2)


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(InputError, match="preparation steps only"):
        Preparation(("plane",))
    with pytest.raises(InputError, match="shape of the observation"):
        Preparation().apply(np.ones((8, 8)), companions={"Z": np.ones((8, 9))})
    with pytest.raises(InputError, match="2-D"):
        Preparation().apply(np.ones((3, 8, 8)))
