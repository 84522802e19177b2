"""Steps that move pixels: the distortion that the tests build in is gone afterwards, and positions follow the features."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation import (
    CorrectDrift,
    CorrectShear,
    Crop,
    Level,
    Preparation,
    Resample,
    find_bragg_peaks,
    inside,
    refine_bragg_peak,
    regular_lattice,
)

PITCH = 0.1
Q_IDEAL = 2 * np.pi / 0.6 * np.array([[np.cos(0.2), np.sin(0.2)], [-np.sin(0.2), np.cos(0.2)]])


def grid(height, width):
    y, x = np.mgrid[:height, :width].astype(float)
    return x, y


def spots(x, y, centres, sigma=2.5):
    return sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in centres)


def lattice(x_nm, y_nm, peaks=Q_IDEAL):
    return sum(np.cos(qx * x_nm + qy * y_nm + 0.4) for qx, qy in peaks)


def centroid(image, x, y, reach=6):
    """Centre of mass of a spot near (x, y): an independent measure of where it is."""
    left, top = round(x) - reach, round(y) - reach
    cut = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
    v, u = np.mgrid[: cut.shape[0], : cut.shape[1]]
    return np.array([left + (cut * u).sum() / cut.sum(), top + (cut * v).sum() / cut.sum()])


def test_crop_keeps_pixels_and_moves_positions():
    x, y = grid(40, 50)
    layer = x + 100 * y
    layer[3, 4] = np.nan
    prepared = Preparation((Crop(10, 5, 30, 20),)).apply(layer, (0.2, 0.1))
    np.testing.assert_array_equal(prepared.values, layer[5:25, 10:40])
    assert prepared.pixel_size_nm == (0.2, 0.1)
    np.testing.assert_array_equal(prepared.coordinates.forward([[10, 5], [3, 30.5]]), [[0, 0], [-7, 25.5]])
    np.testing.assert_array_equal(prepared.coordinates.backward([[0.5, 1]]), [[10.5, 6]])
    np.testing.assert_array_equal(inside(prepared.coordinates.forward([[10, 5], [3, 30.5]]), prepared.values.shape), [True, False])
    removed = prepared.results[0].removed
    assert np.isnan(removed[5:25, 10:40]).all() and removed[0, 0] == 0
    with pytest.raises(InputError, match="50 x 40 pixels"):
        Preparation((Crop(30, 0, 30, 20),)).apply(layer)


@pytest.mark.parametrize(("new", "shape"), [(None, (80, 50)), (0.05, (160, 100)), (0.23, (34, 21))])
def test_resampling_keeps_a_smooth_pattern_where_it_lies(new, shape):
    """A wave in nm, sampled on oblong pixels, is the same wave on the new ones."""
    x, y = grid(40, 50)

    def wave(x_px, y_px, dx, dy):
        return np.cos(1.1 * (x_px + 0.5) * dx + 0.7 * (y_px + 0.5) * dy)

    layer = wave(x, y, 0.1, 0.2)
    prepared = Preparation((Resample(new),)).apply(layer, (0.2, 0.1))
    assert prepared.values.shape == shape
    side = new or 0.1
    assert prepared.pixel_size_nm == (side, side)
    u, v = grid(*shape)
    expected = wave(u, v, side, side)
    inner = (slice(8, -8), slice(8, -8)) if side <= 0.1 else (slice(2, -2), slice(2, -2))  # splines end at the last pixel's centre
    np.testing.assert_allclose(prepared.values[inner], expected[inner], atol=0.01)
    # A point keeps its place in nm.
    before, after = np.array([[7.3, 11.8]]), prepared.coordinates.forward([[7.3, 11.8]])
    np.testing.assert_allclose((after + 0.5) * side, (before + 0.5) * [0.1, 0.2], atol=1e-12)
    np.testing.assert_allclose(prepared.coordinates.backward(after), before, atol=1e-12)


def test_resampling_keeps_gaps_and_averages_noise():
    noise = np.random.default_rng(0).normal(size=(120, 120))
    noise[40:60, 20:50] = np.nan
    prepared = Preparation((Resample(0.4),)).apply(noise, 0.1)
    assert prepared.values.shape == (30, 30) and np.nanstd(prepared.values) < 0.35
    np.testing.assert_array_equal(np.argwhere(np.isnan(prepared.values)).min(axis=0), [10, 5])
    assert abs(np.isnan(prepared.values).sum() - 20 * 30 / 16) < 8


@pytest.mark.parametrize(("step", "pitch"), [(Resample(50.0), 0.1), (Resample(1e-5), 0.1)])
def test_resampling_to_no_pixels_or_too_many_is_refused(step, pitch):
    with pytest.raises(InputError, match="choose another pixel_size_nm"):
        Preparation((step,)).apply(np.ones((30, 30)), pitch)


def sheared_scene(distortion, height=120, width=140, centres_nm=((3.0, -1.0), (-4.0, 2.5), (0.5, 4.0))):
    """A lattice and spots that are regular at r, measured at A r (nm from the centre); returns image, spots as measured, ideal."""
    x, y = grid(height, width)
    nm = np.stack([(x - (width - 1) / 2) * PITCH, (y - (height - 1) / 2) * PITCH])
    ideal = np.tensordot(np.linalg.inv(distortion), nm, 1)
    image = 0.3 * lattice(*ideal) + 5 * spots(*ideal, centres_nm, sigma=0.25)
    at = np.array(centres_nm) @ distortion.T / PITCH + [(width - 1) / 2, (height - 1) / 2]
    return image, at, np.array(centres_nm)


def test_shear_is_removed_and_positions_follow():
    distortion = np.array([[1.05, 0.08], [-0.03, 0.97]])
    image, at, ideal_nm = sheared_scene(distortion)
    measured = np.array([refine_bragg_peak(image, PITCH, q) for q in np.linalg.solve(distortion.T, Q_IDEAL.T).T + 0.1])
    np.testing.assert_allclose(measured, np.linalg.solve(distortion.T, Q_IDEAL.T).T, atol=0.02)
    prepared = Preparation((CorrectShear(measured, Q_IDEAL),)).apply(image, PITCH)
    height, width = prepared.values.shape
    assert height >= 118 and width >= 130 and np.isnan(prepared.values).any()
    # Distances between spots are the ideal ones, and every spot is where the coordinates say.
    moved = prepared.coordinates.forward(at)
    np.testing.assert_allclose((moved - [(width - 1) / 2, (height - 1) / 2]) * PITCH, ideal_nm, atol=0.01)
    x, y = grid(height, width)
    alone = prepared.values - 0.3 * lattice((x - (width - 1) / 2) * PITCH, (y - (height - 1) / 2) * PITCH)
    for spot in moved:
        np.testing.assert_allclose(centroid(alone, *spot), spot, atol=0.05)
    np.testing.assert_allclose(prepared.coordinates.backward(moved), at, atol=1e-9)
    for q in Q_IDEAL:
        np.testing.assert_allclose(refine_bragg_peak(prepared.values, PITCH, q + 0.05), q, atol=0.02)
    assert prepared.results[0].removed.shape == image.shape


def test_shear_on_oblong_pixels_and_gaps():
    """The same lattice on pixels of 0.1 x 0.2 nm, with a hole: nothing but the hole and the new corners is missing."""
    distortion = np.array([[1.0, 0.1], [0.0, 1.0]])
    image = sheared_scene(distortion, height=160)[0][::2]
    image[30:40, 60:80] = np.nan
    measured = np.linalg.solve(distortion.T, Q_IDEAL.T).T
    prepared = Preparation((CorrectShear(measured, Q_IDEAL),)).apply(image, (0.2, 0.1))
    for q in Q_IDEAL:
        np.testing.assert_allclose(refine_bragg_peak(prepared.values, (0.2, 0.1), q), q, atol=0.02)
    middle = np.isnan(prepared.values[20:60, 40:110])
    assert 150 < middle.sum() < 260


def drifted_scene(height=160, width=160):
    """T(r) = ideal(r + u(r)) with a slow u of up to about 3 px; returns image, u in pixels, spots as measured and as ideal."""
    x, y = grid(height, width)

    def u(px, py):
        return np.stack([2.5 * np.sin(2 * np.pi * py / 160), 1.5 * np.cos(2 * np.pi * px / 160) + 0.8 * np.sin(2 * np.pi * py / 200)])

    shift = u(x, y)
    centres = np.array([[40.0, 50.0], [110.0, 60.0], [75.0, 120.0]])
    ux, uy = x + shift[0], y + shift[1]
    image = lattice(ux * PITCH, uy * PITCH) + 2 * spots(ux, uy, centres)
    measured = centres.copy()
    for _ in range(60):
        measured = centres - u(*measured.T).T
    return image, shift, measured, centres


@pytest.mark.parametrize("gaps", [False, True])
def test_lawler_fujita_removes_a_drift_and_positions_follow(gaps):
    image, shift, measured, ideal = drifted_scene()
    if gaps:
        image[90:100, 20:50] = np.nan
    step = CorrectDrift(Q_IDEAL, smoothing_nm=1.0)
    prepared = Preparation((step,)).apply(image, PITCH)
    found = step.displacement(image, (PITCH, PITCH))
    error = (found - found.mean(axis=(1, 2), keepdims=True)) - (shift - shift.mean(axis=(1, 2), keepdims=True))
    inner = (slice(None), slice(20, -20), slice(20, -20))
    assert np.sqrt((error[inner] ** 2).mean()) < 0.12 and np.sqrt((shift[inner] ** 2).mean()) > 1
    # The mean of u is free: compare after taking the common offset out.
    moved = prepared.coordinates.forward(measured)
    offset = (moved - ideal).mean(axis=0)
    np.testing.assert_allclose(moved - offset, ideal, atol=0.2)
    assert np.abs((measured - ideal) - (measured - ideal).mean(axis=0)).max() > 1
    np.testing.assert_allclose(prepared.coordinates.backward(moved), measured, atol=1e-6)
    # The lattice, read back, is the ideal one up to that offset.
    x, y = grid(*image.shape)
    level = prepared.values - 2 * spots(x, y, ideal + offset)
    expected = lattice((x - offset[0]) * PITCH, (y - offset[1]) * PITCH)
    inside_field = np.isfinite(level) & (x > 25) & (x < 135) & (y > 25) & (y < 135)
    before = (image - 2 * spots(x, y, measured))[inside_field]
    assert np.corrcoef(level[inside_field], expected[inside_field])[0, 1] > 0.98
    assert np.corrcoef(before[np.isfinite(before)], expected[inside_field][np.isfinite(before)])[0, 1] < 0.8
    if gaps:
        assert 200 < np.isnan(prepared.values[70:120, 10:60]).sum() < 420


def test_drift_measured_in_another_channel_after_a_crop():
    image, _, measured, ideal = drifted_scene()
    x, y = grid(*image.shape)
    density = np.exp(-((x - measured[0, 0]) ** 2 + (y - measured[0, 1]) ** 2) / 12)
    steps = (Crop(10, 20, 140, 130), CorrectDrift(Q_IDEAL, 1.0, channel="Z (m)"), Level("plane"))
    prepared = Preparation(steps).apply(density, PITCH, companions={"Z (m)": image})
    alone = Preparation(steps[:1] + (CorrectDrift(Q_IDEAL, 1.0),)).apply(image, PITCH)
    moved = prepared.coordinates.forward(measured)
    np.testing.assert_array_equal(moved, alone.coordinates.forward(measured))
    np.testing.assert_allclose(np.diff(moved, axis=0), np.diff(ideal, axis=0), atol=0.3)
    flat = prepared.values - np.nanmedian(prepared.values)
    np.testing.assert_allclose(centroid(flat, *moved[0]), moved[0], atol=0.15)


def test_wrong_peaks_get_a_sentence():
    image = drifted_scene()[0]
    with pytest.raises(InputError, match="different directions"):
        CorrectShear(((1, 0), (2, 0)), ((1, 0), (0, 1)))
    with pytest.raises(InputError, match="same peaks"):
        CorrectShear(((1, 0), (0, 1)), ((10, 0), (0, 10)))
    with pytest.raises(InputError, match="smoothing_nm"):
        Preparation((CorrectDrift(Q_IDEAL, 100.0),)).apply(image, PITCH)
    with pytest.raises(InputError, match="no drift does"):
        Preparation((CorrectDrift(((3.0, 1.0), (1.0, -4.0)), 0.2),)).apply(np.random.default_rng(0).normal(size=(80, 80)), PITCH)


def test_bragg_peaks_are_found_between_bins():
    x, y = grid(90, 110)
    image = lattice(x * PITCH, y * 2 * PITCH, peaks := np.array([[7.3, 1.1], [-1.4, 6.2]])) + 0.5 * np.cos(0.2 * x)
    image[10:14, 10:30] = np.nan
    found = find_bragg_peaks(image, (0.2, 0.1), count=2)
    expected = np.array([[7.3, 1.1], [1.4, -6.2]])
    order = np.argsort(-found[:, 0])
    np.testing.assert_allclose(found[order], expected, atol=0.02)
    np.testing.assert_allclose(refine_bragg_peak(image, (0.2, 0.1), peaks[1] + 0.2), peaks[1], atol=0.02)


@pytest.mark.parametrize(("lattice_name", "angle"), [("square", 90), ("hexagonal", 60), ("hexagonal", 120)])
@pytest.mark.parametrize("turn", [1, -1])
def test_regular_lattice(lattice_name, angle, turn):
    first, second = 0.3, 0.3 + turn * np.deg2rad(angle)
    ideal = 5.0 * np.array([[np.cos(first), np.sin(first)], [np.cos(second), np.sin(second)]])
    np.testing.assert_allclose(regular_lattice(ideal, lattice_name), ideal, atol=1e-9)
    bent = regular_lattice(ideal * [[1.02], [0.97]], lattice_name)
    np.testing.assert_allclose(np.linalg.norm(bent, axis=1), 5 * np.sqrt(1.02 * 0.97), atol=1e-9)
    constant = 0.5
    known = regular_lattice(ideal, lattice_name, constant)
    length = 2 * np.pi / constant if lattice_name == "square" else 4 * np.pi / (np.sqrt(3) * constant)
    np.testing.assert_allclose(known, ideal / 5 * length, atol=1e-9)
    # Real space says it independently: the lattice vectors of these reciprocal ones are `constant` long.
    real = 2 * np.pi * np.linalg.inv(known)
    np.testing.assert_allclose(np.linalg.norm(real, axis=0), constant, atol=1e-9)
