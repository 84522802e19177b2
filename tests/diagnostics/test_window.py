"""A window that cuts the pattern is told, with one that would hold it; what is left at the defects is counted on its own."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core import load_extractor, simulate_observation
from qpi_core.base.grid import central_crop, kernel_offsets
from qpi_core.diagnostics.defects import left_at_defects, warn_about_defects
from qpi_core.diagnostics.window import share_outside, warn_about_window, window_that_holds
from qpi_core.extraction.stability.assessment import assess
from qpi_core.synthesis.simulated_maps.scenes import draw_positions

PITCH = 10 / 64
PATTERN = {"symmetry_order": 4, "orientation": 0.4, "wavenumber": 3.2, "phase": 0.6, "decay": 0.15}


def gaussian(side: int, width: float) -> np.ndarray:
    offsets = kernel_offsets(side)
    return np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * width**2)).astype(np.float32)


def test_share_outside_is_that_of_an_explicit_sum():
    wide = gaussian(61, 8.0).astype(np.float64)
    inside = sum(wide[30 + y, 30 + x] ** 2 for y in range(-8, 8) for x in range(-8, 8))
    assert share_outside(wide, 16) == pytest.approx(1 - inside / (wide**2).sum())
    assert share_outside(np.zeros((5, 5)), 3) == 0


def test_the_proposed_window_holds_the_pattern_and_the_next_smaller_one_does_not():
    wide = gaussian(81, 6.0)
    side = window_that_holds(wide, 0.99)
    assert share_outside(wide, side) <= 0.01 < share_outside(wide, side - 2)


def test_a_cut_pattern_is_told_and_a_whole_one_is_not():
    wide = gaussian(81, 10.0)
    (sentence,) = warn_about_window(central_crop(wide, 16), wide, {}, (0.1, 0.1))
    assert "16 px (1.6 nm) cuts the pattern" in sentence and f"window of {window_that_holds(wide)} px" in sentence
    assert warn_about_window(central_crop(wide, 60), wide, {}, (0.1, 0.1)) == []


def test_a_period_longer_than_the_window_is_told():
    kernel = gaussian(64, 3.0)
    parameters = {"wave_vector_rad_per_nm": (2.802, 0.06)}
    (sentence,) = warn_about_window(kernel, kernel, parameters, (0.022, 0.022))
    assert "2.24 nm" in sentence and "not to be trusted" in sentence
    assert warn_about_window(kernel, kernel, parameters, (0.1, 0.1)) == []


def test_residuals_at_the_defects_are_those_of_their_pixels():
    residual = np.arange(20, dtype=np.float32).reshape(4, 5)
    found = left_at_defects(residual, np.array([[1.2, 2.4], [4.4, 0.0], [9.0, 1.0]]), 2.0)
    np.testing.assert_allclose(found, [residual[2, 1] / 2, residual[0, 4] / 2, np.nan])


def test_noise_at_the_defects_is_not_told_and_a_pattern_is():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200, 200)).astype(np.float32)
    points = rng.uniform(0, 199, (60, 2))
    assert warn_about_defects(noise, noise, points, 1.0) == []
    columns, rows = np.rint(points[:8]).astype(int).T
    noise[rows, columns] = 5.0
    (sentence,) = warn_about_defects(noise, noise, points, 1.0)
    assert "of 60 defects" in sentence
    assert warn_about_defects(1000 * noise, noise, points, 1.0) == [], "little beside the map itself"


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(5)
    points = draw_positions(rng, 20, (80, 80), on_grid=False)
    clean = simulate_observation(PATTERN, points, (80, 80))
    return (clean + 0.2 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32), points


def test_the_model_at_the_true_offsets_leaves_nothing_at_the_defects(scene):
    observation, points = scene
    extractor = load_extractor(device="cpu")
    estimate = extractor.extract(observation, points, "harmonic", 40, pixel_size_nm=PITCH)
    z = left_at_defects(estimate.residual, points, estimate.noise_sigma)
    assert np.abs(z).max() < 4 and not [sentence for sentence in estimate.warnings if "at the defect itself" in sentence]
    np.testing.assert_allclose(estimate.reconstruction + estimate.residual, observation, atol=1e-5)
    # The kernel on pixels cannot do that between them.
    from qpi_core.operators.reconstruction import reconstruct

    sampled = reconstruct(estimate.wide_kernel, estimate.background, points, estimate.weights, observation.shape)
    assert np.abs(left_at_defects(observation - sampled, points, estimate.noise_sigma)).max() > 4


def test_a_verdict_that_finds_nothing_left_has_looked_at_the_defects(scene):
    observation, points = scene
    spoiled = observation.copy()
    columns, rows = np.rint(points).astype(int).T
    signs = np.where(np.arange(len(points)) % 2, 1.0, -1.0)  # no common pattern that a kernel could take up
    spoiled[rows, columns] += (6 * 0.2 * observation.std() * signs).astype(np.float32)
    found = assess(load_extractor(device="cpu"), spoiled, points, method="tikhonov", kernel_size=40, pixel_size_nm=PITCH)
    assert "at the defect itself" in found.verdict and "Nothing structured is left" not in found.verdict
