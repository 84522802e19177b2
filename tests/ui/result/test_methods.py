"""Methods side by side on the user's own map, and large maps drawn as means of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core import load_extractor
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from ui.charts.maps import MapParts, block_means, block_side, fit_panels
from ui.jobs.method_comparison import correlation


@pytest.mark.slow
def test_other_methods_stand_beside_the_result(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    monkeypatch.setattr("ui.result.method_comparison.available_methods", lambda: ["tikhonov", "defect_average", "two_step"])
    app: AppTest = start()
    app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "test")
    app.run().selectbox(key="method").set_value("tikhonov").run()
    app.slider(key="kernel_size").set_value(32).run()
    wait_for_job(app.button(key="extract").click().run())
    wait_for_job(app.button(key="compare_methods").click().run(), "methods")
    assert not app.exception and not app.error
    space = app.session_state["workspace"]
    table = app.table[-1].value
    assert table["Method"].tolist() == ["Least squares", "Defect average"] and float(table["r"].iloc[0]) == 1.0
    other = load_extractor(device="cpu").extract(noiseless_map(), space.outcome.estimate.positions, "defect_average", 32)
    expected = np.corrcoef(other.kernel.ravel(), space.outcome.estimate.kernel.ravel())[0, 1]
    assert float(table["r"].iloc[1]) == pytest.approx(expected, abs=6e-4)
    assert any("needs a released model" in caption.value for caption in app.caption)
    wait_for_job(app.button(key="extract").click().run())  # a newer result has not been compared
    assert len(app.table) == 1


def test_correlation_of_a_constant_kernel_is_not_a_number():
    assert np.isnan(correlation(np.ones((4, 4), np.float32), np.eye(4, dtype=np.float32)))


def test_blocks_are_means_of_what_was_measured_and_keep_their_place():
    values = np.arange(15, dtype=np.float32).reshape(3, 5)
    values[0, 0] = values[2, 4] = np.nan
    expected = [[np.mean([1, 5, 6]), np.mean([2, 3, 7, 8]), np.mean([4, 9])], [10.5, 12.5, np.nan]]
    np.testing.assert_allclose(block_means(values, 2), expected)
    assert block_means(values, 1) is values and (block_side((512, 100)), block_side((513, 8))) == (1, 2)
    large = np.zeros((700, 1024), np.float32)
    figure = fit_panels(MapParts(large, large, large, (0.2, 0.1), ""), "viridis", (0.0, 1.0))
    trace = figure["data"][0]
    assert trace["z"]["shape"] == "350, 512"
    assert [trace[name] for name in ("y0", "dy", "x0", "dx")] == pytest.approx([0.1, 0.4, 0.05, 0.2])
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([-0.05, 102.35])
