"""Places of a list that are off, marginalised beside background and noise: slopes, moves, what right lists keep, and what is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qpi_core
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.all_pixels import on_all_pixels
from qpi_core.solvers.measured.noise_model.defect_effects import may_be_moved, place_columns
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import PLACES
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.synthesis.simulated_maps.measured_scene import MeasuredScene, draw_measured_scene

SEED = 90_877
NUISANCES = "streaks-0.3+background-1"


def problem_of(scene: MeasuredScene) -> HarmonicProblem:
    return HarmonicProblem(scene.observation, 64, (scene.pixel_size_nm,) * 2)


def clicked(scene: MeasuredScene, sigma: float = 0.5) -> np.ndarray:
    moved = scene.positions + sigma * np.random.default_rng(5).standard_normal(scene.positions.shape)
    return np.clip(moved, -0.5, 63.5)


def test_columns_are_the_slopes_of_the_map_by_the_places():
    scene = draw_measured_scene(NUISANCES, SEED, 3)
    problem, weights = problem_of(scene), np.linspace(0.5, 1.5, len(scene.positions))
    begun = on_all_pixels(problem, scene.positions, weights, problem.start(scene.positions, weights))
    fit = begun.selection.best
    columns = place_columns(begun.samples, begun.splines, fit)

    def pattern(positions: np.ndarray) -> np.ndarray:
        samples = replace(begun.samples, positions=positions)
        design = StoredDesign(samples, begun.splines, tuple(sorted({0, *problem.symmetry_orders})))
        return samples.values - design.residual(fit.hyperparameters.orders, fit.evidence.profiles)

    step = 1e-3
    for number, axis in ((0, 0), (4, 1)):
        shift = np.zeros_like(begun.samples.positions)
        shift[number, axis] = step
        slope = (pattern(begun.samples.positions + shift) - pattern(begun.samples.positions - shift)) / (2 * step)
        own = columns[:, number + axis * len(weights)]
        # Both are about the mean, which the residual leaves out.
        assert np.abs((slope - slope.mean()) - (own - own.mean())).max() < 0.02 * np.abs(own).max()


@pytest.mark.slow
def test_defects_that_are_off_are_led_back_and_the_clicks_error_is_found():
    scene = draw_measured_scene(NUISANCES, SEED, 2)
    problem, positions, weights = problem_of(scene), clicked(scene), np.ones(len(scene.positions))
    found = find_noise(problem, positions, weights, problem.start(positions, weights), movable=True)
    assert found is not None and found.moves is not None and found.moving_gain > 100
    apart = np.hypot(*(found.places(positions) - scene.positions).T)
    assert np.median(apart) < 0.15 < np.median(np.hypot(*(positions - scene.positions).T))
    assert np.sqrt(found.strength(PLACES) * found.start.variance) == pytest.approx(0.5, rel=0.3)
    as_listed = find_noise(problem, positions, weights, problem.start(positions, weights))
    assert as_listed is not None and as_listed.moves is None
    assert found.evidence - as_listed.evidence == pytest.approx(found.moving_gain, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("variant", [NUISANCES, pytest.param("second-10", marks=pytest.mark.slow)])
def test_a_right_list_stays_as_it_is(variant):
    scene = draw_measured_scene(variant, SEED, 3)
    problem, weights = problem_of(scene), np.ones(len(scene.positions))
    begun = problem.start(scene.positions, weights)
    found, without = (find_noise(problem, scene.positions, weights, begun, movable=movable) for movable in (True, False))
    assert found is not None and without is not None
    assert found.moves is None and found.evidence == without.evidence
    np.testing.assert_array_equal(found.places(scene.positions), scene.positions)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_clicks_beside_a_background_cost_little(asked):
    scene = draw_measured_scene(NUISANCES, SEED, 2)
    extractor, pitch = qpi_core.load_extractor(), scene.pixel_size_nm
    given = {"pixel_size_nm": pitch, "with_latent": False, "refine_positions": asked}
    estimate = extractor.extract(scene.observation, clicked(scene), **given)
    error = np.sqrt(np.mean((estimate.kernel - scene.kernel) ** 2)) / np.ptp(scene.kernel)
    assert error < 0.006 and estimate.symmetry_order == scene.symmetry_order
    assert np.mean(np.abs(estimate.kernel - scene.kernel) < 1.96 * estimate.uncertainty) > 0.5
    words = "The map moved the defects by" if asked else "with the listed ones moved by"
    assert any(words in sentence for sentence in estimate.warnings), estimate.warnings
    places = estimate.positions if asked else np.array(estimate.provenance["list_repair"]["positions_px"])
    assert np.median(np.hypot(*(places - scene.positions).T)) < 0.15
    if not asked:
        off, deviation = estimate.noise_model["position_error_px"]
        assert off == pytest.approx(0.5, abs=3 * deviation) and 0.02 < deviation < 0.1


def test_a_longer_list_remembers_where_its_defects_were_listed():
    given = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    found = np.array([[1.1, 2.0], [3.0, 4.2], [7.0, 8.0], [9.0, 9.0]])
    repair = RepairedList(found, np.ones(4), 1, (2,), np.array([0.1, 0.2, 0.0]), np.ones(4), 30.0, 5.0)
    np.testing.assert_array_equal(repair.listed_as(given), [[1, 2], [3, 4], [7, 8], [9, 9]])
    settled = repair.settled(given, found + [0.3, 0.0], 1000)
    np.testing.assert_allclose(settled.moved_px, [0.4, np.hypot(0.3, 0.2), 0.3])
    assert settled.price == pytest.approx(1.5 * np.log(1000)) and not settled.sigma_px.any()


def test_two_defects_or_very_many_are_not_moved():
    assert [may_be_moved(count) for count in (2, 3, 80, 81)] == [False, True, True, False]
