"""The harmonic solver against dense definitions, known kernels and its own error bars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.base.optimiser import minimise
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, design_tiles, take_samples
from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, evaluate, low_rank_factor, posterior_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.model import fit_harmonics

PITCH_NM = 10 / 64


def pattern(dx, dy, order=4, turn=0.4, wave=0.55, phase=0.7, decay=0.006):
    """Eq. 7 with lengths in pixels."""
    angle = np.sin(0.5 * order * np.arctan2(dy, dx) + turn) ** 2
    return angle * np.sin(wave * np.hypot(dx, dy) + phase) ** 2 * np.exp(-decay * (dx**2 + dy**2))


def superpose(kernel, positions, shape, weights=None):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    weights = np.ones(len(positions)) if weights is None else weights
    return sum(w * kernel(x - px, y - py) for w, (px, py) in zip(weights, positions, strict=True))


def scene(kernel=pattern, count=20, shape=(48, 56), noise=0.2, seed=0, on_grid=False):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 1, (count, 2)) * [shape[1] - 1, shape[0] - 1]
    positions = np.round(positions) if on_grid else positions
    clean = superpose(kernel, positions, shape)
    sigma = noise * clean.std()
    return clean + sigma * rng.standard_normal(shape), positions, sigma


def on_window(kernel, size):
    offset = np.arange(size) - size // 2
    return kernel(*np.meshgrid(offset.astype(float), offset.astype(float)))


def rmse(estimate, truth):
    return np.sqrt(np.mean((estimate - truth) ** 2)) / np.ptp(truth)


@pytest.mark.parametrize("wave", [0.3, 1.2, 1.9])
def test_splines_follow_a_wave(wave):
    splines = RadialSplines(0.8, 30.0)
    radii = np.linspace(0, 30, 400)
    profile = np.cos(wave * splines.nodes + 0.3)
    assert np.abs(splines.evaluate(profile, radii) - np.cos(wave * radii + 0.3)).max() < 3e-3
    assert splines.evaluate(profile, np.array([30.5]))[0] == 0


def test_design_is_the_sum_over_defects_of_the_basis():
    rng = np.random.default_rng(1)
    observation = rng.standard_normal((20, 26)).astype(np.float32)
    observation[3, 4] = np.nan
    positions, weights = rng.uniform(0, 19, (5, 2)), rng.uniform(-1, 2, 5)
    samples = take_samples(observation, positions, weights, tile=8)
    splines = RadialSplines(0.9, 14.0)
    profiles = rng.standard_normal((5, splines.nodes.size))
    made = np.zeros(samples.values.size)
    for part, block in design_tiles(samples, splines, (0, 2, 3)):
        made[part] = np.einsum("apk,ak->p", block, profiles @ splines.interpolation.T)
    expected = np.zeros_like(made)
    for (x, y), weight in zip(positions, weights, strict=True):
        dx, dy = samples.x - x, samples.y - y
        radii, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
        angles = [1, np.cos(2 * theta), np.sin(2 * theta), np.cos(3 * theta), np.sin(3 * theta)]
        expected += weight * sum(a * splines.evaluate(g, radii) for a, g in zip(angles, profiles, strict=True))
    np.testing.assert_allclose(made, expected, atol=1e-10)
    assert samples.values.size == 20 * 26 - 1


def test_a_large_window_with_few_defects_gives_the_gram_matrix_of_the_whole_design():
    rng = np.random.default_rng(2)
    samples = take_samples(rng.standard_normal((70, 90)).astype(np.float32), np.array([[20.3, 30.8], [41.0, 12.5]]), np.ones(2))
    splines = RadialSplines(0.9, 34.0)
    basis, other = (ClassBasis(replace(samples, positions=samples.positions[rows]), splines, (0, 2)) for rows in ([0], [1]))
    blocks = [np.concatenate([block for _, block in design_tiles(one.samples, splines, (0, 2))], axis=1) for one in (basis, other)]
    columns = np.concatenate(
        [(block @ splines.interpolation).transpose(1, 0, 2).reshape(samples.values.size, -1) for block in blocks], axis=1
    )
    assert np.mean(columns.any(axis=1)) < 0.7, "tiles without a defect in reach, which are left out"
    columns -= columns.mean(axis=0)
    found = accumulate([basis, other])
    np.testing.assert_allclose(found.gram, columns.T @ columns, atol=1e-9)
    np.testing.assert_allclose(found.projections[0], columns.T @ samples.values, atol=1e-9)


@pytest.fixture(scope="module")
def small_problem():
    observation, positions, _ = scene(shape=(18, 20), count=6, seed=3)
    samples = take_samples(observation.astype(np.float32), positions, np.ones(6))
    splines = RadialSplines(1.5, 26.0)
    return samples, splines, StoredDesign(samples, splines, (0, 4))


def test_evidence_and_posterior_against_dense_algebra(small_problem):
    samples, splines, design = small_problem
    equations = design.equations((0, 4))
    radial = RadialPrior(np.log(0.01), np.log(6.0), np.array([1.1]), np.array([0.4]))
    mixing = np.array([[3.0, 0.2], [1.0, -1.0], [-2.0, 0.5]])
    found = evaluate(equations, splines.nodes, radial, mixing, 0.0)

    columns = np.concatenate([block for _, block in design_tiles(samples, splines, (0, 4))], axis=1) @ splines.interpolation
    dense = np.concatenate(list(columns), axis=1)
    pixels = samples.values.size
    centring = np.linalg.svd(np.eye(pixels) - 1 / pixels)[0][:, : pixels - 1].T
    dense, values = centring @ dense, centring @ samples.values
    r, s = splines.nodes[:, None], splines.nodes
    weight = np.exp(0.4) / (1 + np.exp(0.4))
    lag = r - s
    prior = np.exp(-0.01 * (r**2 + s**2)) * np.exp(-(lag**2) / 72) * (1 - weight + weight * np.cos(1.1 * lag))
    prior = np.kron(mixing @ mixing.T, prior)
    covariance = np.eye(pixels - 1) + dense @ prior @ dense.T
    misfit = values @ np.linalg.solve(covariance, values)
    expected = 0.5 * (pixels - 1) * np.log(misfit) + 0.5 * np.linalg.slogdet(covariance)[1]
    assert found.cost == pytest.approx(expected, rel=1e-8)
    mean = prior @ dense.T @ np.linalg.solve(covariance, values)
    np.testing.assert_allclose(found.profiles.ravel(), mean, atol=1e-6 * np.abs(mean).max())
    factor = posterior_factor(equations, splines.nodes, radial, mixing).reshape(mean.size, -1)
    posterior = prior - prior @ dense.T @ np.linalg.solve(covariance, dense @ prior)
    np.testing.assert_allclose(factor @ factor.T, posterior, atol=1e-6 * posterior.max())


@pytest.mark.parametrize("columns", [1, 3])
def test_gradient_of_the_evidence(small_problem, columns):
    _, splines, design = small_problem
    equations = design.equations((0, 4))
    start = np.array([np.log(0.01), np.log(6.0), 1.1, 0.4, np.log(1.3)])
    mixing = np.random.default_rng(5).normal(size=(3, columns)) * 3

    def cost(vector, matrix):
        return evaluate(equations, splines.nodes, RadialPrior(vector[0], vector[1], vector[2:3], vector[3:4], vector[4]), matrix, 1e-6)

    at = cost(start, mixing)
    for index, slope in enumerate(at.by_radial):
        step = np.eye(5)[index] * 1e-4
        assert (cost(start + step, mixing).cost - cost(start - step, mixing).cost) / 2e-4 == pytest.approx(slope, rel=1e-4, abs=1e-4)
    step = np.zeros_like(mixing)
    step[1, 0] = 1e-4
    difference = (cost(start, mixing + step).cost - cost(start, mixing - step).cost) / 2e-4
    assert difference == pytest.approx(at.by_mixing[1, 0], rel=1e-4, abs=1e-4)


def test_normal_equations_by_chunks_and_in_a_subspace(small_problem):
    samples, splines, design = small_problem
    stored, chunked = design.equations((0, 4)), accumulate([ClassBasis(samples, splines, (0, 4))]).alone()
    np.testing.assert_allclose(chunked.gram, stored.gram, atol=1e-9 * np.abs(stored.gram).max())
    np.testing.assert_allclose(chunked.projection, stored.projection, atol=1e-9 * np.abs(stored.projection).max())
    subspace = np.linalg.qr(np.random.default_rng(0).normal(size=(splines.nodes.size, 7)))[0]
    for reduced in (design.equations_in((0, 4), subspace), accumulate([ClassBasis(samples, splines, (0, 4), subspace)]).alone()):
        np.testing.assert_allclose(reduced.gram, subspace.T @ stored.gram @ subspace, atol=1e-9 * np.abs(stored.gram).max())
        profiles = np.random.default_rng(1).normal(size=(3, 7)) @ subspace.T
        assert reduced.squared_residual(profiles) == pytest.approx(stored.squared_residual(profiles))
        assert reduced.background(profiles) == pytest.approx(stored.background(profiles))


def test_low_rank_factor():
    nodes = np.arange(40.0)
    covariance = RadialPrior(np.log(0.002), np.log(500.0), np.array([0.8]), np.array([0.0])).covariance(nodes)
    factor = low_rank_factor(covariance)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-9)
    assert factor.shape[1] < 12


def test_search_finds_the_minimum_of_a_badly_scaled_function():
    scales = np.array([1.0, 1e-3, 10.0])

    def objective(point):
        z = (point - [2.0, 0.001, -3.0]) / scales
        return float(np.log(1e-6 + z @ z + 0.3 * z[0] * z[1])), (2 * z + 0.3 * np.array([z[1], z[0], 0])) / scales / (
            1e-6 + z @ z + 0.3 * z[0] * z[1]
        )

    bound = np.full(3, 100.0)
    found = minimise(objective, np.array([0.0, 0.004, 5.0]), scales, -bound, bound)
    np.testing.assert_allclose(found.point, [2.0, 0.001, -3.0], atol=1e-2 * scales.max())
    assert found.cost < -12


def test_search_with_a_given_hessian_asks_for_no_differences():
    matrix, asked = np.array([[3.0, 1.0], [1.0, 2.0]]), []

    def objective(point):
        asked.append(point)
        return float(0.5 * (point - 4) @ matrix @ (point - 4)), matrix @ (point - 4)

    found = minimise(objective, np.zeros(2), np.full(2, 9.0), np.full(2, -50.0), np.full(2, 50.0), curvature=lambda _: matrix)
    np.testing.assert_allclose(found.point, 4.0)
    assert len(asked) == found.evaluations == 2


@pytest.mark.parametrize(("order", "size", "on_grid"), [(0, 33, True), (2, 40, False), (3, 41, True), (4, 32, False), (6, 48, True)])
def test_kernel_symmetry_and_noise_on_eq_7(order, size, on_grid):
    def kernel(dx, dy):
        return -30 * pattern(dx, dy, order=order, turn=0.4 if order else np.pi / 2)

    observation, positions, sigma = scene(kernel, seed=10 + order, on_grid=on_grid)
    solution = solve_harmonic(observation + 7, positions, size)
    truth = on_window(kernel, size)
    assert rmse(solution.kernel, truth) < 0.012
    assert solution.symmetry_order == order
    assert solution.parameters["symmetry_probability"][0] > 0.95
    assert solution.background == pytest.approx(7, abs=0.05 * np.ptp(truth))
    assert solution.noise_sigma == pytest.approx(sigma, rel=0.06)
    value, deviation = solution.parameters["wave_vector_rad_per_px"]
    assert abs(value - 2 * 0.55) < 4 * deviation < 0.1
    start = solution.wide_kernel.shape[0] // 2 - size // 2
    np.testing.assert_array_equal(solution.wide_kernel[start : start + size, start : start + size], solution.kernel)


def test_orientation_is_where_the_kernel_is_strongest():
    observation, positions, _ = scene(noise=0.1)
    value, deviation = solve_harmonic(observation, positions, 32).parameters["orientation_rad"]
    strongest = (np.pi / 2 - 0.4) / 2 % (np.pi / 2)
    assert abs(value - strongest) < 4 * deviation < 0.05


def test_error_bars_cover_the_truth():
    inside = []
    for seed in range(6):
        observation, positions, _ = scene(shape=(40, 40), count=12, noise=0.5, seed=50 + seed)
        solution = solve_harmonic(observation, positions, 32, symmetry_orders=(0, 2, 4))
        inside.append(np.abs(solution.kernel - on_window(pattern, 32)) / solution.uncertainty)
    share = np.mean(np.array(inside) < 1.96)
    assert 0.85 < share <= 1.0
    assert 0.45 < np.mean(np.array(inside) < 1) < 0.9


def test_unmeasured_pixels_and_weights():
    rng = np.random.default_rng(4)
    positions, weights = rng.uniform(0, 47, (15, 2)), rng.uniform(0.3, 2, 15)
    observation = superpose(pattern, positions, (48, 48), weights) + 0.05 * rng.standard_normal((48, 48))
    observation[10:20, 5:30] = np.nan
    found = solve_harmonic(observation, positions, 32, weights=weights, symmetry_orders=(0, 4)).kernel
    assert rmse(found, on_window(pattern, 32)) < 0.006
    assert np.isfinite(found).all()


def test_pixels_that_are_not_square():
    rng = np.random.default_rng(6)
    positions = rng.uniform(0, 47, (15, 2))

    def stretched(dx, dy):
        return pattern(dx * 0.8, dy * 1.25)

    observation = superpose(stretched, positions, (48, 48)) + 0.05 * rng.standard_normal((48, 48))
    solution = solve_harmonic(observation, positions, 32, pixel_size_nm=(0.25, 0.16), symmetry_orders=(0, 2, 4))
    assert rmse(solution.kernel, on_window(stretched, 32)) < 0.01
    assert solution.symmetry_order == 4
    assert solution.parameters["wave_vector_rad_per_nm"][0] == pytest.approx(1.1 / 0.2, rel=0.01)


def test_a_one_sided_kernel_gets_more_orders():
    def kernel(dx, dy):
        return pattern(dx, dy) * (1 + 0.8 * np.cos(np.arctan2(dy, dx) - 0.5))

    observation, positions, _ = scene(kernel, shape=(40, 40), noise=0.1, seed=8)
    solution = solve_harmonic(observation, positions, 32)
    assert rmse(solution.kernel, on_window(kernel, 32)) < 0.01
    assert solution.symmetry_order is None
    assert any("no rotational symmetry" in sentence for sentence in solution.warnings)


def test_large_maps_use_all_pixels():
    observation, positions, sigma = scene(shape=(130, 140), count=60, noise=1.0, seed=9, on_grid=True)
    values = observation.astype(np.float32)
    model = fit_harmonics(values, positions, 32, np.ones(60), None, (0, 4))
    assert model.equations.pixels == 130 * 140
    assert rmse(solve_harmonic(observation, positions, 32, symmetry_orders=(0, 4)).kernel, on_window(pattern, 32)) < 0.01
    np.testing.assert_allclose(model.fit.evidence.variance, sigma**2, rtol=0.05)


def test_what_the_data_cannot_determine_is_said():
    rng = np.random.default_rng(2)
    positions = rng.uniform(0, 31, (8, 2))
    noise = solve_harmonic(rng.standard_normal((32, 32)), positions, 16)
    assert noise.symmetry_order is None
    assert "no pattern" in noise.warnings[0]
    assert np.abs(noise.kernel).max() < 0.5
    constant = solve_harmonic(np.full((32, 32), 3.0), positions, 16)
    assert "constant" in constant.warnings[0] and not constant.kernel.any() and constant.background == 3
    single = solve_harmonic(superpose(pattern, [[15, 15]], (32, 32)) + 0.02 * rng.standard_normal((32, 32)), [[15, 15]], 16)
    assert any("Only one defect" in sentence for sentence in single.warnings)
    twice = np.concatenate([positions, positions[:1]])
    doubled = solve_harmonic(superpose(pattern, twice, (32, 32)), twice, 16, symmetry_orders=(0, 4))
    assert any("same position" in sentence for sentence in doubled.warnings)


@pytest.mark.parametrize("orders", [(), (-1, 2), (99,)])
def test_bad_orders_get_a_sentence(orders):
    with pytest.raises(InputError, match="symmetry_orders"):
        solve_harmonic(np.random.default_rng(0).normal(size=(16, 16)), [[3, 4]], 8, symmetry_orders=orders)


def test_hyperparameters_say_what_they_hold():
    observation, positions, _ = scene()
    model = fit_harmonics(observation.astype(np.float32), positions, 24, np.ones(20), None, (0, 4))
    point = model.fit.hyperparameters
    assert point.orders == (0, 4) and point.mixing().shape == (3, 1)
    other = replace(point, vector=point.vector + 0)
    np.testing.assert_array_equal(other.mixing(), point.mixing())
