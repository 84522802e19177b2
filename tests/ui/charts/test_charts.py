"""Figures: axes, units, shared zoom."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from qpi_core.base.grid import q_axis
from qpi_core.qspace.spectra import fft_magnitude
from ui.charts.kernels import KernelLook, kernel_and_spectrum, single_kernel, uncertainty_picture
from ui.charts.maps import MapParts, fit_panels


def array_of(sent: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(sent["bdata"]), "<f4").reshape([int(n) for n in sent["shape"].split(",")])


@pytest.mark.parametrize("size", [64, 33])
def test_axes_are_in_nm_and_rad_per_nm(size: int):
    kernel = np.random.default_rng(0).random((size, size), dtype=np.float32)
    figure = kernel_and_spectrum(kernel, fft_magnitude(kernel), (0.2, 0.2), "A")
    first, spectrum = figure["data"]
    np.testing.assert_allclose(array_of(first["customdata"])[0, :, 0], (np.arange(size) - size // 2) * 0.2, atol=1e-5)
    np.testing.assert_allclose(spectrum["y0"] + spectrum["dy"] * np.arange(size), q_axis(size, 0.2), rtol=1e-9, atol=1e-9)
    assert "nm" in figure["layout"]["xaxis"]["title"]["text"] and "rad/nm" in figure["layout"]["xaxis2"]["title"]["text"]


def test_ticks_say_where_they_are():
    kernel = np.eye(64, dtype=np.float32)
    axis = kernel_and_spectrum(kernel, fft_magnitude(kernel), (0.5, 0.5), "")["layout"]["xaxis"]
    for pixel, text in zip(axis["tickvals"], axis["ticktext"], strict=True):
        assert float(text) == pytest.approx(pixel * 0.5)


def test_kernel_and_uncertainty_zoom_together_and_the_fft_apart_within_their_windows():
    kernel = np.eye(32, dtype=np.float32)
    beside = uncertainty_picture(kernel, kernel, "")
    layout = kernel_and_spectrum(kernel, fft_magnitude(kernel), (0.2, 0.1), "", KernelLook(uncertainty=beside))["layout"]
    assert layout["xaxis2"]["matches"] == "x" and layout["yaxis2"]["matches"] == "y"
    assert "matches" not in layout["xaxis3"] and layout["yaxis3"]["scaleanchor"] == "x3"
    assert layout["yaxis"]["scaleratio"] == 2 and layout["yaxis3"].get("scaleratio", 1) == 1, (
        "nm are as long in both directions, and so is q"
    )
    for name in ("xaxis", "xaxis2", "xaxis3"):
        assert [layout[name]["minallowed"], layout[name]["maxallowed"]] == layout[name]["range"]
    assert "rad/px" in kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "")["layout"]["xaxis2"]["title"]["text"]


def test_zero_padding_keeps_the_same_window():
    kernel = np.random.default_rng(1).random((32, 32), dtype=np.float32)
    figure = kernel_and_spectrum(kernel, fft_magnitude(kernel, padded_size=128), (0.1, 0.1), "")
    trace = figure["data"][1]
    assert array_of(trace["z"]).shape == (128, 128)
    assert trace["x0"] == pytest.approx(-np.pi / 0.1) and trace["dx"] == pytest.approx(2 * np.pi / (128 * 0.1))


def test_the_spectrum_begins_with_the_wave_vectors_that_hold_the_kernel_and_its_colours_are_for_those():
    y, x = np.mgrid[-128:128, -128:128] * 0.02
    dip = -np.exp(-(x**2 + y**2) / (2 * 0.5**2)) * np.cos(3 * np.hypot(x, y))
    magnitude = fft_magnitude(dip.astype(np.float32))
    figure = kernel_and_spectrum(dip.astype(np.float32), magnitude, (0.02, 0.02), "")
    low, high = figure["layout"]["xaxis2"]["range"]
    q = 2 * np.pi * (np.arange(256) - 128) / (256 * 0.02)
    inside = (q >= low) & (q <= high)
    assert high < np.pi / 0.02 / 4 < figure["layout"]["xaxis2"]["maxallowed"], "the rest can still be reached"
    assert (magnitude[np.ix_(inside, inside)] ** 2).sum() > 0.999 * (magnitude**2).sum()
    saturated = magnitude[np.ix_(inside, inside)] > figure["data"][1]["zmax"]
    assert saturated.sum() <= 9, "q = 0 and its neighbours, not the whole pattern"


def test_spectrum_colours_ignore_the_mean():
    kernel = np.random.default_rng(2).random((32, 32), dtype=np.float32) + 100
    magnitude = fft_magnitude(kernel)
    trace = kernel_and_spectrum(kernel, magnitude, None, "")["data"][1]
    away = np.delete(magnitude.ravel(), 16 * 32 + 16)
    assert trace["zmax"] == pytest.approx(np.percentile(away, 99.7), rel=1e-5) and trace["zmax"] < magnitude.max() / 10


def test_reconstruction_has_the_maps_colours_and_the_residual_its_span():
    rng = np.random.default_rng(3)
    observation, reconstruction = rng.random((20, 30), dtype=np.float32), rng.random((20, 30), dtype=np.float32)
    figure = fit_panels(MapParts(observation, reconstruction, observation - reconstruction, (0.1, 0.1), "A"), "viridis", (0.2, 0.8))
    first, second, third = figure["data"]
    assert (first["zmin"], first["zmax"]) == (second["zmin"], second["zmax"]) == pytest.approx((200, 800)), "in mA"
    assert (third["zmin"], third["zmax"]) == pytest.approx((-300, 300))


def test_uncertainty_lies_between_kernel_and_spectrum_in_the_kernels_units():
    rng = np.random.default_rng(4)
    kernel = rng.standard_normal((16, 16)).astype(np.float32)
    sigma = (0.1 + 0.1 * rng.random((16, 16))).astype(np.float32)
    figure = kernel_and_spectrum(
        kernel, fft_magnitude(kernel), (0.1, 0.1), "au", KernelLook(uncertainty=uncertainty_picture(kernel, sigma, "au"))
    )
    first, middle, _ = figure["data"]
    np.testing.assert_array_equal(array_of(middle["z"]), sigma)
    np.testing.assert_allclose(array_of(middle["customdata"]), array_of(first["customdata"]))
    assert middle["zmin"] == 0 and middle["zmax"] == pytest.approx(sigma.max())
    assert figure["layout"]["xaxis2"]["matches"] == "x"


def test_uncertainty_on_the_kernels_colours_and_as_a_share_of_it():
    kernel = np.array([[2.0, -4.0], [0.0, 1.0]], dtype=np.float32)
    sigma = np.array([[1.0, 1.0], [1.0, 3.0]], dtype=np.float32)
    same = uncertainty_picture(kernel, sigma, "A", "kernel")
    assert same.limits == (-4.0, 4.0) and same.unit == "A"
    share = uncertainty_picture(kernel, sigma, "A", "share")
    assert share.unit == "%" and share.limits == (0.0, 100.0)
    np.testing.assert_allclose(share.values.ravel()[[0, 1, 3]], [50, 25, 300])
    assert share.values[1, 0] > 1000, "nothing is known where the kernel is 0"


def test_limits_are_those_percentiles_in_all_pictures():
    kernel = np.arange(1024, dtype=np.float32).reshape(32, 32)
    figure = kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "", KernelLook(percentiles=(10.0, 90.0)))
    assert (figure["data"][0]["zmin"], figure["data"][0]["zmax"]) == pytest.approx(tuple(np.percentile(kernel, (10, 90))))
    whole = kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "")
    assert figure["data"][1]["zmax"] < whole["data"][1]["zmax"]


@pytest.mark.parametrize(
    ("pitch", "written", "pixels"), [((0.2, 0.1), "1 nm", 10), ((0.03, 0.03), "0.2 nm", 0.2 / 0.03), (None, "10 px", 10)]
)
def test_the_small_kernel_has_a_scale_bar_of_the_length_that_it_says(pitch, written, pixels):
    layout = single_kernel(np.eye(60, dtype=np.float32), pitch, "A", 150)["layout"]
    assert [note["text"] for note in layout["annotations"] if note["text"]] == [written]
    assert {round(bar["x1"] - bar["x0"], 9) for bar in layout["shapes"]} == {round(pixels, 9)}
    assert layout["height"] == 150 and layout["xaxis"]["visible"] is False


def test_colours_of_a_spectrum_follow_the_square_root_and_those_of_a_kernel_the_values():
    kernel = np.random.default_rng(6).random((32, 32), dtype=np.float32)
    first, spectrum = kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "")["data"]
    logarithmic = kernel_and_spectrum(kernel, fft_magnitude(kernel), None, "", KernelLook(logarithmic=True))["data"][1]
    assert [stop for stop, _ in first["colorscale"]][16] == [stop for stop, _ in logarithmic["colorscale"]][16] == 0.5
    assert [stop for stop, _ in spectrum["colorscale"]][16] == 0.25
    assert spectrum["colorscale"][16][1] == logarithmic["colorscale"][16][1]
