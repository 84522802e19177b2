"""Defects of a kind that the list does not name: their places, the kernel beside them, and nothing where other causes explain the map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

import qpi_core
from qpi_core.evaluation.benchmark.scenes import draw_benchmark_scene
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.kinds.unlisted_map import explained_by_unlisted_kind
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene

SEED = 90210


@pytest.mark.slow
def test_places_and_kernel_of_an_unlisted_kind_are_found_and_told():
    scene = draw_measured_scene("second-10", 91000, 1)
    estimate = qpi_core.load_extractor().extract(
        scene.observation, scene.positions, "harmonic", pixel_size_nm=scene.pixel_size_nm, with_latent=False
    )
    assert np.sqrt(np.mean((estimate.kernel - scene.kernel) ** 2)) / np.ptp(scene.kernel) < 0.003
    assert estimate.symmetry_order == scene.symmetry_order
    assert any("defects of another kind" in sentence and "kernel of their own" in sentence for sentence in estimate.warnings)
    unlisted = scene.true_positions[len(scene.positions) :]
    places = np.array(estimate.provenance["noise_model"]["unlisted_patterns_px"])
    assert len(places) == len(unlisted) and cKDTree(places).query(unlisted)[0].max() < 0.2
    # What is theirs is background, and the sum is the map.
    assert estimate.has_background
    left = scene.observation - estimate.reconstruction
    np.testing.assert_allclose(left, estimate.residual, atol=1e-5)
    assert float(left.std()) == pytest.approx(scene.noise_sigma, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "amplitudes-50", "missing-10", "second-30-listed"])
def test_other_causes_are_no_unlisted_kind(variant):
    scene = draw_benchmark_scene(SEED, 1, variant, 0.2)
    problem = HarmonicProblem(scene.observation.astype(np.float32), 64, (scene.pixel_size_nm, scene.pixel_size_nm))
    weights = np.ones(len(scene.positions))
    with one_thread():
        assert explained_by_unlisted_kind(problem, scene.positions, weights, problem.start(scene.positions, weights)) is None
