"""What is shown of a solved stack."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.qspace.dispersion.energy_map import energy_map
from qpi_core.results.stacks.stack_files import energy_map_csv
from tests.ui.stacks.stack_app import ENERGIES, PITCH, POSITIONS, SHAPE, SIZE, STACK, chart, compute
from ui.charts.stack import scaled
from ui.stacks.energies import clicked_layer
from ui.stacks.layer_view import explained, layer_values


def test_a_layer_has_its_q_space_view_and_a_cut_goes_over_the_energies(ready: AppTest):
    app = compute(ready)
    magnitude, whole = (trace for trace in chart(app, "qspace rad/nm 1")["data"] if trace["type"] == "heatmap")
    assert magnitude["zmax"] == whole["zmax"] and whole["dx"] == pytest.approx(2 * np.pi / (SHAPE[1] * PITCH))
    app.get_by_key("q_profile").set_value("cut").run()
    app.number_input(key="q_cut_angle").set_value(90.0).run()
    assert not app.exception
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    cut = next(spec for spec in specs if "along 90°" in str(spec["layout"]["annotations"]))
    expected = energy_map(app.session_state["workspace"].stack_outcome.estimate.kernels, ENERGIES, PITCH, "none", np.pi / 2)
    assert cut["data"][0]["dx"] == pytest.approx(expected.q[1])
    drawn = np.frombuffer(base64.b64decode(cut["data"][0]["z"]["bdata"]), "<f4").reshape(expected.magnitude.shape)
    np.testing.assert_allclose(drawn, expected.magnitude, rtol=1e-5)


@pytest.mark.slow
def test_the_model_of_a_layer_is_the_sum_of_its_kernels_at_the_defects(ready: AppTest):
    places = np.rint(POSITIONS)
    ready.session_state["workspace"].defects.replace(places, "list", ["A", "B"] * 5)
    outcome = compute(ready.run()).session_state["workspace"].stack_outcome
    np.testing.assert_array_equal(layer_values(outcome, 2), STACK[2].astype(np.float32))
    padded = np.zeros((SHAPE[0] + 2 * SIZE, SHAPE[1] + 2 * SIZE))
    for number, (x, y) in enumerate(places.astype(int)):
        kernel = outcome.views["AB"[number % 2]].estimate.kernels[2]
        top, left = y + SIZE - SIZE // 2, x + SIZE - SIZE // 2
        padded[top : top + SIZE, left : left + SIZE] += kernel
    expected = padded[SIZE:-SIZE, SIZE:-SIZE] + outcome.estimate.background[2]
    np.testing.assert_allclose(explained(outcome, 2, SHAPE), expected, atol=1e-4 * np.abs(expected).max())


def test_play_goes_from_one_energy_to_the_next(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    app = compute(ready)
    key = next(one.key for one in app.select_slider if one.key.startswith("stack_layer"))
    app.select_slider(key=key).set_value(4).run()
    monkeypatch.setattr("ui.stacks.result._PLAY_SECONDS", 0.0)
    app.toggle(key="stack_play").set_value(True).run()
    assert app.select_slider(key=key).value == 0, "after the last one comes the first"
    app.run()
    assert app.select_slider(key=key).value == 1 and not app.exception


def test_a_click_on_an_energy_goes_there(ready: AppTest):
    view = compute(ready).session_state["workspace"].stack_outcome.views[""]
    state = {"stack_energies": {"selection": {"points": [{"x": 1.0, "y": 151.0}]}}}
    assert clicked_layer(state, view) == 2
    assert clicked_layer({"stack_energies": {"selection": {"points": []}}}, view) is None
    assert clicked_layer({"stack_energies": {"selection": {"points": [{"y": "x"}, 3]}}}, view) is None


def test_colours_of_each_energy_reach_the_same_maximum_and_logarithms_keep_the_order():
    rows = np.array([[9.0, 9.0, 1.0, 4.0], [90.0, 9.0, 10.0, 2.0], [np.nan] * 4])
    alike, logarithms = scaled(rows, "each"), scaled(rows, "log")
    np.testing.assert_allclose(np.nanmax(alike[:2, 2:], axis=1), 1.0)
    np.testing.assert_allclose(alike[0], rows[0] / 4.0)
    np.testing.assert_allclose(logarithms[:2], np.log10(rows[:2]), rtol=1e-6)
    assert np.isnan(alike[2]).all() and np.isnan(logarithms[2]).all()
    np.testing.assert_array_equal(scaled(rows[:2], "linear"), rows[:2])


def test_energy_map_as_numbers_says_what_its_rows_and_columns_are():
    spectra = energy_map(np.stack([np.eye(16), np.full((16, 16), np.nan), np.ones((16, 16))]), [10.0, 20.0, 30.0], PITCH)
    head, *lines = energy_map_csv(spectra, True).decode().splitlines()
    assert head.startswith("bias_mv,q=0_rad_per_nm") and len(head.split(",")) == 1 + len(spectra.q)
    assert lines[1].split(",")[0] == "20" and set(lines[1].split(",")[1:]) == {""}
    np.testing.assert_allclose(np.array(lines[2].split(","), dtype=float), [30.0, *spectra.magnitude[2]], rtol=1e-8)
