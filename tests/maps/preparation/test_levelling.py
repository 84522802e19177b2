"""Levelling against surfaces that the tests build, with and without unmeasured pixels."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import LEVELLING_KINDS, level
from qpi_core.maps.preparation.levelling import tilt_share

Y, X = np.mgrid[:40, :56].astype(float)
NOISE = np.random.default_rng(0).normal(size=X.shape)


def holed(layer):
    layer = layer.copy()
    layer[5:9, 10:30] = np.nan
    layer[20] = np.nan
    return layer


@pytest.mark.parametrize("prepare", [np.copy, holed])
def test_plane_and_polynomials_vanish(prepare):
    plane = 3e-9 + 2e-11 * X - 5e-11 * Y
    np.testing.assert_allclose(level(prepare(plane), "plane"), prepare(plane * 0), atol=1e-20)
    bow = 1 + X * 0.1 + 1e-3 * X**2 - 2e-3 * X * Y + 5e-3 * Y**2
    np.testing.assert_allclose(level(prepare(bow), "polynomial"), prepare(bow * 0), atol=1e-9)
    quartic = bow + 1e-6 * X**3 * Y - 1e-6 * Y**4
    np.testing.assert_allclose(level(prepare(quartic), "polynomial", order=4), prepare(quartic * 0), atol=1e-8)
    assert np.nanstd(level(prepare(quartic), "polynomial", order=2)) > 1e-3


def test_plane_is_the_least_squares_plane():
    layer = holed(NOISE + 0.3 * X)
    measured = np.isfinite(layer)
    design = np.stack([np.ones(measured.sum()), X[measured], Y[measured]], axis=1)
    coefficients = np.linalg.lstsq(design, layer[measured], rcond=None)[0]
    expected = layer - coefficients[0] - coefficients[1] * X - coefficients[2] * Y
    np.testing.assert_allclose(level(layer, "plane"), expected, atol=1e-10)


@pytest.mark.parametrize("prepare", [np.copy, holed])
def test_line_levelling(prepare):
    offsets = np.random.default_rng(1).normal(size=40)[:, np.newaxis]
    slopes = np.random.default_rng(2).normal(size=40)[:, np.newaxis]
    layer = prepare(NOISE + offsets)
    result = level(layer, "lines")
    for before, after in zip(layer, result, strict=True):
        if np.isfinite(before).any():
            np.testing.assert_allclose(after, before - np.median(before[np.isfinite(before)]))
    linear = prepare(offsets + slopes * X)
    np.testing.assert_allclose(level(linear, "lines_linear"), prepare(X * 0), atol=1e-11)


def test_line_differences_keep_a_terrace_that_line_medians_destroy():
    terrace = np.where(X > 20 + 0.2 * Y, 1.0, 0.0)
    offsets = np.random.default_rng(1).normal(size=40)[:, np.newaxis]
    result = level(terrace + offsets, "line_differences")
    assert np.ptp(result - terrace) < 1e-9
    half = np.where(Y > 20, 1.0, 0.0) * (X > 30)
    assert np.ptp(level(half + offsets, "line_differences") - half) < 1e-9


@pytest.mark.parametrize("kind", LEVELLING_KINDS)
def test_unmeasured_pixels_stay_and_the_input_is_not_touched(kind):
    layer = holed(NOISE).astype(np.float32)
    before = layer.copy()
    result = level(layer, kind)
    np.testing.assert_array_equal(layer, before)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(before))
    assert result.shape == before.shape and np.isfinite(result[~np.isnan(before)]).all()


def test_two_measured_rows_are_enough_not_to_fail():
    layer = np.full((30, 30), np.nan)
    layer[:2] = np.arange(30)
    assert np.nanmax(np.abs(level(layer, "polynomial", order=3))) < 1e-6


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(InputError, match="kind must be one of 'none', 'plane'"):
        level(NOISE, "flat")
    with pytest.raises(InputError, match="order must be"):
        level(NOISE, "polynomial", order=9)
    with pytest.raises(InputError, match=r"shape \(3, 4, 5\)"):
        level(np.zeros((3, 4, 5)), "plane")


def test_tilt_share_is_the_plane_s_part_of_the_variance():
    y, x = np.mgrid[:40, :60]
    slope = 0.3 * x - 0.2 * y
    rng = np.random.default_rng(5)
    noise = level(rng.standard_normal((40, 60)), "plane")
    assert tilt_share(slope + 7) == pytest.approx(1)
    assert tilt_share(noise) == pytest.approx(0, abs=1e-12)
    assert tilt_share(slope + noise) == pytest.approx(slope.var() / (slope.var() + noise.var()))
    assert tilt_share(np.full((8, 8), 3.0)) == 0
