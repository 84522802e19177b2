"""Structure in a residual, order by order: its probability under white noise, and that it is found where a fit does not look."""

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.orders.residual_test import DOUBTFUL, _power, unexplained_orders
from qpi_core.solvers.harmonic.search import refine, scan_grid, shared_start
from qpi_core.synthesis.simulated_maps.scenes import superpose

SHAPE = (40, 44)
CHECKED = (0, 1, 2, 3, 4, 6)


def fitted(clean, noise, seed, positions):
    rng = np.random.default_rng(seed)
    observation = (clean + noise * rng.standard_normal(SHAPE)).astype(np.float32)
    samples = take_samples(observation, positions, np.ones(len(positions)))
    splines = RadialSplines(0.8, 60.0)
    design = StoredDesign(samples, splines, (0,))
    equations = design.equations((0,))
    point = scan_grid(equations, splines.nodes, 1e-8, 1)[0]
    return design, splines, refine(equations, splines.nodes, shared_start(equations, point), 1e-8)


def ring(dx, dy):
    r = np.hypot(dx, dy)
    return np.cos(0.9 * r) * np.exp(-0.01 * r**2)


@pytest.fixture(scope="module")
def positions():
    return np.random.default_rng(1).uniform(0, 39, (12, 2))


def test_power_is_that_of_white_noise():
    rng = np.random.default_rng(0)
    columns = rng.standard_normal((200, 6)) * [5, 3, 2, 1, 1, 0.5]
    gram = columns.T @ columns
    found = np.array([_power(columns.T @ noise, gram) for noise in rng.standard_normal((1500, 200))])
    assert found[:, 0].mean() == pytest.approx(1.0, abs=0.06)
    # Probabilities of white noise are evenly spread; the gamma distribution is close to that of the weighted squares.
    for share in (0.01, 0.1, 0.5):
        assert np.mean(found[:, 1] < share) == pytest.approx(share, abs=0.02 + 0.2 * share)


def test_white_noise_is_rarely_taken_for_structure(positions):
    clean = superpose(ring, positions, SHAPE, 1.0)
    raised = 0
    for seed in range(12):
        design, splines, fit = fitted(clean, 0.5 * clean.std(), seed, positions)
        raised += bool(unexplained_orders(design, splines.nodes, fit, CHECKED, DOUBTFUL))
    assert raised <= 2


def test_an_order_that_is_missing_is_found(positions):
    def kernel(dx, dy):
        return ring(dx, dy) * (1 + 0.6 * np.cos(3 * np.arctan2(dy, dx)))

    clean = superpose(kernel, positions, SHAPE, 1.0)
    design, splines, fit = fitted(clean, 0.2 * clean.std(), 3, positions)
    assert next(iter(unexplained_orders(design, splines.nodes, fit, CHECKED))) == 3


def test_it_is_also_found_outside_the_envelope_of_the_fit(positions):
    def kernel(dx, dy):
        r = np.hypot(dx, dy)
        return 2 * np.exp(-((r / 2.0) ** 2)) + 0.5 * np.cos(0.9 * r) * np.exp(-r / 9)

    clean = superpose(kernel, positions, SHAPE, 1.0)
    design, splines, fit = fitted(clean, 0.3 * clean.std(), 5, positions)
    vector = fit.hyperparameters.vector.copy()
    vector[0] = np.log(1 / 2.0**2)
    narrow = refine(design.equations((0,)), splines.nodes, replace(fit.hyperparameters, vector=vector), 1e-8, rounds=0)
    assert 0 in unexplained_orders(design, splines.nodes, narrow, CHECKED)


def test_an_order_that_no_pixel_sees_is_no_surprise():
    assert _power(np.zeros(4), np.zeros((4, 4))) == (1.0, 1.0)
    observation = np.random.default_rng(0).standard_normal((30, 34))
    solution = solve_harmonic(observation, [[10, 12], [10, 12]], 16, weights=[1.0, -1.0])
    assert any("no pattern that repeats" in sentence for sentence in solution.warnings)
