"""The main job on measured files, through app.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.measured_data import GRID
from tests.measured_data import NANONIS_SCAN as SCAN
from tests.ui.app_driver import start, wait_for_job


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start()


def load_and_extract(app: AppTest, path: Path, points: list[list[float]], size: int) -> np.ndarray:
    if not path.is_file():
        pytest.skip("../shared/data is not here")
    app.file_uploader(key="map_upload").upload(path.name, path.read_bytes()).run()
    assert not app.exception and not app.error
    app.session_state["workspace"].defects.replace(np.array(points), "test")
    app.selectbox(key="method").set_value("tikhonov").run()
    app.slider(key="kernel_size").set_value(size).run()
    wait_for_job(app.button(key="extract").click().run())
    # "Do not use" is a verdict, not a failure.
    assert not app.exception and all("Do not use" in one.value for one in app.error)
    return app.session_state["workspace"].outcome


def test_scan(app: AppTest):
    outcome = load_and_extract(app, SCAN, [[40, 50], [100, 90.5], [120, 30]], 48)
    assert outcome.estimate.kernel.shape == (48, 48) and np.isfinite(outcome.estimate.kernel).all()
    assert outcome.estimate.pixel_size_nm[1] * 160 == pytest.approx(10, rel=0.05)
    assert outcome.estimate.reconstruction.shape == (160, 160)


def test_one_layer_of_a_grid(app: AppTest):
    load_and_extract(app, GRID, [[10, 12], [20, 8]], 24)
    slider = next(item for item in app.select_slider if item.label.startswith("Energy"))
    slider.set_value(3).run()
    assert not app.exception
    assert any("out of date" in text.value for text in app.markdown)
    outcome = load_and_extract(app, GRID, [[10, 12], [20, 8]], 24)
    scan = app.session_state["workspace"].loaded.scan
    assert outcome.estimate.provenance["input"]["bias_mv"] == pytest.approx(float(scan.bias_mv[outcome.question.view.index]))
