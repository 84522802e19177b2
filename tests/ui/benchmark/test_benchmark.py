"""The Benchmark page, driven through app.py."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.evaluation.benchmark.measure import LIMIT
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.summary import as_json
from qpi_core.evaluation.paper import protocol
from qpi_core.evaluation.results_file import results_from
from qpi_core.networks.checkpoints import list_models
from tests.evaluation.test_results_file import BENCHMARK, PAPER, RECIPE, SUMMARY
from tests.ui.app_driver import start

pytestmark = pytest.mark.skipif(not list_models(), reason="no released model is here")


@pytest.fixture
def app() -> AppTest:
    return start().switch_page("pages/benchmark.py").run()


def traces(app: AppTest) -> list[dict]:
    return json.loads(app.get("plotly_chart")[0].proto.spec)["data"]


def test_released_numbers_card_and_command_are_shown(app: AppTest):
    assert not app.exception and not app.error
    model = list_models()[0]
    results = results_from(model.metrics, model.name)
    expected = [results.find("on-grid", level, "tikhonov").rmse for level in results.noise_levels("on-grid")]
    assert next(trace["y"] for trace in traces(app) if trace["name"] == "Least squares") == expected
    table = app.dataframe[0].value.set_index("Method")
    assert list(table.loc["Least squares"][[f"{level:g}" for level in results.noise_levels("on-grid")]]) == expected
    assert (model.folder / "README.md").read_text().strip() in [text.value for text in app.markdown]
    assert any("qpi_core benchmark" in code.value for code in app.code)
    published = next(frame.value for frame in app.dataframe if "Setting" in frame.value).query("From == 'published'")
    assert published[published["Setting"] == "OOD"]["RMSE"].max() == 0.1193


def test_other_axes_and_measures(app: AppTest):
    model = list_models()[0]
    results = results_from(model.metrics, model.name)
    app.get_by_key("benchmark_along").set_value("Number of defects").run()
    app.selectbox(key="benchmark_measure").set_value("cosine").run()
    level = app.selectbox(key="benchmark_noise").value
    expected = [results.find("on-grid", level, "tikhonov", name).cosine for name in ("1-10", "11-40", "41-100")]
    assert next(trace["y"] for trace in traces(app) if trace["name"] == "Least squares") == expected
    app.get_by_key("benchmark_along").set_value("Kind of scene").run()
    assert not app.exception and app.selectbox(key="benchmark_variant").disabled
    assert "on-grid" in traces(app)[0]["x"]
    app.get_by_key("benchmark_along").set_value("Noise").run()
    assert app.selectbox(key="benchmark_noise").disabled
    app.selectbox(key="benchmark_measure").set_value("rmse").run()
    app.toggle(key="benchmark_intervals").set_value(True).run()
    assert "(" in app.dataframe[0].value.iloc[0]["0.2"]


def test_uploaded_results_stand_beside_the_released_ones(app: AppTest):
    content = {**SUMMARY, "cells": as_json(BENCHMARK), "recipe": RECIPE, "scenes": 2, **protocol.as_json(PAPER)}
    app.file_uploader(key="benchmark_upload").upload("mine.json", json.dumps(content).encode(), "application/json").run()
    assert not app.exception and not app.error
    mine = next(trace for trace in traces(app) if trace["name"] == "Least squares (mine.json)")
    assert mine["y"][mine["x"].index("0.2")] == pytest.approx(0.15) and mine["line"]["dash"] == "dash"
    # The released model may bring a Table 2 of its own.
    found = [sorted(frame.value["RMSE"]) for frame in app.dataframe if "Symmetry loss" in frame.value]
    assert pytest.approx([0.04, 0.06, 0.0924, 0.1004]) in found


def test_the_formulas_limit_is_a_line_with_an_explanation(app: AppTest):
    limits = [
        Record("on-grid", level, index, 5, LIMIT, rmse=level / 50, mse=level**2, mae=level) for level in (0.0, 0.2, 1.0) for index in (0, 1)
    ]
    content = {**SUMMARY, "cells": as_json([*BENCHMARK, *limits])}
    app.file_uploader(key="benchmark_upload").upload("mine.json", json.dumps(content).encode(), "application/json").run()
    assert not app.exception and not app.error
    line = next(trace for trace in traces(app) if trace["name"] == "Formula limit (mine.json)")
    assert [line["y"][line["x"].index(tick)] for tick in ("0", "0.2", "1")] == pytest.approx([0, 0.004, 0.02])
    assert line["line"]["dash"] == "longdash" and "markers" in line["mode"]
    assert any("Formula limit: the least error" in text.value and "Decoder ceiling:" in text.value for text in app.caption)
    assert "Formula limit" in set(app.dataframe[0].value["Method"])


def test_a_wrong_upload_gives_a_sentence_and_keeps_the_page(app: AppTest):
    app.file_uploader(key="benchmark_upload").upload("odd.json", b"{}", "application/json").run()
    assert not app.exception and "odd" in app.error[0].value and len(app.dataframe) >= 1
