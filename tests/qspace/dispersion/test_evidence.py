"""A band is claimed where the rings decide it, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import qpi_core
from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.extraction.bands.band import band_sentences, find_band
from qpi_core.extraction.extractor import Extractor
from qpi_core.qspace.dispersion.evidence import Shape, weigh_dispersion
from qpi_core.qspace.dispersion.rings import RingTrack
from tests.measured_data import GRID

ENERGIES = np.linspace(-25.0, 85.0, 12)
RANGE, SIDE = (0.6, 8.0), 16.8


def track_of(q, energies=ENERGIES, deviation=0.05) -> RingTrack:
    return RingTrack(np.asarray(energies), np.asarray(q, dtype=float), np.full(len(q), deviation), 0.01, RANGE, SIDE)


def parabola(energies=ENERGIES):
    return 2 * np.sqrt((energies + 65.0) * 0.4 / HBAR2_OVER_2M_MEV_NM2)


def test_a_surface_state_is_claimed_as_a_parabola():
    q = parabola() + np.random.default_rng(0).normal(0, 0.05, 12)
    found = weigh_dispersion(track_of(q), 12)
    assert found.decisive and found.shape is Shape.PARABOLA and found.on_band == 12
    assert found.change == pytest.approx(np.ptp(parabola()), abs=0.15)


def test_a_line_is_claimed_as_a_line_in_spite_of_outliers():
    q = np.linspace(0.8, 6.0, 12) + np.random.default_rng(1).normal(0, 0.05, 12)
    q[[3, 8]] = 7.5, 1.0
    found = weigh_dispersion(track_of(q), 12)
    assert found.decisive and found.shape is Shape.LINE and found.on_band == 10


@pytest.mark.slow
def test_rings_anywhere_are_never_a_band():
    rng = np.random.default_rng(2)
    for count in (5, 12):
        energies = np.linspace(-50, 50, count)
        claims = [weigh_dispersion(track_of(rng.uniform(*RANGE, count), energies), count).decisive for _ in range(20)]
        assert sum(claims) == 0


def test_a_pattern_that_stays_is_no_band():
    q = 3.0 + np.random.default_rng(3).normal(0, 0.05, 12)
    found = weigh_dispersion(track_of(q), 12)
    assert not found.decisive and "stays at one wave" in found.missing


def test_few_rings_and_a_small_change_are_said():
    q = np.full(30, np.nan)
    q[:6] = parabola(np.linspace(-25, 85, 6))
    few = weigh_dispersion(track_of(q, np.linspace(-25, 85, 30)), 30)
    assert not few.decisive and "6 of 30 layers" in few.missing
    close = np.linspace(-25.0, -15.0, 12)
    narrow = weigh_dispersion(track_of(parabola(close), close, 0.005), 12)
    assert not narrow.decisive and "window can tell apart" in narrow.missing
    assert "at least 5 layers" in weigh_dispersion(track_of(parabola(ENERGIES[:4]), ENERGIES[:4]), 4).missing


@pytest.mark.slow
def test_noise_claims_nothing():
    rng = np.random.default_rng(4)
    maps = rng.standard_normal((16, 48, 48)).astype(np.float32)
    for method in ("tikhonov", "harmonic"):
        found = qpi_core.extract_stack(
            Extractor(device="cpu"), maps, rng.uniform(0, 47, (8, 2)), bias_mv=np.linspace(-50, 50, 16), pixel_size_nm=0.2,
            kernel_size=40, method=method,
        )  # fmt: skip
        band = find_band(found)
        assert not band.claimed and band_sentences(band) == [band.problem] and "m*" not in band.problem


@pytest.mark.slow
@pytest.mark.skipif(not GRID.is_file(), reason="the measured grid is not here")
@pytest.mark.parametrize("positions", [[[14.6, 3.6], [4.4, 12.3]], [[5.0, 6.0], [20.0, 9.0], [11.0, 24.0], [25.0, 26.0]]])
def test_a_measured_grid_without_a_band_claims_nothing(positions):
    scan = qpi_core.load_map(GRID)
    found = qpi_core.extract_stack(
        Extractor(device="cpu"), scan.stack(), positions, bias_mv=scan.bias_mv, pixel_size_nm=scan.pixel_size_nm, kernel_size=20,
        method="tikhonov",
    )  # fmt: skip
    band = find_band(found)
    assert not band.claimed and "m*" not in " ".join(band_sentences(band))
