"""Caches and the way a map travels to the browser."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from tests.app_driver import npy
from ui.colours import colour_limits, colour_table, is_signed
from ui.loaders import array_hash, loaded_file, prepared_layer
from ui.panels import typed
from ui.picker import encode_layer

pytestmark = pytest.mark.filterwarnings("ignore:.*No runtime found.*")


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
        layers.append(prepared_layer(loaded.sha256, loaded.scan.default_channel, 0, "[]", loaded.scan.pixel_size_nm, loaded.scan))
    assert layers[0].sha256 != layers[1].sha256
    assert np.argwhere(layers[0].values != layers[1].values).tolist() == [[517, 301]]


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
    layer = prepared_layer(loaded.sha256, loaded.scan.default_channel, 0, '[{"step": "level"}]', loaded.scan.pixel_size_nm, loaded.scan)
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
