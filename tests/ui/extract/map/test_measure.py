"""The tools on the map: its FFT, and the distance and profile between two marks."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.maps.line_profile import line_profile
from tests.ui.app_driver import noiseless_map, npy, start


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    return app.toggle(key="measure").set_value(True).run()


def charts(app: AppTest) -> dict[str, dict]:
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return {spec["layout"].get("uirevision"): spec for spec in specs}


def test_the_fft_is_there_at_once_and_the_ruler_asks_for_two_marks(app: AppTest):
    assert not app.exception and set(charts(app)) == {"map fft"}
    assert any("Mark two places" in caption.value for caption in app.caption)
    picture = charts(app)["map fft"]["data"][0]
    # 64 pixels of 1: the zero wave vector is the pixel 32, q from -pi.
    assert picture["x0"] == pytest.approx(-np.pi) and picture["dx"] == pytest.approx(2 * np.pi / 64)


def test_the_profile_runs_between_the_chosen_marks(app: AppTest):
    marks = np.array([[10.0, 12.0], [40.0, 52.0], [5.0, 5.0]])
    app.session_state["workspace"].defects.replace(marks, "table")
    app.run()
    assert any("50 px at 53.1° from x towards y" in caption.value for caption in app.caption)
    drawn = charts(app)["profile"]["data"][0]["y"]
    values = np.frombuffer(base64.b64decode(drawn["bdata"]), dtype="<f4")
    np.testing.assert_allclose(values, line_profile(noiseless_map(), tuple(marks[0]), tuple(marks[1])).values, rtol=1e-4, atol=1e-6)
    app.selectbox(key="ruler_to_3").set_value(0).run()
    assert not app.exception and any("same place" in caption.value for caption in app.caption)


def test_spectra_at_the_marks_are_those_of_the_file_whatever_the_preparation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    energies = np.array([-20.0, -10.0, 0.0, 10.0])
    stack = np.random.default_rng(5).standard_normal((4, 20, 26)).astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, didv=stack, bias_mv=energies, pixel_size_nm=0.2)
    app = start().file_uploader(key="map_upload").upload("grid.npz", buffer.getvalue()).run()
    space = app.session_state["workspace"]
    space.defects.replace(np.array([[12.0, 9.0], [15.0, 11.0]]), "list")
    space.preparations[space.loaded.sha256].change([{"step": "crop", "left": 3, "top": 4, "width": 20, "height": 14}])
    app.run().toggle(key="measure").set_value(True).run()
    app.toggle(key="ruler_spectra").set_value(True).run()
    assert not app.exception
    chart = next(json.loads(one.proto.spec) for one in app.get("plotly_chart") if "spectra" in one.proto.spec)
    np.testing.assert_allclose(space.defects.points, [[9.0, 5.0], [12.0, 7.0]])
    for line, (x, y) in zip(chart["data"], [(12, 9), (15, 11)], strict=True):
        np.testing.assert_allclose(np.frombuffer(base64.b64decode(line["y"]["bdata"]), "<f4"), stack[:, y, x], rtol=1e-6)
