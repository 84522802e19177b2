"""Caches and the way a map travels to the browser."""

from __future__ import annotations

import base64
import dataclasses
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from tests.ui.app_driver import npy
from ui.charts.colours import colour_limits, colour_table, is_signed
from ui.charts.subplots import typed
from ui.state.loaders import LoadedMap, array_hash, loaded_file, prepared_layer
from ui.widgets.entrance import enter_through_app
from ui.widgets.picker import encode_layer

pytestmark = pytest.mark.filterwarnings("ignore:.*No runtime found.*")


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A session to belong to: what comes from a person's map is kept in caches of that session."""
    context = SimpleNamespace(session_id="one")
    monkeypatch.setattr("streamlit.runtime.scriptrunner_utils.script_run_context.get_script_run_ctx", lambda *_, **__: context)
    return context


def twins() -> tuple[np.ndarray, np.ndarray]:
    """Two large maps that differ in one pixel: Streamlit's own hash looks at a sample and takes them for the same."""
    first = np.random.default_rng(1).standard_normal((1024, 1024)).astype(np.float32)
    second = first.copy()
    second[517, 301] += 3
    return first, second


def decode(encoded) -> np.ndarray:
    levels = np.frombuffer(zlib.decompress(base64.b64decode(encoded.levels)), "<u2").reshape(encoded.shape)
    return np.where(levels == 65535, np.nan, encoded.low + levels * encoded.step)


def test_two_large_maps_that_differ_in_one_pixel_stay_apart():
    pictures = [decode(encode_layer(array_hash(values), values)) for values in twins()]
    assert np.argwhere(pictures[0] != pictures[1]).tolist() == [[517, 301]]
    layers = []
    for values in twins():
        loaded = loaded_file("map.npy", npy(values))
        layers.append(prepared_layer(loaded.token, loaded.scan.default_channel, 0, "[]", loaded.scan.pixel_size_nm, loaded.scan))
    assert layers[0].sha256 != layers[1].sha256
    assert np.argwhere(layers[0].values != layers[1].values).tolist() == [[517, 301]]


def test_a_session_file_that_states_the_hash_of_another_map_gets_its_own_layer():
    first, second = (loaded_file("map.npy", npy(values)) for values in np.random.default_rng(3).standard_normal((2, 16, 16)))
    liar = dataclasses.replace(second, sha256=first.sha256, token=LoadedMap.__dataclass_fields__["token"].default_factory())
    shown = [prepared_layer(each.token, "data", 0, "[]", (1.0, 1.0), each.scan).values for each in (first, liar)]
    np.testing.assert_array_equal(shown[1], second.scan.layer().astype(np.float32))
    assert not np.array_equal(*shown)


def test_sessions_share_no_layer(session: SimpleNamespace):
    loaded = loaded_file("map.npy", npy(np.random.default_rng(2).standard_normal((16, 16))))
    key = (loaded.token, "data", 0, "[]", (1.0, 1.0), loaded.scan)
    mine = prepared_layer(*key)
    assert prepared_layer(*key) is mine
    session.session_id = "two"
    assert prepared_layer(*key) is not mine


def test_levels_keep_value_and_gaps():
    values = np.array([[1e-12, 5e-12, np.nan], [2e-12, -3e-12, 4e-12]], dtype=np.float32)
    shown = decode(encode_layer(array_hash(values), values))
    np.testing.assert_array_equal(np.isnan(shown), np.isnan(values))
    np.testing.assert_allclose(shown, values, atol=8e-12 / 65000)


def test_constant_map_can_be_shown():
    values = np.full((8, 8), 3.5, dtype=np.float32)
    np.testing.assert_allclose(decode(encode_layer(array_hash(values), values)), 3.5)
    low, high = colour_limits(values)
    assert low < 3.5 < high


def test_prepared_layer_is_read_only():
    loaded = loaded_file("map.npy", npy(np.random.default_rng(2).standard_normal((16, 16))))
    layer = prepared_layer(loaded.token, loaded.scan.default_channel, 0, '[{"step": "level"}]', loaded.scan.pixel_size_nm, loaded.scan)
    with pytest.raises(ValueError, match="read-only"):
        layer.values[0, 0] = 1


def test_diverging_limits_are_symmetric():
    values = np.array([[-1.0, 0.0], [2.0, np.nan]], dtype=np.float32)
    assert colour_limits(values, diverging=True) == (-2.0, 2.0)
    assert is_signed(values) and not is_signed(np.abs(values))


def test_typed_arrays_are_what_plotly_reads():
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    sent = typed(values)
    assert sent["shape"] == "2, 3"
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(sent["bdata"]), "<f4").reshape(2, 3), values)


def test_colour_table_is_matplotlibs():
    import matplotlib

    np.testing.assert_allclose(colour_table("viridis")[128] / 255, matplotlib.colormaps["viridis"](128 / 255)[:3], atol=3e-3)


def test_a_page_that_is_visited_first_starts_over_with_the_app(monkeypatch: pytest.MonkeyPatch):
    again = []
    monkeypatch.setattr("streamlit.runtime.pages_manager.PagesManager.uses_pages_directory", True)
    monkeypatch.setattr("ui.widgets.entrance.behind_a_server", lambda: True)
    monkeypatch.setattr("ui.widgets.entrance.st.rerun", lambda: again.append(True))
    enter_through_app()
    enter_through_app()
    assert again == [True], "once, and never in a circle"
