"""Maps with what measured maps hold: kernel, symmetry, background and words, on scenes of seeds that nothing was chosen on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qpi_core
from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.noise.tiles import tiles_of
from qpi_core.synthesis.nuisances.row_noise import Streaks, draw_row_drift, draw_streaks
from qpi_core.synthesis.simulated_maps.measured_scene import MeasuredScene, draw_measured_scene
from qpi_core.synthesis.simulated_maps.measured_variants import parse_variant

SEED = 90210


def extracted(scene: MeasuredScene, method: str = "harmonic", noise_model: str = "auto") -> KernelEstimate:
    extractor = qpi_core.load_extractor()
    pitch = scene.pixel_size_nm
    return extractor.extract(scene.observation, scene.positions, method, pixel_size_nm=pitch, with_latent=False, noise_model=noise_model)


def error(estimate: KernelEstimate, scene: MeasuredScene) -> float:
    return float(np.sqrt(np.mean((estimate.kernel - scene.kernel) ** 2)) / np.ptp(scene.kernel))


@pytest.mark.parametrize(
    ("variant", "limit", "words"),
    [
        ("background-1", 0.006, "smooth background"),
        ("streaks-0.3", 0.006, "scan lines are offset"),
        pytest.param("drift-1", 0.004, "level of the scan lines wanders", marks=pytest.mark.slow),
        ("lattice-1-sites", 0.005, "atomic lattice"),
        pytest.param("step-1", 0.004, "A step runs through the map", marks=pytest.mark.slow),
        pytest.param("flips-20", 0.005, "have the other sign", marks=pytest.mark.slow),
        pytest.param("second-10", 0.008, "defects of another kind", marks=pytest.mark.slow),
        pytest.param("blur2-0.2", 0.006, "not white", marks=pytest.mark.slow),
        pytest.param("amplitudes-50", 0.005, "differ in strength", marks=pytest.mark.slow),
        pytest.param("cores-1", 0.005, "cores of the defects", marks=pytest.mark.slow),
        pytest.param("spikes", 0.004, "stand out of the noise", marks=pytest.mark.slow),
    ],
)
def test_a_nuisance_is_modelled_and_named_and_costs_little(variant: str, limit: float, words: str) -> None:
    scene = draw_measured_scene(variant, SEED, 3)
    estimate = extracted(scene)
    assert error(estimate, scene) < limit
    assert estimate.symmetry_order == scene.symmetry_order
    assert any(words in sentence for sentence in estimate.warnings), estimate.warnings
    assert not any("contradicts the list" in sentence for sentence in estimate.warnings)
    spread, deviation = estimate.noise_model.get("strength_spread", (0.0, 0.0))
    assert spread == pytest.approx(np.std(estimate.weights) / np.mean(np.abs(estimate.weights)), abs=0.01) and deviation <= 0.2 * spread


@pytest.mark.slow
def test_the_background_is_the_one_that_was_added_and_all_parts_make_the_map() -> None:
    scene = draw_measured_scene("background-1", SEED, 1)
    estimate = extracted(scene, "refined")
    truth, found = scene.structures["background"], estimate.background_map
    assert found is not None and found.shape == scene.observation.shape
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.99
    assert np.allclose(estimate.reconstruction + estimate.residual, scene.observation, atol=1e-5)
    assert np.std(estimate.residual) == pytest.approx(scene.noise_sigma, rel=0.1)
    value, deviation = estimate.noise_model["background_length_nm"]
    assert abs(value - 3.0) < max(3 * deviation, 0.6)
    assert estimate.noise_model["white_noise_sigma"][0] == pytest.approx(scene.noise_sigma, rel=0.05)


@pytest.mark.parametrize("index", [0, 2])
def test_a_map_of_white_noise_is_left_to_the_plain_model_to_the_last_digit(index: int) -> None:
    scene = draw_measured_scene("plain", SEED, index)
    auto, white = extracted(scene, "refined"), extracted(scene, "refined", "white")
    assert np.array_equal(auto.kernel, white.kernel) and np.array_equal(auto.uncertainty, white.uncertainty)
    assert auto.warnings == white.warnings and set(auto.noise_model) == {"white_noise_sigma"}


@pytest.mark.slow
def test_pixels_that_were_not_measured_take_no_part() -> None:
    scene = draw_measured_scene("background-1", SEED, 2)
    holes = scene.observation.copy()
    holes[20:26, 30:40], holes[60:] = np.nan, np.nan
    estimate = qpi_core.load_extractor().extract(holes, scene.positions, "harmonic", pixel_size_nm=scene.pixel_size_nm, with_latent=False)
    assert error(estimate, scene) < 0.008
    assert estimate.symmetry_order == scene.symmetry_order
    assert np.isfinite(estimate.background_map).all() and np.isfinite(estimate.reconstruction).all()


def test_an_unknown_noise_model_is_refused_in_one_sentence() -> None:
    scene = draw_measured_scene("plain", SEED, 0)
    with pytest.raises(InputError, match="noise_model must be one of auto, white, but it is 'pink'"):
        extracted(scene, noise_model="pink")


@pytest.mark.slow
def test_a_noise_model_that_cannot_be_fitted_gives_the_plain_answer_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = draw_measured_scene("background-1", SEED, 1)
    plain = extracted(scene, noise_model="white")

    def failing(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr("qpi_core.noise.selection.evaluate_components", failing)
    monkeypatch.setattr("qpi_core.solvers.measured.noise_model.search.score_group", failing)
    estimate = extracted(scene)
    assert np.array_equal(estimate.kernel, plain.kernel)
    assert any("could not be modelled" in sentence for sentence in estimate.warnings)


@pytest.mark.slow
def test_a_large_map_with_many_gaps_says_that_it_was_taken_with_white_noise() -> None:
    scene = draw_measured_scene("background-1", SEED, 1, shape=(150, 150))
    scene.observation[::2, ::3] = np.nan
    estimate = extracted(scene, "harmonic")
    assert any("too many gaps" in sentence for sentence in estimate.warnings)


@pytest.mark.slow
def test_a_map_of_two_tiles_is_as_good_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(parse_variant("background-1+streaks-0.3"), defects=(40, 40))
    scene = draw_measured_scene(recipe, SEED, 3, shape=(64, 96))
    whole = extracted(scene)
    monkeypatch.setattr("qpi_core.solvers.measured.measured_map.may_be_modelled", lambda _: False)
    monkeypatch.setattr("qpi_core.solvers.measured.large_map.tiles_of", lambda measured: tiles_of(measured, 64))
    tiled = extracted(scene)
    assert error(tiled, scene) < 1.3 * error(whole, scene) < 0.004
    assert tiled.symmetry_order == whole.symmetry_order == scene.symmetry_order
    truth, found = scene.structures["background"], tiled.background_map
    assert found is not None and np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.95
    assert np.allclose(tiled.reconstruction + tiled.residual, scene.observation, atol=1e-5)


@pytest.mark.slow
def test_a_large_map_has_its_background_streaks_lattice_and_spikes_modelled_in_tiles() -> None:
    recipe = replace(parse_variant("background-1+streaks-0.3+lattice-1+spikes-0.5"), defects=(80, 80))
    scene = draw_measured_scene(recipe, SEED, 3, shape=(160, 160))
    estimate = extracted(scene)
    assert error(estimate, scene) < 0.003 < 5 * error(extracted(scene, noise_model="white"), scene)
    assert estimate.symmetry_order == scene.symmetry_order
    for words in ("smooth background", "scan lines are offset", "atomic lattice", "stand out of the noise"):
        assert any(words in sentence for sentence in estimate.warnings), estimate.warnings


@pytest.mark.slow
def test_a_large_map_of_white_noise_is_left_to_the_plain_model_to_the_last_digit() -> None:
    scene = draw_measured_scene("plain", SEED, 2, shape=(150, 150))
    assert np.array_equal(extracted(scene).kernel, extracted(scene, noise_model="white").kernel)


@pytest.mark.slow
def test_the_ring_of_a_single_wide_defect_on_drifting_lines_stays_in_its_kernel() -> None:
    """A square of ten thousand pixels around it would hold nothing else, and a smooth background would take the ring."""
    size, place = 256, np.array([[121.3, 133.8]])
    y, x = np.indices((size, size))
    radius = np.hypot(x - place[0, 0], y - place[0, 1])
    ring = -6 * np.exp(-((radius / 22) ** 2) / 2) + 0.5 * np.exp(-(((radius - 62) / 10) ** 2) / 2)
    rng = np.random.default_rng(3)
    lines = draw_row_drift((size, size), rng) + 0.4 * draw_streaks(Streaks(1.0, 0.3), (size, size), rng)
    observation = (ring + lines + 0.05 * rng.standard_normal((size, size))).astype(np.float32)
    estimate = qpi_core.load_extractor().extract(observation, place, "harmonic", 160, pixel_size_nm=0.02, with_latent=False)
    found = np.arange(160) - 80
    distance = np.hypot(*np.meshgrid(found, found))
    # 0.38 in truth; -0.13 under the noise model of a square at full resolution.
    assert estimate.kernel[80, 80] < -4 and 0.28 < estimate.kernel[np.abs(distance - 62) < 2].mean() < 0.48
    assert estimate.background_map is not None
    assert np.corrcoef(estimate.background_map.mean(axis=1), lines.mean(axis=1))[0, 1] > 0.95


@pytest.mark.slow
def test_eq_7_beside_a_background_is_found_by_evidence_and_the_background_gives_way_to_it() -> None:
    """The smooth part of an isotropic kernel looks like background; the formula ties it to the ripples."""
    scene = draw_measured_scene("background-1", SEED, 0)
    harmonic, refined = extracted(scene), extracted(scene, "refined")
    assert scene.symmetry_order == 0 and refined.provenance["solver"]["prior"] == "formula"
    assert error(refined, scene) < min(0.004, error(harmonic, scene))
    truth, found = scene.structures["background"], refined.background_map
    assert found is not None and np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.999
    assert np.allclose(refined.reconstruction + refined.residual, scene.observation, atol=1e-5)
    assert np.std(refined.residual) == pytest.approx(scene.noise_sigma, rel=0.1)
    assert refined.uncertainty is not None
    assert np.mean(np.abs(refined.kernel - scene.kernel) < 3 * refined.uncertainty) > 0.9


@pytest.mark.slow
def test_a_kernel_of_another_kind_beside_a_background_is_not_taken_for_eq_7() -> None:
    scene = draw_measured_scene("background-1-tmatrix", SEED, 6)
    refined = extracted(scene, "refined")
    assert refined.noise_model and refined.provenance["solver"]["prior"] == "harmonic"
