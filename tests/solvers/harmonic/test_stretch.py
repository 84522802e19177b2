"""Kernels that are symmetric but for a stretch: found with error bars, and no stretch where there is none."""

import numpy as np
import pytest
from scipy.linalg import expm

from qpi_core.solvers.harmonic import stretch as stretch_module
from qpi_core.solvers.harmonic.answer import harmonic_solution
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.frame import stretch_matrix
from qpi_core.solvers.harmonic.model import fit_harmonics
from qpi_core.solvers.harmonic.orders.significant_orders import doubtful_orders
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid
from qpi_core.solvers.harmonic.start import start_harmonics
from qpi_core.solvers.harmonic.stretch import Stretch, may_be_stretched, stretch_deviation
from qpi_core.solvers.positions.catalogue.selection import fit_with_list
from qpi_core.solvers.positions.refinement import refine
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.solvers.harmonic.stretched_patterns import noisy_map, on_window, stretched_pattern

SIZE, SHAPE, ORDERS = 32, (52, 60), (0, 1, 2, 3, 4)
NUMBERS = np.array([0.05, 0.03])


def scene(order, numbers, noise, seed=0, count=18):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 1, (count, 2)) * [SHAPE[1] - 1, SHAPE[0] - 1]
    kernel = stretched_pattern(order, numbers)
    return noisy_map([kernel], [positions], SHAPE, noise, rng), positions, on_window(kernel, SIZE)


def test_matrix_is_the_exponential():
    for numbers in (np.zeros(2), NUMBERS, np.array([-0.3, 0.1])):
        expected = expm(np.array([[numbers[0], numbers[1]], [numbers[1], -numbers[0]]]))
        np.testing.assert_allclose(stretch_matrix(numbers), expected, atol=1e-14)
        np.testing.assert_allclose(stretch_matrix(numbers) @ stretch_matrix(-numbers), np.eye(2), atol=1e-14)


def test_ratio_and_direction_are_those_of_the_kernel_s_axes():
    described = Stretch(0.2 * np.array([np.cos(0.6), np.sin(0.6)]), 1e-4 * np.eye(2), np.zeros((2, 1, 3)))
    ratio, direction = described.ratio, described.direction
    assert ratio == pytest.approx((np.exp(0.4), 2 * np.exp(0.4) * 0.01))
    assert direction == pytest.approx((0.3 + np.pi / 2, 0.01 / 0.4))
    along = np.array([np.cos(direction[0]), np.sin(direction[0])])
    # Along the long axis a step in the map is a short one in the coordinates of the round pattern.
    assert np.linalg.norm(described.matrix @ along) == pytest.approx(np.exp(-0.2))


def test_samples_and_windows_are_stretched_alike():
    observation = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    matrix, positions = stretch_matrix(NUMBERS), np.array([[1.0, 2.0]])
    samples = take_samples(observation, positions, np.ones(1), (1.1, 0.9), stretch=matrix)
    plain = take_samples(observation, positions, np.ones(1), (1.1, 0.9))
    np.testing.assert_allclose(np.stack([samples.x, samples.y]), matrix @ np.stack([plain.x, plain.y]))
    np.testing.assert_allclose(samples.positions[0], matrix @ plain.positions[0])
    grid, flat = KernelGrid.of_size(5, (1.1, 0.9), matrix), KernelGrid.of_size(5, (1.1, 0.9))
    np.testing.assert_allclose(grid.dx, matrix[0, 0] * flat.dx + matrix[0, 1] * flat.dy)
    np.testing.assert_allclose(grid.dy, matrix[1, 0] * flat.dx + matrix[1, 1] * flat.dy)


@pytest.mark.parametrize("order", [0, 4])
def test_a_stretched_kernel_is_found_with_its_axes(order):
    observation, positions, truth = scene(order, NUMBERS, 0.2)
    solution = solve_harmonic(observation, positions, SIZE, symmetry_orders=ORDERS)
    ratio, deviation = solution.parameters["stretch_ratio"]
    direction, spread = solution.parameters["stretch_direction_rad"]
    assert abs(ratio - np.exp(2 * np.hypot(*NUMBERS))) < 4 * deviation < 0.08
    assert abs(direction - (0.5 * np.arctan2(NUMBERS[1], NUMBERS[0]) + np.pi / 2)) < 4 * spread < 0.8
    assert solution.symmetry_order == 2
    assert any("times as long along" in sentence for sentence in solution.warnings)
    error = np.sqrt(np.mean((solution.kernel - truth) ** 2))
    round_one = fit_harmonics(observation, positions, SIZE, np.ones(len(positions)), None, ORDERS)
    assert round_one.stretch is None
    without = harmonic_solution(round_one, SIZE, None, len(positions)).kernel
    assert error < 0.5 * np.sqrt(np.mean((without - truth) ** 2)) and error < 0.012
    assert np.mean(np.abs(solution.kernel - truth) < 1.96 * solution.uncertainty) > 0.8


def test_superposition_between_pixels_is_that_of_the_stretched_kernel():
    observation, positions, _ = scene(0, NUMBERS, 0.02)
    solution = solve_harmonic(observation, positions, SIZE, symmetry_orders=ORDERS)
    clean = superpose(stretched_pattern(0, NUMBERS), positions, SHAPE, 1.0)
    difference = solution.superposition - clean
    assert np.std(difference) < 0.02 * clean.std()


def test_no_stretch_where_there_is_none():
    observation, positions, _ = scene(4, np.zeros(2), 0.2)
    solution = solve_harmonic(observation, positions, SIZE, symmetry_orders=ORDERS)
    assert "stretch_ratio" not in solution.parameters and solution.symmetry_order == 4


def test_what_a_stretch_leaves_is_told_from_what_a_one_sided_kernel_leaves():
    observation, positions, _ = scene(4, NUMBERS, 0.1)
    begun = start_harmonics(observation, positions, SIZE, np.ones(len(positions)))
    surprising = doubtful_orders(begun, ORDERS)
    assert 2 in surprising and may_be_stretched(begun, surprising)
    assert not may_be_stretched(begun, {}) and not may_be_stretched(begun, {1: 9.0, 2: 3.0})


def test_deviation_is_how_the_kernel_follows_the_stretch():
    observation, positions, _ = scene(0, NUMBERS, 0.1)
    model = fit_harmonics(observation, positions, SIZE, np.ones(len(positions)), None, ORDERS, stretchable=True)
    found = model.stretch
    only = Stretch(found.numbers, np.diag([1.0, 0.0]), np.zeros_like(found.profile_slopes))
    step = 1e-5
    kernels = []
    for sign in (1, -1):
        # A further stretch comes on top of the one that was found.
        matrix = stretch_matrix(np.array([sign * step, 0.0])) @ found.matrix
        grid = KernelGrid.of_size(SIZE, model.aspect, matrix)
        kernels.append(model.splines.evaluate(model.fit.evidence.profiles, np.hypot(grid.dx, grid.dy))[0])
    numerical = np.abs(kernels[0] - kernels[1]) / (2 * step)
    np.testing.assert_allclose(stretch_deviation(only, model.frame.grid(SIZE), model.splines, model.fit), numerical, atol=1e-4)


def test_a_right_list_of_a_stretched_kernel_is_left_alone():
    observation, positions, _ = scene(4, NUMBERS, 0.1)
    (listed,) = fit_with_list(observation, positions, SIZE, np.ones(len(positions)), None)
    assert listed.repair is None and listed.model.stretch is not None
    np.testing.assert_allclose(listed.model.stretch.numbers, NUMBERS, atol=0.01)


@pytest.mark.slow
def test_clicks_on_a_stretched_kernel_are_repaired_in_its_coordinates():
    observation, positions, truth = scene(0, 2 * NUMBERS, 0.1)
    clicked = np.clip(positions + np.random.default_rng(8).normal(0, 0.5, positions.shape), 0, np.array(SHAPE[::-1]) - 1)
    listed = fit_with_list(observation, clicked, SIZE, np.ones(len(clicked)), None)[-1]
    assert listed.repair is not None and listed.model.stretch is not None
    assert np.median(np.hypot(*(listed.positions - positions).T)) < 0.08
    kernel = harmonic_solution(listed.model, SIZE, None, len(clicked)).kernel
    exact = solve_harmonic(observation, positions, SIZE, symmetry_orders=ORDERS).kernel
    assert np.sqrt(np.mean((kernel - truth) ** 2)) < 3 * np.sqrt(np.mean((exact - truth) ** 2)) + 1e-3


@pytest.mark.slow
def test_refined_positions_are_those_of_the_stretched_kernel():
    observation, positions, _ = scene(0, 2 * NUMBERS, 0.1)
    clicked = np.clip(positions + np.random.default_rng(8).normal(0, 0.4, positions.shape), 0, np.array(SHAPE[::-1]) - 1)
    found = refine(observation, clicked, SIZE)
    error = np.hypot(*(found.positions - positions).T)
    assert np.median(error) < 0.08 and np.median(error) < 4 * np.median(found.deviation_px)


def test_an_odd_order_that_is_stretched_has_no_symmetry_left_and_one_sentence_says_so():
    observation, positions, _ = scene(3, 2 * NUMBERS, 0.1)
    solution = solve_harmonic(observation, positions, SIZE, symmetry_orders=ORDERS)
    assert solution.symmetry_order is None and "stretch_ratio" in solution.parameters and "orientation_rad" not in solution.parameters
    assert not any("no rotational symmetry" in sentence for sentence in solution.warnings)


def test_weights_unmeasured_pixels_and_oblong_pixels():
    rng = np.random.default_rng(3)
    pitch, weights = (1.2, 0.9), rng.uniform(0.5, 1.5, 18) * np.where(np.arange(18) % 6, 1, -1)
    positions = rng.uniform(0, 1, (18, 2)) * [SHAPE[1] - 1, SHAPE[0] - 1]
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    unit = np.sqrt(pitch[0] * pitch[1])
    kernel = stretched_pattern(0, 2 * NUMBERS)
    clean = sum(w * kernel((x - px) * pitch[1] / unit, (y - py) * pitch[0] / unit) for w, (px, py) in zip(weights, positions, strict=True))
    observation = clean + 0.1 * clean.std() * rng.standard_normal(SHAPE)
    observation[10:14, 20:40] = np.nan
    solution = solve_harmonic(observation, positions, SIZE, weights=weights, pixel_size_nm=pitch, symmetry_orders=ORDERS)
    ratio, deviation = solution.parameters["stretch_ratio"]
    assert abs(ratio - np.exp(4 * np.hypot(*NUMBERS))) < 5 * deviation
    assert np.nanstd(observation - solution.superposition) < 0.13 * clean.std()


def test_no_search_where_the_score_promises_less_than_a_stretch_costs(monkeypatch):
    def refuse(*_):
        raise AssertionError("a stretch was searched for")

    monkeypatch.setattr(stretch_module, "_polished", refuse)
    observation, positions, _ = scene(4, np.zeros(2), 0.1)
    begun = start_harmonics(observation, positions, SIZE, np.ones(len(positions)))
    monkeypatch.setattr(stretch_module, "may_be_stretched", lambda *_: True)
    problem = (observation, positions, SIZE, np.ones(len(positions)), None, ORDERS)
    assert stretch_module.find_stretch(*problem, begun) is None
    stretched, places, _ = scene(4, NUMBERS, 0.1)
    with pytest.raises(AssertionError, match="searched"):
        stretch_module.find_stretch(stretched, places, *problem[2:], start_harmonics(stretched, places, SIZE, np.ones(len(places))))
