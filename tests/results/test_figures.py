"""Pictures: readable PNGs whose colours, orientation and limits are what was asked for."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from qpi_core.base.errors import InputError
from qpi_core.results.figures.picture_style import DIVERGING_MAP, PictureStyle, colour_scale
from qpi_core.results.figures.pictures import (
    fft_picture,
    fit_picture,
    kernel_picture,
    map_picture,
    scale_bar_length,
)

PLAIN = PictureStyle(scale_bar=False, colour_bar=False, dots_per_inch=60, percentiles=(0, 100), colour_map="gray")


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_one_bright_pixel_shows_at_its_place():
    image = np.zeros((10, 10))
    image[2, 7] = 1.0
    picture = opened(map_picture(image, title="", style=PLAIN)).sum(axis=2)
    black = picture < 60
    rows, columns = np.flatnonzero(black.sum(axis=1) > 60), np.flatnonzero(black.sum(axis=0) > 60)
    frame = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y, x = np.argwhere(frame > 700).mean(axis=0) / frame.shape
    assert x == pytest.approx(0.75, abs=0.03) and y == pytest.approx(0.25, abs=0.03)


def test_unmeasured_pixels_are_grey():
    image = np.random.default_rng(0).random((12, 12))
    image[:, 6:] = np.nan
    picture = opened(map_picture(image, style=PictureStyle(dots_per_inch=60, scale_bar=False, colour_bar=False)))
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
        map_picture(constant, 0.1, style=PictureStyle(dots_per_inch=40))


def test_metadata_travel_in_the_file():
    content = kernel_picture(np.eye(8), 0.1, metadata={"Source": "map.sxm"}, style=PLAIN)
    assert Image.open(io.BytesIO(content)).text["Source"] == "map.sxm"


def test_same_input_gives_the_same_bytes():
    assert fft_picture(np.eye(8), 0.1) == fft_picture(np.eye(8), 0.1)


def test_names_with_dollar_signs_and_all_panels_are_drawn():
    image = np.random.default_rng(1).normal(size=(20, 30))
    wide = opened(fit_picture(image, 0.5 * image, (0.2, 0.1), [[0, 0], [29, 19]], unit="$A$_{", style=PictureStyle(dots_per_inch=40)))
    assert wide.shape[1] > 1.5 * wide.shape[0]
    map_picture(image, None, np.empty((0, 2)), title="50 $ and 5 $_{", style=PLAIN)


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
        lambda: map_picture(np.zeros((3, 3, 3))),
        lambda: map_picture(np.zeros((4, 4)), pixel_size_nm=-1.0),
        lambda: kernel_picture(np.zeros((4, 4), dtype=complex)),
        lambda: fit_picture(np.zeros((4, 4)), np.zeros((4, 5))),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError):
        call()


def test_svg_and_pdf_hold_the_same_picture_with_text_that_can_be_edited():
    kernel = np.random.default_rng(0).normal(size=(9, 9))
    for file_format, begins in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        style = PictureStyle(file_format=file_format, dots_per_inch=60)
        told = {"Title": "A kernel", "Source": "map.sxm"}
        content = kernel_picture(kernel, 0.1, "Kernel (refined)", "nS", style, told)
        assert content.startswith(begins) and content == kernel_picture(kernel, 0.1, "Kernel (refined)", "nS", style, told)
        if file_format == "svg":
            page = ElementTree.fromstring(content)
            texts = ["".join(element.itertext()) for element in page.iter("{http://www.w3.org/2000/svg}text")]
            assert "Kernel (refined)" in texts and "x (nm)" in texts and "nS" in texts
            assert b"map.sxm" in content and b"<dc:date>" not in content
        else:
            assert b"map.sxm" in content and b"CreationDate" not in content


def test_limits_that_are_given_are_those_of_the_colour_bar():
    scale = colour_scale(np.linspace(-2, 1, 101), PictureStyle("RdBu_r", limits=(-0.5, 3.0)))
    assert (scale.name, scale.low, scale.high) == ("RdBu_r", -0.5, 3.0)
    assert colour_scale(np.linspace(-2, 1, 101), PictureStyle("PuOr_r", (0, 100))).low == -2
    for wrong in ({"limits": (1.0, 1.0)}, {"file_format": "eps"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            PictureStyle(**wrong)


def test_a_logarithmic_spectrum_shows_four_decades():
    spectrum = np.full((16, 16), 1e-9)
    spectrum[8, 8], spectrum[8, 12] = 1.0, 1e-2
    style = PictureStyle("gray", (0, 100), logarithmic=True, colour_bar=False, scale_bar=False, dots_per_inch=60)
    picture = opened(fft_picture(spectrum, style=style, title="")).sum(axis=2) / 3
    # Two of four decades below the maximum is the grey in the middle.
    assert np.isin(picture.round(), (127, 128)).sum() > 20
