"""Pictures: readable PNGs whose colours, orientation and limits are what was asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from qpi_core.base.errors import InputError
from qpi_core.results.figures.pictures import (
    DIVERGING_MAP,
    PictureStyle,
    colour_scale,
    fft_png,
    fit_png,
    kernel_png,
    map_png,
    scale_bar_length,
)

PLAIN = PictureStyle(scale_bar=False, colour_bar=False, dots_per_inch=60, percentiles=(0, 100), colour_map="gray")


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_one_bright_pixel_shows_at_its_place():
    image = np.zeros((10, 10))
    image[2, 7] = 1.0
    picture = opened(map_png(image, title="", style=PLAIN)).sum(axis=2)
    black = picture < 60
    rows, columns = np.flatnonzero(black.sum(axis=1) > 60), np.flatnonzero(black.sum(axis=0) > 60)
    frame = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y, x = np.argwhere(frame > 700).mean(axis=0) / frame.shape
    assert x == pytest.approx(0.75, abs=0.03) and y == pytest.approx(0.25, abs=0.03)


def test_unmeasured_pixels_are_grey():
    image = np.random.default_rng(0).random((12, 12))
    image[:, 6:] = np.nan
    picture = opened(map_png(image, style=PictureStyle(dots_per_inch=60, scale_bar=False, colour_bar=False)))
    grey = (picture == 191).all(axis=2).mean()
    assert 0.2 < grey < 0.5


def test_signed_data_get_a_diverging_map_symmetric_about_zero():
    scale = colour_scale(np.linspace(-2, 1, 101), PictureStyle(percentiles=(0, 100)))
    assert (scale.name, scale.low, scale.high) == (DIVERGING_MAP, -2, 2)
    positive = colour_scale(np.linspace(0, 1, 101), PictureStyle(percentiles=(10, 90)))
    assert (positive.name, positive.low, positive.high) == ("viridis", pytest.approx(0.1), pytest.approx(0.9))


def test_limits_leave_out_what_was_not_measured_and_survive_constants():
    assert colour_scale(np.array([[np.nan, 1.0], [3.0, np.nan]]), PictureStyle(percentiles=(0, 100))).high == 3
    for constant in (np.full((4, 4), 1e-12), np.full((4, 4), np.nan), np.full((4, 4), -5e6)):
        scale = colour_scale(constant)
        assert scale.low < scale.high
        map_png(constant, 0.1, style=PictureStyle(dots_per_inch=40))


def test_metadata_travel_in_the_file():
    content = kernel_png(np.eye(8), 0.1, metadata={"Source": "map.sxm"}, style=PLAIN)
    assert Image.open(io.BytesIO(content)).text["Source"] == "map.sxm"


def test_same_input_gives_the_same_bytes():
    assert fft_png(np.eye(8), 0.1) == fft_png(np.eye(8), 0.1)


def test_names_with_dollar_signs_and_all_panels_are_drawn():
    image = np.random.default_rng(1).normal(size=(20, 30))
    wide = opened(fit_png(image, 0.5 * image, (0.2, 0.1), [[0, 0], [29, 19]], unit="$A$_{", style=PictureStyle(dots_per_inch=40)))
    assert wide.shape[1] > 1.5 * wide.shape[0]
    map_png(image, None, np.empty((0, 2)), title="50 $ and 5 $_{", style=PLAIN)


@pytest.mark.parametrize("width", [0.013, 0.9, 1.0, 7.3, 10.0, 64.0, 512.0, 1e5])
def test_scale_bar_is_round_and_fits(width):
    length = scale_bar_length(width)
    assert 0.1 * width <= length <= 0.25 * width * (1 + 1e-9)
    assert f"{length:e}"[0] in "125" and float(f"{length:.0e}") == pytest.approx(length)


@pytest.mark.parametrize(
    "call",
    [
        lambda: PictureStyle(colour_map="jet"),
        lambda: PictureStyle(percentiles=(99, 1)),
        lambda: PictureStyle(dots_per_inch=100_000),
        lambda: map_png(np.zeros((3, 3, 3))),
        lambda: map_png(np.zeros((4, 4)), pixel_size_nm=-1.0),
        lambda: kernel_png(np.zeros((4, 4), dtype=complex)),
        lambda: fit_png(np.zeros((4, 4)), np.zeros((4, 5))),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError):
        call()
