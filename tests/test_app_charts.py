"""Figures: axes, units, shared zoom."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from qpi_core.grid import q_axis
from qpi_core.spectra import fft_magnitude
from ui.charts import fit_panels, kernel_and_spectrum


def array_of(sent: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(sent["bdata"]), "<f4").reshape([int(n) for n in sent["shape"].split(",")])


@pytest.mark.parametrize("size", [64, 33])
def test_axes_are_in_nm_and_rad_per_nm(size: int):
    kernel = np.random.default_rng(0).random((size, size), dtype=np.float32)
    figure = kernel_and_spectrum(kernel, fft_magnitude(kernel), (0.2, 0.2), "A")
    position, wave = (array_of(trace["customdata"]) for trace in figure["data"])
    np.testing.assert_allclose(position[0, :, 0], (np.arange(size) - size // 2) * 0.2, atol=1e-5)
    np.testing.assert_allclose(wave[:, 0, 1], q_axis(size, 0.2), rtol=1e-5, atol=1e-5)
    assert "nm" in figure["layout"]["xaxis"]["title"]["text"] and "rad/nm" in figure["layout"]["xaxis2"]["title"]["text"]


def test_ticks_say_where_they_are():
    kernel = np.eye(64, dtype=np.float32)
    axis = kernel_and_spectrum(kernel, fft_magnitude(kernel), (0.5, 0.5), "")["layout"]["xaxis"]
    for pixel, text in zip(axis["tickvals"], axis["ticktext"], strict=True):
        assert float(text) == pytest.approx(pixel * 0.5)


def test_zoom_is_shared():
    kernel = np.eye(32, dtype=np.float32)
    layout = kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "")["layout"]
    assert layout["xaxis2"]["matches"] == "x" and layout["yaxis2"]["matches"] == "y"
    assert layout["xaxis2"]["range"] == layout["xaxis"]["range"]
    assert "rad/px" in layout["xaxis2"]["title"]["text"]


def test_zero_padding_keeps_the_same_window():
    kernel = np.random.default_rng(1).random((32, 32), dtype=np.float32)
    figure = kernel_and_spectrum(kernel, fft_magnitude(kernel, padded_size=128), (0.1, 0.1), "")
    trace = figure["data"][1]
    assert array_of(trace["z"]).shape == (128, 128)
    assert trace["x0"] == -16 and trace["dx"] == 0.25


def test_spectrum_colours_ignore_the_mean():
    kernel = np.random.default_rng(2).random((32, 32), dtype=np.float32) + 100
    magnitude = fft_magnitude(kernel)
    trace = kernel_and_spectrum(kernel, magnitude, None, "")["data"][1]
    away = np.delete(magnitude.ravel(), 16 * 32 + 16)
    assert trace["zmax"] == pytest.approx(np.percentile(away, 99.7), rel=1e-5) and trace["zmax"] < magnitude.max() / 10


def test_reconstruction_has_the_maps_colours_and_the_residual_its_span():
    rng = np.random.default_rng(3)
    observation, reconstruction = rng.random((20, 30), dtype=np.float32), rng.random((20, 30), dtype=np.float32)
    figure = fit_panels(observation, reconstruction, observation - reconstruction, (0.1, 0.1), "A", "viridis", (0.2, 0.8))
    first, second, third = figure["data"]
    assert (first["zmin"], first["zmax"]) == (second["zmin"], second["zmax"]) == (0.2, 0.8)
    assert (third["zmin"], third["zmax"]) == pytest.approx((-0.3, 0.3))
