"""The fit of Eq. 7 against known parameters, finite differences and the Cramer-Rao bound."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.solvers.formula.equation_seven import EquationSeven
from qpi_core.solvers.formula.parametric import solve_parametric, solve_parametric_classes
from qpi_core.solvers.harmonic.equations.basis import RadialSplines
from qpi_core.solvers.harmonic.joint.start import DefectClass

PITCH_NM = 10 / 64
TRUTH = {"order": 3, "vector": np.array([-4.0, 0.5, 1.1, 0.5, 0.006])}


def formula(dx, dy, order, vector):
    amplitude, turn, phase, wave, decay = vector
    radius = np.hypot(dx, dy)
    return amplitude * np.sin(order / 2 * np.arctan2(dy, dx) + turn) ** 2 * np.sin(wave * radius + phase) ** 2 * np.exp(-decay * radius**2)


def scene(order, vector, shape=(44, 48), count=15, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 1, (count, 2)) * [shape[1] - 1, shape[0] - 1]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    clean = sum(formula(x - px, y - py, order, vector) for px, py in positions)
    sigma = noise * clean.std()
    return clean + 2.5 + sigma * rng.standard_normal(shape), positions, sigma


@pytest.mark.parametrize("order", [0, 3])
def test_derivatives(order):
    vector = TRUTH["vector"] if order else np.array([2.0, np.pi / 2, 0.3, 0.7, 0.01])
    dx, dy = np.random.default_rng(0).uniform(-9, 9, (2, 30))
    nodes = RadialSplines(1.0, 12.0).nodes
    kernel = EquationSeven(order, vector)
    np.testing.assert_allclose(kernel.values(dx, dy)[0], formula(dx, dy, order, vector), atol=1e-12)
    for index in kernel.free:
        step = np.zeros(5)
        step[index] = 1e-6
        up, down = EquationSeven(order, vector + step), EquationSeven(order, vector - step)
        np.testing.assert_allclose((up.values(dx, dy)[0] - down.values(dx, dy)[0]) / 2e-6, kernel.values(dx, dy)[1][index], atol=1e-6)
        numerical = (up.profiles(nodes)[0] - down.profiles(nodes)[0]) / 2e-6
        np.testing.assert_allclose(numerical, kernel.profiles(nodes)[1][index], atol=1e-6)


@pytest.mark.parametrize("order", [0, 2, 3, 4, 6])
def test_clean_map_gives_the_parameters_back(order):
    vector = TRUTH["vector"].copy()
    vector[1] = 0.5 if order else np.pi / 2
    observation, positions, _ = scene(order, vector, noise=0.0)
    solution = solve_parametric(observation, positions, 33, pixel_size_nm=PITCH_NM)
    offset = np.arange(33.0) - 16
    expected = formula(*np.meshgrid(offset, offset), order, vector)
    np.testing.assert_allclose(solution.kernel, expected, atol=1e-4)
    assert solution.symmetry_order == order
    assert solution.background == pytest.approx(2.5, abs=1e-3)
    assert solution.parameters["wavenumber_rad_per_nm"][0] == pytest.approx(0.5 / PITCH_NM, rel=1e-4)
    assert solution.parameters["decay_per_nm2"][0] == pytest.approx(0.006 / PITCH_NM**2, rel=1e-3)
    assert solution.details["knows_formula"] is True


def test_error_bars_are_the_cramer_rao_bound_and_cover():
    ratios = []
    for seed in range(5):
        observation, positions, sigma = scene(**TRUTH, noise=0.5, seed=20 + seed)
        found = solve_parametric(observation, positions, 32, symmetry_orders=(0, 3)).parameters
        names = ["amplitude", "orientation_phase_rad", "phase_rad", "wavenumber_rad_per_px", "decay_per_px2"]
        y, x = np.mgrid[:44, :48].astype(float)
        columns = []
        for index in range(5):
            step = np.zeros(5)
            step[index] = 1e-6
            up, down = TRUTH["vector"] + step, TRUTH["vector"] - step
            columns.append(sum(formula(x - px, y - py, 3, up) - formula(x - px, y - py, 3, down) for px, py in positions).ravel() / 2e-6)
        jacobian = np.array(columns).T
        jacobian -= jacobian.mean(axis=0)
        bound = sigma * np.sqrt(np.linalg.inv(jacobian.T @ jacobian).diagonal())
        np.testing.assert_allclose([found[name][1] for name in names], bound, rtol=0.25)
        ratios.append([(found[name][0] - value) / deviation for name, value, deviation in zip(names, TRUTH["vector"], bound, strict=True)])
    assert 0.4 < np.sqrt(np.mean(np.square(ratios))) < 1.7


@pytest.mark.slow
def test_a_kernel_of_another_family_is_told():
    rng = np.random.default_rng(1)
    positions = rng.uniform(0, 47, (20, 2))
    y, x = np.mgrid[:48, :48].astype(float)
    observation = sum(np.exp(-np.hypot(x - px, y - py) / 4) * (1 + np.cos(0.9 * (x - px))) for px, py in positions)
    solution = solve_parametric(observation + 0.02 * rng.standard_normal((48, 48)), positions, 24)
    assert any("not of that family" in sentence for sentence in solution.warnings)


def test_a_step_to_a_negative_decay_is_no_growing_pattern():
    forth, back = (EquationSeven(3, np.array([1.0, 0.5, 1.1, 0.5, decay])) for decay in (0.4, -0.4))
    radii = np.linspace(0, 90, 30)
    for one, other, sign in zip(forth.radial(radii)[1], back.radial(radii)[1], (1, 1, -1), strict=True):
        np.testing.assert_allclose(one, sign * other, atol=1e-15)
    np.testing.assert_array_equal(forth.radial(radii)[0], back.radial(radii)[0])


def two_classes(noise, seed=1, shape=(44, 48)):
    """Explicit sums of two formulas over the defects of two classes, and what they are made of."""
    rng = np.random.default_rng(seed)
    truth = [(3, np.array([-4.0, 0.5, 1.1, 0.5, 0.006])), (4, np.array([3.0, 0.9, 0.4, 0.7, 0.01]))]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    classes = [DefectClass(rng.uniform(0, 1, (n, 2)) * [shape[1] - 1, shape[0] - 1], np.ones(n)) for n in (10, 7)]

    def total(vectors):
        pairs = zip(truth, vectors, classes, strict=True)
        return sum(formula(x - px, y - py, order, vector) for (order, _), vector, one in pairs for px, py in one.positions)

    clean = total([vector for _, vector in truth])
    sigma = noise * clean.std()
    return (clean + 2.5 + sigma * rng.standard_normal(shape)).astype(np.float32), classes, truth, total, sigma


def test_two_classes_are_fitted_together():
    observation, classes, truth, total, sigma = two_classes(0.2)
    found = solve_parametric_classes(observation, classes, 21)
    # The Cramer-Rao bound of all ten parameters and the background by finite differences of the explicit sum.
    start = np.concatenate([vector for _, vector in truth])
    steps = 1e-5 * np.eye(10)
    slopes = [(total(np.split(start + step, 2)) - total(np.split(start - step, 2))).ravel() / 2e-5 for step in steps]
    jacobian = np.stack([*slopes, np.ones(observation.size)], axis=1)
    bound = sigma * np.sqrt(np.linalg.inv(jacobian.T @ jacobian).diagonal())
    for index, ((order, vector), solution) in enumerate(zip(truth, found, strict=True)):
        assert solution.symmetry_order == order
        deviations = bound[5 * index : 5 * index + 5]
        for place, name in ((0, "amplitude"), (3, "wavenumber_rad_per_px"), (4, "decay_per_px2")):
            value, deviation = solution.parameters[name]
            assert deviation == pytest.approx(deviations[place], rel=0.15)
            assert abs(value - vector[place]) < 4 * deviation
        assert solution.noise_sigma == pytest.approx(sigma, rel=0.06)
        assert solution.background == pytest.approx(2.5, abs=5 * bound[10])
        assert solution.details["log_evidence_of_harmonic_over_formula"] < 0


@pytest.mark.slow
def test_the_order_of_the_classes_does_not_matter():
    observation, classes, _, _, _ = two_classes(0.2)
    there, back = (solve_parametric_classes(observation, order, 21) for order in (classes, classes[::-1]))
    for one, other in zip(there, back[::-1], strict=True):
        np.testing.assert_allclose(one.kernel, other.kernel, atol=1e-5)
        np.testing.assert_allclose(one.uncertainty, other.uncertainty, rtol=1e-3, atol=1e-9)
