"""Steps that keep every pixel in its place, against faults that the tests build in."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation import (
    Level,
    MaskDisc,
    MaskPolygon,
    MaskRectangle,
    NormaliseSetPoint,
    Preparation,
    RemoveStreaks,
    RepairOutliers,
)

Y, X = np.mgrid[:48, :64].astype(float)
RNG = np.random.default_rng(3)
SMOOTH = np.cos(0.3 * X + 0.1 * Y) + np.sin(0.25 * Y)
NOISY = SMOOTH + 0.02 * RNG.normal(size=SMOOTH.shape)


def apply(step, layer, **options):
    prepared = Preparation((step,)).apply(layer, **options)
    (result,) = prepared.results
    np.testing.assert_array_equal(prepared.values, result.values)
    assert result.removed.shape == layer.shape
    np.testing.assert_array_equal(prepared.coordinates.forward([[1.5, 2.5]]), [[1.5, 2.5]])
    return result


def holed(layer):
    layer = layer.copy()
    layer[30:36, 40:50] = np.nan
    return layer


@pytest.mark.parametrize(
    ("step", "background"),
    [
        (Level("plane"), 3 + 0.2 * X - 0.1 * Y),
        (Level("polynomial", 3), 1 + 1e-3 * X**2 * Y - 2e-3 * Y**2),
        (Level("lines"), RNG.normal(size=(48, 1)) * np.ones(64)),
        (Level("line_means"), RNG.normal(size=(48, 1)) * np.ones(64)),
        (Level("lines_linear"), RNG.normal(size=(48, 1)) * X + RNG.normal(size=(48, 1))),
    ],
)
@pytest.mark.parametrize("gaps", [np.copy, holed])
def test_levelling_removes_the_background_and_says_so(step, background, gaps):
    layer = gaps(background)
    result = apply(step, layer)
    np.testing.assert_allclose(result.values, layer * 0, atol=1e-9)
    np.testing.assert_allclose(result.removed, layer, atol=1e-9)


def test_line_means_are_means():
    layer = holed(NOISY)
    expected = layer - np.nanmean(layer, axis=1, keepdims=True)
    np.testing.assert_allclose(apply(Level("line_means"), layer).values, expected, atol=1e-12)


@pytest.mark.parametrize("gaps", [np.copy, holed])
def test_streaks_are_repaired_and_nothing_else_is_touched(gaps):
    layer = gaps(NOISY)
    streaked = layer.copy()
    streaked[10, 5:40] += 3.0
    streaked[25:27, 20:60] -= 2.0
    result = apply(RemoveStreaks(), streaked)
    changed = np.zeros(layer.shape, bool)
    changed[10, 5:40] = changed[25:27, 20:60] = True
    np.testing.assert_array_equal(result.values[~changed], layer[~changed])
    # A straight line between good rows: what is left is its own error, far below the streak.
    assert np.nanmax(np.abs(result.values - layer)) < 0.25
    assert abs(result.removed[10, 20] - 3.0) < 0.25 and result.removed[40, 5] == 0


def test_short_marks_and_terraces_are_no_streaks():
    defect = NOISY + 3 * np.exp(-((X - 30) ** 2 + (Y - 20) ** 2) / 4) + np.where(Y > 33, 5.0, 0.0)
    np.testing.assert_array_equal(apply(RemoveStreaks(), defect).values, defect)
    short = NOISY.copy()
    short[10, 20:28] += 3.0
    np.testing.assert_array_equal(apply(RemoveStreaks(min_length=16), short).values, short)
    assert (apply(RemoveStreaks(min_length=6), short).values != short).any()


@pytest.mark.parametrize("gaps", [np.copy, holed])
def test_outliers_are_repaired_and_nothing_else_is_touched(gaps):
    layer = gaps(NOISY)
    spots = [(3, 4), (20, 33), (47, 63), (29, 41)]
    wild = layer.copy()
    for number, (row, column) in enumerate(spots):
        wild[row, column] += 5 * (-1) ** number
    result = apply(RepairOutliers(), wild)
    for row, column in spots:
        assert abs(result.values[row, column] - SMOOTH[row, column]) < 0.5
        assert abs(abs(result.removed[row, column]) - 5) < 0.5
    kept = np.ones(layer.shape, bool)
    kept[tuple(np.transpose(spots))] = False
    np.testing.assert_array_equal(result.values[kept], layer[kept])
    blanked = apply(RepairOutliers(replacement="unmeasured"), wild).values
    assert np.isnan(blanked[tuple(np.transpose(spots))]).all() and np.isnan(blanked).sum() == np.isnan(layer).sum() + 4


def test_masks_leave_out_exactly_their_region():
    triangle = MaskPolygon(((10, 5), (40, 5), (10, 35)))
    interior = (X > 10) & (Y > 5) & ((X - 10) + (Y - 5) < 30)
    boundary = (X >= 10) & (Y >= 5) & ((X - 10) + (Y - 5) <= 30)
    out = np.isnan(apply(triangle, SMOOTH).values)
    assert (out | ~interior).all() and (boundary | ~out).all()
    disc = np.isnan(apply(MaskDisc(20.5, 10.0, 7.0), SMOOTH).values)
    np.testing.assert_array_equal(disc, np.hypot(X - 20.5, Y - 10) <= 7)
    result = apply(MaskRectangle(5, 6, 10.5, 3, keep=True), SMOOTH)
    kept = (X >= 5) & (X <= 15) & (Y >= 6) & (Y <= 9)
    np.testing.assert_array_equal(np.isfinite(result.values), kept)
    np.testing.assert_array_equal(np.where(kept, result.values, result.removed), SMOOTH)
    with pytest.raises(InputError, match="no measured pixel"):
        apply(MaskDisc(30, 20, 1000), SMOOTH)


def test_masked_pixels_take_no_part_in_the_solve():
    """A wild region, masked, gives the same kernel as the same map with that region never measured."""
    from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov

    rng = np.random.default_rng(0)
    points = rng.uniform(5, 42, (6, 2))
    kernel = np.exp(-((X - 32) ** 2 + (Y - 24) ** 2) / 8)
    layer = sum(np.roll(kernel, (int(y) - 24, int(x) - 32), (0, 1)) for x, y in points)
    wild = layer + np.where(np.hypot(X - 50, Y - 30) <= 6, 100.0, 0.0)
    masked = Preparation((MaskDisc(50, 30, 6),)).apply(wild).values
    unmeasured = np.where(np.hypot(X - 50, Y - 30) <= 6, np.nan, layer)
    found = [solve_tikhonov(image, points.astype(int), 15).kernel for image in (masked, unmeasured)]
    np.testing.assert_array_equal(*found)


def test_current_over_bias_takes_out_the_tip_height():
    """dI/dV and I of one point scale alike with exp(-2 kappa z): the quotient does not know z."""
    height = np.exp(-0.4 * np.cos(0.2 * X))
    density = 1 + 0.1 * np.cos(0.5 * Y)
    current = 2e-10 * height * np.ones_like(X)
    current[0, 0] = 1e-14
    options = {"bias_mv": -50.0, "companions": {"Z (m)": X, "Current (A)": current}, "companion_units": {"Current (A)": "A"}, "unit": "A"}
    result = apply(NormaliseSetPoint(), 1e-9 * density * height, **options)
    assert np.isnan(result.values[0, 0]) and np.isnan(result.values).sum() == 1 and result.unit == "V"
    expected = 1e-9 * density / (2e-10 / -0.05)
    np.testing.assert_allclose(np.delete(result.values, 0), np.delete(expected, 0), rtol=1e-12)
    mean = apply(NormaliseSetPoint("mean_current", "Current (A)"), 1e-9 * density, **options)
    np.testing.assert_allclose(mean.values, 1e-9 * density / current.mean(), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bias_mv": 20.0}, "name begins with Current"),
        ({"companions": {"Current (A)": X}}, "not known"),
        ({"companions": {"Current (A)": X}, "bias_mv": 0.0}, "is 0 mV"),
        ({"companions": {"Current (A)": X * 0}, "bias_mv": 5.0}, "current is 0"),
    ],
)
def test_set_point_without_what_it_needs(options, sentence):
    with pytest.raises(InputError, match=sentence):
        apply(NormaliseSetPoint(), SMOOTH, **options)
