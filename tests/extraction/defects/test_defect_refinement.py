"""Positions and amplitudes refined by the map, through the Extractor."""

import json

import numpy as np
import pytest

import qpi_core
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, phenomenological_kernel
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, simulate_observation

PARAMETERS = KernelParameters(4, 0.4, 2.5, 0.6, 0.25)


@pytest.fixture(scope="module")
def clicked():
    rng = np.random.default_rng(8)
    true = draw_positions(rng, 20, (64, 64), on_grid=False)
    clean = simulate_observation(PARAMETERS, true, (64, 64))
    observation = clean + 0.1 * clean.std() * rng.standard_normal((64, 64))
    given = np.clip(true + rng.normal(0, 0.7, true.shape), 0, 63)
    return observation, true, given, qpi_core.load_extractor(device="cpu")


@pytest.mark.slow
def test_clicks_are_repaired_and_the_kernel_with_them(clicked):
    observation, true, given, extractor = clicked
    truth = phenomenological_kernel(**PARAMETERS.as_dict())
    plain = extractor.extract(observation, given, "harmonic")
    repaired = extractor.extract(observation, given, "harmonic", refine_positions=True)
    assert np.median(np.hypot(*(repaired.positions - true).T)) < 0.06
    assert np.sqrt(np.mean((repaired.kernel - truth) ** 2)) < 0.3 * np.sqrt(np.mean((plain.kernel - truth) ** 2))
    np.testing.assert_array_equal(plain.positions, given)
    record = json.loads(json.dumps(repaired.provenance))["refinement"]
    np.testing.assert_allclose(record["given_positions_px"], given)
    assert any("moved the defects" in sentence for sentence in repaired.warnings)


@pytest.mark.slow
def test_any_method_runs_at_the_refined_positions(clicked):
    observation, _true, given, extractor = clicked
    estimate = extractor.extract(observation, given, "tikhonov", 32, refine_positions=True)
    np.testing.assert_allclose(estimate.residual, observation - estimate.reconstruction, atol=1e-5)
    assert estimate.residual.std() < extractor.extract(observation, given, "tikhonov", 32).residual.std()


@pytest.mark.slow
def test_amplitudes_are_found(clicked):
    _observation, true, _given, extractor = clicked
    weights = np.linspace(0.5, 1.5, len(true))
    maps = [simulate_observation(PARAMETERS, [point], (64, 64)) for point in true]
    observation = np.tensordot(weights, maps, axes=1)
    found = extractor.extract(observation, true, "harmonic", refine_weights=True).weights
    np.testing.assert_allclose(found / found.mean(), weights / weights.mean(), atol=0.05)


def test_clicks_at_whole_pixels_are_led_back_to_the_map_without_noise():
    # Eq. 7 has a value at its centre that it has nowhere near it: a millionth of a pixel beside it the map would not be the kernel's.
    rng = np.random.default_rng(3)
    true = draw_positions(rng, 8, (64, 64), on_grid=True)
    observation = simulate_observation(PARAMETERS, true, (64, 64))
    clicks = np.clip(true + rng.normal(0, 0.4, true.shape), 0, 63)
    estimate = qpi_core.load_extractor(device="cpu").extract(observation, clicks, "harmonic", refine_positions=True, with_latent=False)
    np.testing.assert_allclose(estimate.positions, true, atol=1e-4)
    np.testing.assert_allclose(estimate.kernel, phenomenological_kernel(**PARAMETERS.as_dict()), atol=1e-3)
    assert set(estimate.noise_model) == {"white_noise_sigma"}
    assert not any("residual" in sentence for sentence in estimate.warnings), estimate.warnings


def test_a_constant_map_moves_nothing(clicked):
    extractor = clicked[3]
    estimate = extractor.extract(np.full((40, 40), 2.0), [[5, 6], [20, 20]], "tikhonov", 16, refine_positions=True)
    np.testing.assert_array_equal(estimate.positions, [[5, 6], [20, 20]])


@pytest.mark.slow
def test_a_tilt_does_not_carry_the_defect_along():
    """A kernel that is moved along a slope explains some of it: a mark of a measured scan went 11 px away."""
    place = np.array([[47.3, 52.1]])
    rows, columns = np.indices((96, 100))
    radius = np.hypot(columns - place[0, 0], rows - place[0, 1])
    dip = -np.exp(-((radius / 10) ** 2)) + 0.02 * np.random.default_rng(2).standard_normal(radius.shape)
    tilted = (dip + 0.1 * rows + 0.02 * columns).astype(np.float32)
    estimate = qpi_core.load_extractor().extract(tilted, place + [[1.0, -0.5]], "harmonic", 48, refine_positions=True, noise_model="white")
    assert np.hypot(*(estimate.positions - place)[0]) < 0.5
