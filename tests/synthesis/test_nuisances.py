"""Each nuisance against its definition: covariances summed term by term, spectra, explicit loops, levels."""

import numpy as np
import pytest
from scipy.special import jv

from qpi_core.base.errors import InputError
from qpi_core.synthesis.nuisances.atomic_lattice import draw_lattice, draw_sites, lattice_sites, lattice_waves
from qpi_core.synthesis.nuisances.blurred_noise import BlurredNoise, draw_blurred_noise
from qpi_core.synthesis.nuisances.click_errors import ClickErrors, clicked
from qpi_core.synthesis.nuisances.pixel_noise import Spikes, draw_signal_noise, draw_spikes
from qpi_core.synthesis.nuisances.row_noise import RowDrift, Streaks, draw_row_drift, draw_streaks
from qpi_core.synthesis.nuisances.scan_geometry import Creep, ScanGeometry, Shear, draw_scan_geometry
from qpi_core.synthesis.nuisances.second_kind import SecondKind, draw_second_kind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from qpi_core.synthesis.nuisances.step_edge import StepEdge, StepLine, draw_step_line, step_profile
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths, draw_signs, draw_strengths
from qpi_core.synthesis.nuisances.unlike_cores import UnlikeCores, core_spots, draw_core_heights

PITCH = 10 / 64


def rng(seed=0):
    return np.random.default_rng(seed)


def covariance(fields, dy, dx):
    """Mean over fields and pixels of n(y, x) n(y + dy, x + dx), the mean not taken off."""
    height, width = fields.shape[1:]
    return float(np.mean(fields[:, : height - dy, : width - dx] * fields[:, dy:, dx:]))


def test_streaks_have_the_covariance_of_one_over_f_noise_and_row_offsets():
    width, share = 48, 0.3
    fields = draw_streaks(Streaks(1.0, share), (20000, width), rng())[:, None]
    waves = range(1, width + 1)
    total = sum(1 / j for j in waves)
    for lag in (0, 1, 2, 5, 20, 47):
        expected = share + (1 - share) * sum(np.cos(2 * np.pi * j * lag / (2 * width)) / j for j in waves) / total
        assert covariance(fields, 0, lag) == pytest.approx(expected, abs=0.03)
    # Rows know nothing of each other.
    assert covariance(fields.transpose(1, 0, 2), 1, 0) == pytest.approx(0.0, abs=0.03)


def test_the_spectrum_of_a_streak_falls_as_one_over_f():
    width = 256
    rows = draw_streaks(Streaks(1.0, 0.0), (4000, width), rng(1))
    power = np.mean(np.abs(np.fft.rfft(rows * np.hanning(width), axis=1)) ** 2, axis=0)
    chosen = np.arange(4, 100)
    slope = np.polyfit(np.log(chosen), np.log(power[chosen]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.05)


def test_blurred_noise_has_the_covariance_of_its_filter():
    fields = np.stack([draw_blurred_noise(BlurredNoise(1.0, 2.0), (40, 50), rng(seed)) for seed in range(300)])
    for dy, dx in ((0, 0), (1, 0), (0, 2), (3, 2), (0, 9)):
        assert covariance(fields, dy, dx) == pytest.approx(np.exp(-(dy**2 + dx**2) / (4 * 2.0**2)), abs=0.02)


def test_the_background_has_the_covariance_that_it_states():
    length_px = 1.0 / PITCH
    fields = np.stack([draw_background(SmoothBackground(1.0, 1.0), (64, 64), rng(seed)) for seed in range(300)])
    for dy, dx in ((0, 0), (3, 0), (0, 6), (6, 6), (0, 20)):
        assert covariance(fields, dy, dx) == pytest.approx(np.exp(-(dy**2 + dx**2) / (2 * length_px**2)), abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_lattice_waves_are_the_same_at_every_site_and_sites_fill_the_map(seed):
    lattice = draw_lattice(rng(seed))
    low, high = np.array([0.0, -1.0]), np.array([6.0, 4.0])
    sites = lattice_sites(lattice, low, high)
    values = lattice_waves(lattice, sites[:, 0], sites[:, 1])
    np.testing.assert_allclose(values, np.cos(lattice.phases).sum(), atol=1e-9)
    # Area of a cell: (2 pi)^2 / |G1 x G2|.
    (ax, ay), (bx, by) = lattice.wave_vectors[:2]
    cell = (2 * np.pi) ** 2 / abs(ax * by - ay * bx)
    assert len(sites) == pytest.approx(30 / cell, rel=0.1)
    lengths = np.linalg.norm(lattice.wave_vectors, axis=1)
    np.testing.assert_allclose(lengths, lengths[0])
    if len(lengths) == 3:
        np.testing.assert_allclose(lattice.wave_vectors[0] + lattice.wave_vectors[2], lattice.wave_vectors[1], atol=1e-9)
    drawn = draw_sites(sites, 20, rng(9))
    assert len({tuple(site) for site in drawn.tolist()}) == 20
    with pytest.raises(InputError, match="sites"):
        draw_sites(sites, len(sites) + 1, rng())


def test_strengths_signs_and_kinds_have_the_asked_shares():
    logs = np.log(draw_strengths(UnequalStrengths(0.5), 20000, rng()))
    assert logs.std() == pytest.approx(0.5, rel=0.02) and logs.mean() == pytest.approx(0, abs=0.02)
    assert (draw_signs(FlippedSigns(0.2), 50, rng()) < 0).sum() == 10
    assert draw_second_kind(SecondKind(0.3), 20, rng()).sum() == 6
    errors = clicked(ClickErrors(0.5), np.full((20000, 2), 30.0), (64, 64), rng()) - 30.0
    np.testing.assert_allclose(np.cov(errors.T), 0.25 * np.eye(2), atol=0.01)
    assert clicked(ClickErrors(10.0), np.zeros((100, 2)), (64, 64), rng()).min() == -0.5


def test_spikes_hit_the_share_of_pixels_with_their_height():
    field = draw_spikes(Spikes(0.01, 10.0), (50, 60), rng())
    assert np.count_nonzero(field) == 30
    assert set(np.abs(field[field != 0])) == {10.0} and -10 < field[field != 0].mean() < 10


def test_signal_noise_follows_the_signal():
    signal = np.concatenate([np.full((200, 100), 1.0), np.full((200, 100), -4.0)], axis=1)
    noise = draw_signal_noise(signal, rng())
    rms = np.sqrt((1 + 16) / 2)
    assert noise[:, :100].std() == pytest.approx(1 / rms, rel=0.03)
    assert noise[:, 100:].std() == pytest.approx(4 / rms, rel=0.03)


def test_step_profile_by_its_formula_at_single_places():
    step, line = StepEdge(1.0, 0.5, 0.2, 2.0), StepLine(np.pi / 6, 1.5)
    for x, y in ((3.0, 2.0), (0.5, 0.1), (1.0, 1.2)):
        d = np.cos(np.pi / 6) * x + np.sin(np.pi / 6) * y - 1.5
        expected = 1 / (1 + np.exp(-2 * d / 0.2)) - 0.5 * jv(0, 5.0 * abs(d)) * np.exp(-abs(d) / 2.0)
        assert step_profile(step, line, np.array(x), np.array(y), 5.0) == pytest.approx(expected, abs=1e-12)
    x, y = np.meshgrid(np.linspace(0, 10, 65), np.linspace(0, 10, 65))
    for seed in range(10):
        drawn = draw_step_line(rng(seed), np.zeros(2), np.full(2, 10.0))
        high = np.mean(np.cos(drawn.angle) * x + np.sin(drawn.angle) * y > drawn.offset_nm)
        assert 0.05 < high < 0.95


def test_core_spots_by_an_explicit_loop():
    cores, positions, heights = UnlikeCores(1.0, 2.0), np.array([[3.2, 4.1], [8.0, 2.5]]), np.array([0.7, -1.1])
    field = core_spots(cores, heights, positions, (9, 12))
    for row in range(9):
        for column in range(12):
            expected = sum(h * np.exp(-((np.hypot(column - x, row - y) / 2) ** 4)) for (x, y), h in zip(positions, heights, strict=True))
            assert field[row, column] == pytest.approx(expected, abs=1e-12)
    drawn = draw_core_heights(2000, rng())
    assert abs(drawn.mean()) < 1e-12 and drawn.std() == pytest.approx(1, rel=0.05)


def test_scan_geometry_by_its_formula_and_its_inverse():
    geometry = ScanGeometry((1.5, -1.0), 9.6, 0.02, 31.5)
    x, y = geometry.place(np.array([10.0]), np.array([5.0]))
    assert x[0] == pytest.approx(10 + 1.5 * np.exp(-5 / 9.6) + 0.02 * (5 - 31.5))
    assert y[0] == pytest.approx(5 - np.exp(-5 / 9.6))
    points = rng().uniform(0, 63, (50, 2))
    places = np.stack(geometry.place(points[:, 0], points[:, 1]), axis=1)
    np.testing.assert_allclose(geometry.seen_at(places), points, atol=1e-9)
    drawn = draw_scan_geometry(Creep(2.0), Shear(0.01), 64, rng())
    assert np.hypot(*drawn.creep_px) == pytest.approx(2.0) and abs(drawn.shear) == 0.01 and drawn.middle_row == 31.5
    still = draw_scan_geometry(None, None, 64, rng())
    np.testing.assert_array_equal(np.stack(still.place(points[:, 0], points[:, 1]), axis=1), points)


@pytest.mark.parametrize(
    ("kind", "arguments", "word"),
    [
        (Streaks, (-0.1,), "level"),
        (Streaks, (0.3, 1.2), "offset_share"),
        (BlurredNoise, (0.2, 0.0), "width_px"),
        (SmoothBackground, (1.0, 0.01), "length_nm"),
        (UnequalStrengths, (3.0,), "spread"),
        (FlippedSigns, (0.5,), "share"),
        (SecondKind, (0.6,), "share"),
        (StepEdge, (float("nan"),), "height"),
        (UnlikeCores, (1.0, 0.0), "radius_px"),
        (Spikes, (0.9,), "share"),
        (Creep, (9.0,), "start_px"),
        (Shear, (-0.1,), "share"),
        (ClickErrors, (-1.0,), "deviation_px"),
    ],
)
def test_values_outside_their_range_are_refused_by_name(kind, arguments, word):
    with pytest.raises(InputError, match=f"^{word}"):
        kind(*arguments)


def test_the_drift_of_the_lines_is_a_random_walk_along_the_slow_axis():
    drawn = np.stack([draw_row_drift((60, 3), rng(seed)) for seed in range(400)])
    assert np.all(drawn == drawn[:, :, :1])
    assert drawn.std(axis=(1, 2)) == pytest.approx(np.ones(400)) and drawn.mean(axis=(1, 2)) == pytest.approx(np.zeros(400), abs=1e-12)
    # Steps from line to line know nothing of each other; lines do.
    steps = np.diff(drawn[:, :, 0], axis=1)
    assert np.mean(steps[:, 1:] * steps[:, :-1]) / np.mean(steps**2) == pytest.approx(0.0, abs=0.05)
    assert np.mean(drawn[:, 1:, 0] * drawn[:, :-1, 0]) > 0.8
    assert not draw_row_drift((1, 4), rng()).any()
    with pytest.raises(InputError, match="level"):
        RowDrift(-1.0)
