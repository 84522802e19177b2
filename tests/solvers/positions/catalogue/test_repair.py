"""Lists that the map contradicts are repaired; lists that it does not contradict are left alone."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmarks.speed.scenes import KERNEL_SIZE, SpeedRow, draw_scene
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.formula.formula_prior import formula_prior
from qpi_core.solvers.harmonic.answer import harmonic_solution
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.model import fit_harmonics
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.positions.catalogue.candidates import absent_defects, missing_defects, views_of
from qpi_core.solvers.positions.catalogue.check import PEAK_GAIN, Suspicion, gain_of_another_list, suspect_list
from qpi_core.solvers.positions.catalogue.repair import repair_list
from qpi_core.solvers.positions.catalogue.selection import fit_with_list, prefer_repaired
from qpi_core.solvers.positions.score_test import score_moves
from qpi_core.solvers.positions.variable_projection import joint_system, kernel_variance
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, phenomenological_kernel
from qpi_core.synthesis.simulated_maps import scenes
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation

SHAPE, SIZE, PITCH = (48, 52), 32, 10 / 64
PARAMETERS = KernelParameters(symmetry_order=4, orientation=0.4, wavenumber=4.0, phase=0.6, decay=0.35)
TRUTH = phenomenological_kernel(**PARAMETERS.as_dict(), size=SIZE, pixel_size_nm=PITCH)
RNG = np.random.default_rng(7)
PLACES = np.stack([RNG.permutation(52)[:14], RNG.permutation(48)[:14]], axis=1).astype(float)


@lru_cache
def observed(noise: float = 0.02) -> np.ndarray:
    return simulate_observation(PARAMETERS, PLACES, SHAPE, PITCH, noise, rng=np.random.default_rng(3))


def chosen(positions: np.ndarray, observation: np.ndarray | None = None):
    image = observed() if observation is None else observation
    return fit_with_list(image, positions, SIZE, np.ones(len(positions)), (PITCH, PITCH))


def error(listed) -> float:
    return float(np.sqrt(np.mean((harmonic_solution(listed.model, SIZE, None, 1).kernel - TRUTH) ** 2)))


@lru_cache
def error_with_the_right_list() -> float:
    return error(chosen(PLACES)[0])


def test_a_right_list_is_left_alone():
    (listed,) = chosen(PLACES)
    assert listed.repair is None
    np.testing.assert_array_equal(listed.positions, PLACES)


@pytest.mark.slow
def test_missing_defects_are_found_at_their_places():
    (listed,) = chosen(PLACES[:-2])
    assert listed.repair.added == 2 and not listed.repair.moved_px.any() and not listed.repair.absent
    found = listed.positions[-2:]
    for place in PLACES[-2:]:
        assert np.hypot(*(found - place).T).min() < 0.1
    assert error(listed) < 1.2 * error_with_the_right_list()


@pytest.mark.slow
def test_missing_defects_are_found_where_moving_the_others_promises_more():
    scene = draw_scene(SpeedRow("eq7", "missing-10"), 600, 1)
    full = draw_scene(SpeedRow("eq7"), 600, 1).positions
    problem = HarmonicProblem(scene.observation, KERNEL_SIZE, (PITCH, PITCH))
    ones = np.ones(len(scene.positions))
    first = problem.simple_fit(scene.positions, ones)
    score = score_moves(first)
    missing = missing_defects(scene.observation, first, 1.0, score.least_gain(PEAK_GAIN))
    assert score.blurred and not len(missing), "the list looks moved and complete"
    repaired = repair_list(problem, scene.positions, ones, first, lambda: -np.inf, lambda _: False)
    distances, _ = cKDTree(repaired.positions).query(full)
    assert repaired.added == 4 and distances.max() < 0.3


def test_a_defect_that_is_not_there_is_left_out():
    (listed,) = chosen(np.vstack([PLACES, [[30.0, 25.0]]]))
    assert listed.repair.absent == (14,) and listed.repair.added == 0
    np.testing.assert_array_equal(listed.positions, PLACES)


@pytest.mark.slow
def test_clicks_that_are_off_are_moved():
    clicked = PLACES + np.random.default_rng(5).normal(0, 0.5, PLACES.shape)
    clicked = np.clip(clicked, 0, [51, 47])
    (listed,) = chosen(clicked)
    assert listed.repair.added == 0 and np.median(listed.repair.moved_px) > 0.3
    assert np.median(np.hypot(*(listed.positions - PLACES).T)) < 0.06
    assert error(listed) < 4 * error_with_the_right_list()


def test_one_missing_defect_is_seen_where_it_is_and_no_other():
    image = observed()
    listed = PLACES[:-1]
    model = fit_harmonics(image, listed, SIZE, np.ones(len(listed)), None, SYMMETRY_ORDERS, extended=False)
    found = missing_defects(image, model, 1.0, 14.0)
    np.testing.assert_allclose(found[0], PLACES[-1])
    assert len(missing_defects(image, model, -1.0, 14.0)) == 0
    assert not absent_defects(model, listed, np.ones(len(listed)), 10.0).any()


@pytest.mark.parametrize("given", ["right", "short", "moved"])
def test_what_another_list_promises(given):
    listed = {"right": PLACES, "short": PLACES[:-2], "moved": PLACES + RNG.normal(0, 0.6, PLACES.shape)}[given]
    problem = HarmonicProblem(observed(), SIZE, (PITCH, PITCH))
    model, right = (problem.simple_fit(places, np.ones(len(places))) for places in (listed, PLACES))
    pixels = model.equations.pixels
    promised = gain_of_another_list(observed(), model, np.ones(len(listed)))
    gained = log_evidence(right.fit, pixels) - log_evidence(model.fit, pixels)
    if given == "right":
        assert promised < PEAK_GAIN + len(listed), "no more than chance gives"
    else:
        # The promise is that of one step with the kernel as it is: less than what the right list gains, kernel and all.
        assert PEAK_GAIN + len(listed) < promised < gained


def test_what_a_defect_gains_while_the_kernel_gives_way():
    """t.(1 - H) t is the misfit of the pattern t taken for a map, under the prior of the kernel that was found."""
    image, listed = observed(), PLACES[:-1]
    model = fit_harmonics(image, listed, SIZE, np.ones(len(listed)), None, SYMMETRY_ORDERS, extended=False)
    point, samples = model.fit.hyperparameters, model.samples
    place = PLACES[-1:]
    pattern, _, _ = kernel_with_slopes(
        model.splines, point.orders, model.fit.evidence.profiles, samples.x[:, None] - place[:, 0], samples.y[:, None] - place[:, 1]
    )
    alone = accumulate([ClassBasis(replace(samples, values=pattern[:, 0]), model.splines, point.orders)]).alone()
    misfit = evaluate(alone, model.splines.nodes, point.radial, point.mixing(), 0.0).variance * (alone.pixels - 1)
    variance = joint_system(model).variance
    views = views_of(model, place, kernel_gives_way=True)
    np.testing.assert_allclose(variance * views.overlap, [[misfit]], rtol=1e-6)
    plain = views_of(model, place)
    np.testing.assert_allclose(variance * plain.overlap, [[alone.total]], rtol=1e-9)
    assert views.overlap[0, 0] < plain.overlap[0, 0]
    np.testing.assert_allclose(views.response, plain.response)


@pytest.mark.slow
def test_the_score_is_one_by_chance_and_sees_clicks_that_are_off():
    """Twenty draws of the noise about a right list; moves of half a pixel at the noise that hides them from the eye."""
    ones, found = np.ones(14), []
    for draw in range(20):
        image = simulate_observation(PARAMETERS, PLACES, SHAPE, PITCH, 0.3, rng=np.random.default_rng(draw))
        found.append(score_moves(fit_harmonics(image, PLACES, SIZE, ones, None, (0, 4), extended=False)).deviations)
    assert abs(np.mean(found)) < 0.7 and 0.5 < np.std(found) < 1.6
    clicked = np.clip(PLACES + np.random.default_rng(5).normal(0, 0.5, PLACES.shape), 0, [51, 47])
    moved = score_moves(fit_harmonics(image, clicked, SIZE, ones, None, (0, 4), extended=False))
    assert moved.decisive and moved.deviations > 10


@pytest.mark.slow
def test_the_kernel_of_a_repaired_list_has_wider_error_bars():
    clicked = np.clip(PLACES + np.random.default_rng(5).normal(0, 0.5, PLACES.shape), 0, [51, 47])
    image = simulate_observation(PARAMETERS, PLACES, SHAPE, PITCH, 0.3, rng=np.random.default_rng(3))
    estimate = Extractor("there is no such model", device="cpu").extract(image, clicked, "refined", SIZE, pixel_size_nm=PITCH)
    assert "list_repair" in estimate.provenance
    (listed,) = chosen(clicked, image)
    # The map is of Eq. 7 and prefers it, so its error bars are those of the formula.
    known = formula_prior(listed.model, harmonic_solution(listed.model, SIZE, (PITCH, PITCH), 14), SHAPE).uncertainty
    variance = kernel_variance(listed.model, listed.repair.sigma_px, SIZE)
    assert 0.01 < np.mean(variance) / np.mean(known**2) < 2
    np.testing.assert_allclose(np.mean(estimate.uncertainty**2), np.mean(known**2) + np.mean(variance), rtol=0.02)


def test_suspicion():
    right = fit_harmonics(observed(), PLACES, SIZE, np.ones(14), None, SYMMETRY_ORDERS, extended=False)
    assert suspect_list(observed(), right, PLACES, np.ones(14))[0] is Suspicion.NONE
    short = fit_harmonics(observed(), PLACES[:12], SIZE, np.ones(12), None, SYMMETRY_ORDERS, extended=False)
    assert suspect_list(observed(), short, PLACES[:12], np.ones(12))[0] is Suspicion.CLEAR
    # With two defects a move of one is a change of the kernel.
    pair = fit_harmonics(observed(), PLACES[:2], SIZE, np.ones(2), None, SYMMETRY_ORDERS, extended=False)
    assert suspect_list(observed(), pair, PLACES[:2], np.ones(2))[0] is Suspicion.NONE


@pytest.mark.parametrize(("noise_given", "noise_repaired", "price", "better"), [(1.0, 0.9, 50, True), (1.0, 0.99, 50, False)])
def test_repair_has_its_price(noise_given, noise_repaired, price, better):
    (listed,) = chosen(PLACES)
    solution = harmonic_solution(listed.model, SIZE, None, 14)
    given, repaired = replace(solution, noise_sigma=noise_given), replace(solution, noise_sigma=noise_repaired)
    assert prefer_repaired(given, repaired, price, 4096) is better


@pytest.mark.slow
def test_estimate_keeps_the_list_and_says_what_is_wrong_with_it():
    extractor = Extractor("there is no such model", device="cpu")
    estimate = extractor.extract(observed(), PLACES[:-2], "refined", SIZE, pixel_size_nm=PITCH)
    np.testing.assert_array_equal(estimate.positions, PLACES[:-2])
    assert any("contradicts the list of defects" in sentence and "with 2 more" in sentence for sentence in estimate.warnings)
    assert estimate.provenance["list_repair"]["added"] == 2
    assert float(np.sqrt(np.mean((estimate.kernel - TRUTH) ** 2))) < 1.2 * error_with_the_right_list()
    # The residual shows what the list lacks.
    assert float(np.std(estimate.residual)) > 1.5 * estimate.noise_sigma


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_short_list_with_false_marks_gets_an_answer(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform(8, 32, (1, 2))
    image = simulate_observation(PARAMETERS, place, (40, 44), PITCH, 0.05, rng=rng).astype(np.float32)
    marks = np.vstack([place, rng.uniform(2, 38, (2, 2))])
    listed = fit_with_list(image, marks, 24, np.ones(3), (PITCH, PITCH))[-1]
    assert len(listed.positions) >= 3 and np.isfinite(listed.model.fit.cost)


def test_one_defect_or_all_at_one_place_have_no_moves_to_score():
    for places in (PLACES[:1], PLACES[[0, 0, 0]]):
        model = fit_harmonics(observed(), places, SIZE, np.ones(len(places)), None, (0, 4), extended=False)
        score = score_moves(model)
        assert score.per_unknown == 1.0 and not score.decisive and not score.blurred


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "index", "noise", "count", "listed"),
    [
        pytest.param(9109, 4, 0.2, 8, [1, 4, 6], id="more are missing than listed"),
        pytest.param(9109, 5, 0.2, 8, [1, 3, 4, 6], id="what is missing looks like a strong background"),
        pytest.param(9106, 0, 0.05, 5, [1, 2, 4], id="a kernel without symmetry takes up what is missing"),
    ],
)
def test_a_list_without_most_of_its_defects_is_completed(seed, index, noise, count, listed):
    scene = scenes.draw_scene(seed, index, noise, on_grid=False, count=count)
    extractor = Extractor("there is no such model", device="cpu")

    def solved(positions):
        return extractor.extract(scene.observation, positions, "refined", pixel_size_nm=scene.pixel_size_nm)

    short, right = solved(scene.positions[listed]), solved(scene.positions)
    repair = short.provenance["list_repair"]
    distances, _ = cKDTree(repair["positions_px"]).query(scene.positions)
    assert repair["added"] == count - len(listed) and not repair["absent"] and distances.max() < 0.2
    off = [float(np.sqrt(np.mean((one.kernel - scene.kernel) ** 2))) for one in (short, right)]
    assert off[0] < 2 * off[1]
