"""A second channel beside the map: which channels are offered, and that it shows the map's own place."""

from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.maps.preparation.coordinates import AffineMovement, CoordinateMap
from tests.ui.app_driver import start
from ui.extract.map.beside import beside_key, values_at

SHAPE = (20, 26)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    buffer = io.BytesIO()
    rows, columns = np.indices(SHAPE)
    channels = {"didv": np.random.default_rng(5).standard_normal((3, *SHAPE)), "z": (rows + 100.0 * columns)[None]}
    np.savez(buffer, **{name: values.astype(np.float32) for name, values in channels.items()}, bias_mv=np.array([-1.0, 0.0, 1.0]))
    return start().file_uploader(key="map_upload").upload("grid.npz", buffer.getvalue()).run()


def shown_beside(app: AppTest) -> dict | None:
    """What the picker is given as the second picture."""
    found = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.component_name.endswith("qpi_defect_picker")]
    return found[0]["beside"]


def pixels(picture: dict) -> np.ndarray:
    levels = np.frombuffer(zlib.decompress(base64.b64decode(picture["levels"])), "<u2").reshape(picture["height"], picture["width"])
    return picture["low"] + levels * picture["step"]


def test_the_other_channels_are_offered_and_none_is_shown_at_first(app: AppTest):
    space = app.session_state["workspace"]
    box = app.selectbox(key=beside_key(space.loaded))
    assert not app.exception and box.value is None and shown_beside(app) is None
    assert box.options == [name for name in space.loaded.scan.channels if name != space.loaded.scan.default_channel]


def test_the_second_channel_shows_the_place_of_the_map_after_a_crop(app: AppTest):
    space = app.session_state["workspace"]
    app.selectbox(key=beside_key(space.loaded)).set_value("z").run()
    space.preparations[space.loaded.sha256].change([{"step": "crop", "left": 3, "top": 4, "width": 20, "height": 14}])
    app.run()
    picture = shown_beside(app)
    rows, columns = np.indices((14, 20))
    assert not app.exception and picture["title"] == "z"
    np.testing.assert_allclose(pixels(picture), rows + 4 + 100.0 * (columns + 3), atol=0.05)


def test_a_channel_that_becomes_the_map_is_no_longer_beside_it(app: AppTest):
    space = app.session_state["workspace"]
    app.selectbox(key=beside_key(space.loaded)).set_value("z").run()
    app.selectbox(key=f"channel_{space.loaded.sha256[:12]}").set_value("z").run()
    assert not app.exception and shown_beside(app) is None and app.selectbox(key=beside_key(space.loaded)).value is None


def test_values_come_from_the_nearest_pixel_of_the_raw_layer():
    raw = np.arange(12, dtype=np.float32).reshape(3, 4)
    half = CoordinateMap((AffineMovement(np.eye(2) * 2, np.array([2.0, 0.0])),))  # x' = 2 x + 2, y' = 2 y
    found = values_at(raw, half, (5, 8))
    assert np.isnan(found[:, 0]).all() and found[0, 2] == raw[0, 0] and found[4, 6] == raw[2, 2] and found[2, 4] == raw[1, 1]
