"""Means over blocks of pixels, and which patterns survive them."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.operators.coarsening import coarser_map, coarser_pitch, coarser_positions, keeps_pattern


def waves(wavelength_px: float, size: int = 64) -> np.ndarray:
    y, x = np.indices((size, size)) - size // 2
    return np.cos(2 * np.pi * np.hypot(x, y) / wavelength_px) * np.exp(-np.hypot(x, y) / 20)


def test_a_block_is_the_mean_of_what_was_measured_in_it():
    image = np.arange(30.0).reshape(5, 6)
    image[0, 0] = np.nan
    coarse = coarser_map(image, 2)
    assert coarse.shape == (3, 3)
    assert coarse[0, 0] == pytest.approx(np.mean([1.0, 6.0, 7.0])) and coarse[1, 2] == pytest.approx(image[2:4, 4:6].mean())
    assert coarse[2, 0] == pytest.approx(image[4, :2].mean())  # half of the last block lies off the map
    image[:2, :2] = np.nan
    assert np.isnan(coarser_map(image, 2)[0, 0])


def test_a_spot_lies_at_the_same_place_of_the_coarser_map():
    y, x = np.indices((80, 80))
    place = np.array([[33.3, 41.9]])
    image = np.exp(-((x - place[0, 0]) ** 2 + (y - place[0, 1]) ** 2) / (2 * 6.0**2))
    coarse = coarser_map(image, 4)
    v, u = np.indices(coarse.shape)
    found = [np.sum(u * coarse) / coarse.sum(), np.sum(v * coarse) / coarse.sum()]
    np.testing.assert_allclose(found, coarser_positions(place, 4)[0], atol=1e-3)
    assert coarser_pitch(0.1, 4) == pytest.approx(0.4) and coarser_pitch((0.1, 0.2), 2) == (0.2, 0.4) and coarser_pitch(None, 2) is None


def test_long_waves_survive_and_short_ones_do_not():
    assert keeps_pattern([waves(40.0)], 2) and not keeps_pattern([waves(8.0)], 2)
    assert keeps_pattern([waves(80.0)], 4) and not keeps_pattern([waves(80.0), waves(12.0)], 4)
