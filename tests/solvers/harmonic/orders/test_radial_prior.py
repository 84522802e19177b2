"""Richer radial priors: several waves and other envelopes where the map has them, and error bars without noise."""

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.evaluation.metrics import coverage
from qpi_core.solvers.harmonic.equations.basis import RadialSplines
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.orders.radial_prior import shape_profiles
from qpi_core.solvers.harmonic.posterior.kernel import representation_error
from qpi_core.solvers.harmonic.search import refine
from qpi_core.solvers.harmonic.start import start_harmonics
from qpi_core.synthesis.simulated_maps.scenes import draw_scene, superpose


def test_two_waves_are_found_with_error_bars():
    def kernel(dx, dy):
        r = np.hypot(dx, dy)
        return (np.cos(0.6 * r + 0.3) + 0.8 * np.cos(1.35 * r + 1.0)) * np.exp(-r / 12)

    rng = np.random.default_rng(4)
    positions = rng.uniform(0, 55, (15, 2))
    clean = superpose(kernel, positions, (56, 56), 1.0)
    solution = solve_harmonic(clean + 0.03 * clean.std() * rng.standard_normal(clean.shape), positions, 32, symmetry_orders=(0, 4))
    found = sorted(solution.parameters[name] for name in ("wave_vector_rad_per_px", "wave_vector_2_rad_per_px"))
    for (value, deviation), true in zip(found, (0.6, 1.35), strict=True):
        assert abs(value - true) < 0.08 and 0 < deviation < 0.1


def test_a_search_that_begins_at_an_endless_wave_finds_one_that_soon_loses_its_phase():
    def kernel(dx, dy):
        r = np.hypot(dx, dy)
        return np.exp(-r / 7) * (1 + 0.3 * np.cos(0.7 * r))

    rng = np.random.default_rng(2)
    positions = rng.uniform(0, 55, (14, 2))
    clean = superpose(kernel, positions, (56, 56), 1.0)
    observation = (clean + 0.5 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    start = start_harmonics(observation, positions, 32, np.ones(14), None, (0,))
    equations, nodes, fit = start.design.equations((0,)), start.splines.nodes, start.selection.best
    endless = fit.hyperparameters.vector.copy()
    endless[1] = np.log(3000.0)
    stuck = refine(equations, nodes, replace(fit.hyperparameters, vector=endless, periodic=True), start.floor)
    found = shape_profiles(equations, nodes, stuck, start.floor)
    assert not found.hyperparameters.periodic and found.cost < stuck.cost - 10


@pytest.mark.slow
def test_error_bars_hold_without_noise():
    shares = []
    for index in range(1, 9):
        scene = draw_scene(seed=41, index=index, noise_level=0.0, count=20)
        solution = solve_harmonic(scene.observation, scene.positions, 64, symmetry_orders=(0, scene.parameters.symmetry_order))
        shares.append([coverage(solution.kernel, solution.uncertainty, scene.kernel, width) for width in (1.0, 1.96)])
    assert np.mean(shares, axis=0) == pytest.approx([0.68, 0.95], abs=0.13)


def test_representation_error_grows_steeply_with_the_wave_vector():
    splines = RadialSplines(0.8, 40.0)
    slow, fast = representation_error(splines, 0.9), representation_error(splines, 1.8)
    assert 30 * slow < fast < 1e-3
