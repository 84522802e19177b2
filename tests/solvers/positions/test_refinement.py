"""Refinement of positions and amplitudes: derivatives by differences, and recovery of known defects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_functions
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.model import fit_harmonics
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import start_harmonics
from qpi_core.solvers.positions.jacobian import sensitivities
from qpi_core.solvers.positions.local_minima import Misfit, ValleySearch
from qpi_core.solvers.positions.refinement import _Rounds, refine
from qpi_core.solvers.positions.refinement_options import RefinementOptions

ORDERS = (0, 4)


def pattern(dx, dy):
    radius = np.hypot(dx, dy)
    return 3 * np.sin(2 * np.arctan2(dy, dx) + 0.4) ** 2 * np.sin(0.5 * radius + 0.7) ** 2 * np.exp(-0.006 * radius**2)


def superpose(positions, weights, shape=(40, 44)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    return sum(w * pattern(x - px, y - py) for w, (px, py) in zip(weights, positions, strict=True))


def scene(seed=0, count=10, noise=0.1):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(3, 36, (count, 2))
    weights = rng.uniform(0.7, 1.3, count)
    clean = superpose(positions, np.ones(count))
    return rng, positions, weights, clean, noise * clean.std()


def test_slopes_of_the_kernel():
    splines = RadialSplines(0.8, 20.0)
    rng = np.random.default_rng(0)
    profiles = np.cumsum(rng.standard_normal((3, splines.nodes.size)), axis=1)
    dx, dy = rng.uniform(-12, 12, (2, 5, 7))

    def value(x, y):
        functions = angular_functions(x, y, np.hypot(x, y), ORDERS)
        return sum(f * splines.evaluate(g, np.hypot(x, y)) for f, g in zip(functions, profiles, strict=True))

    found, by_x, by_y = kernel_with_slopes(splines, ORDERS, profiles, dx, dy)
    np.testing.assert_allclose(found, value(dx, dy), atol=1e-10)
    np.testing.assert_allclose(by_x, (value(dx + 1e-5, dy) - value(dx - 1e-5, dy)) / 2e-5, atol=1e-6)
    np.testing.assert_allclose(by_y, (value(dx, dy + 1e-5) - value(dx, dy - 1e-5)) / 2e-5, atol=1e-6)


@pytest.mark.parametrize("stretch", [None, np.array([0.12, -0.07])])
def test_pull_is_the_gradient_of_the_misfit(stretch):
    rng, positions, weights, clean, sigma = scene(count=4)
    values = (clean + sigma * rng.standard_normal(clean.shape)).astype(np.float32)
    start = start_harmonics(values, positions, 24, np.ones(4), None, ORDERS, stretch)
    model = fit_harmonics(values, positions, 24, np.ones(4), None, ORDERS, extended=False, start=start)
    # A decay close to zero makes every pixel count, as in the plain sum of squares.
    model.fit.hyperparameters.vector[0] = np.log(1e-6)
    points = positions + 0.3

    def misfit(p, w):
        y, x = np.mgrid[: clean.shape[0], : clean.shape[1]].astype(float)
        offsets = [np.moveaxis(model.frame.coordinates(np.stack([x - px, y - py], axis=-1)), -1, 0) for px, py in p]
        parts = [kernel_with_slopes(model.splines, ORDERS, model.fit.evidence.profiles, dx, dy)[0] for dx, dy in offsets]
        background = model.equations.background(model.fit.evidence.profiles)
        return 0.5 * np.sum((values - background - sum(a * part for a, part in zip(w, parts, strict=True))) ** 2)

    system = sensitivities(values, model, points, weights[:4])
    for defect, axis in [(0, 0), (2, 1)]:
        step = np.zeros_like(points)
        step[defect, axis] = 1e-3
        slope = (misfit(points + step, weights[:4]) - misfit(points - step, weights[:4])) / 2e-3
        assert -system.pull[axis * 4 + defect] == pytest.approx(slope, rel=0.03, abs=0.02 * np.abs(system.pull).max())
    step = np.eye(4)[1] * 1e-3
    slope = (misfit(points, weights[:4] + step) - misfit(points, weights[:4] - step)) / 2e-3
    assert -system.pull[8 + 1] == pytest.approx(slope, rel=1e-3)


def test_clicks_are_repaired():
    rng, positions, _, clean, sigma = scene(seed=1)
    observation = clean + sigma * rng.standard_normal(clean.shape)
    clicked = positions + 0.7 * rng.standard_normal(positions.shape)
    found = refine(observation, clicked, 24, options=RefinementOptions(symmetry_orders=(0, 2, 4)))
    assert np.median(np.hypot(*(found.positions - positions).T)) < 0.06
    np.testing.assert_allclose(found.moved_px, np.hypot(*(found.positions - clicked).T))
    off = (found.positions - positions) / found.deviation_px[:, None]
    assert 0.4 < np.sqrt(np.mean(off**2)) < 2
    offset = np.arange(24.0) - 12
    truth = pattern(*np.meshgrid(offset, offset))
    exact = solve_harmonic(observation, positions, 24, symmetry_orders=(0, 2, 4)).kernel
    repaired = solve_harmonic(observation, found.positions, 24, symmetry_orders=(0, 2, 4)).kernel
    as_clicked = solve_harmonic(observation, clicked, 24, symmetry_orders=(0, 2, 4)).kernel
    error = [np.sqrt(np.mean((kernel - truth) ** 2)) for kernel in (repaired, exact, as_clicked)]
    assert error[0] < 1.5 * error[1] < error[2]
    assert not found.unsupported.any()


def test_defects_in_the_wrong_valley_and_close_pairs_are_found():
    rng, positions, _, clean, sigma = scene(seed=5, count=12)
    positions[1] = positions[0] + [0.9, 0.3]
    clean = superpose(positions, np.ones(12))
    values = (clean + sigma * rng.standard_normal(clean.shape)).astype(np.float32)
    model = fit_harmonics(values, positions, 24, np.ones(12), None, (0, 4), extended=False)
    wrong = positions.copy()
    wrong[[0, 1, 7]] += [[-0.8, 0.8], [0.9, -0.6], [1.6, -1.4]]
    found = ValleySearch((Misfit(values, model, wrong, np.ones(12), sigma**2),), wrong, 0.85).moved()
    others = np.delete(np.arange(12), [0, 1, 7])
    np.testing.assert_array_equal(found[others], wrong[others])
    assert np.abs(found[7] - positions[7]).max() < 0.5
    assert np.abs(np.sort(found[:2], axis=0) - np.sort(positions[:2], axis=0)).max() < 0.3


def test_amplitudes_are_found():
    rng, positions, weights, _, sigma = scene(seed=2)
    weights /= weights.mean()
    observation = superpose(positions, weights) + sigma * rng.standard_normal((40, 44))
    found = refine(observation, positions, 24, options=RefinementOptions(False, True, symmetry_orders=(0, 4)))
    np.testing.assert_array_equal(found.positions, positions)
    assert np.abs(found.weights - weights).max() < 0.05
    assert found.weights.sum() == pytest.approx(len(weights))


def test_a_click_without_a_defect_is_flagged():
    rng, positions, _, clean, sigma = scene(seed=3)
    observation = clean + sigma * rng.standard_normal(clean.shape)
    gap = np.array([[40.0, 2.0]])
    found = refine(observation, np.concatenate([positions, gap]), 24, options=RefinementOptions(sigma_px=0.3, symmetry_orders=(0, 4)))
    assert found.unsupported.tolist() == [False] * 10 + [True]
    assert any("may not be defects" in sentence for sentence in found.warnings)


def test_bad_spread_gets_a_sentence():
    with pytest.raises(InputError, match="sigma_px"):
        refine(np.random.default_rng(0).normal(size=(16, 16)), [[3, 4]], 8, options=RefinementOptions(sigma_px=0))


def test_a_stretch_is_judged_alike_in_every_unit():
    observation = np.random.default_rng(2).standard_normal((20, 24)).astype(np.float32)
    points = np.random.default_rng(3).uniform(2, 18, (5, 2))
    worths = []
    for unit in (1.0, 1e6):
        round_one = _Rounds(HarmonicProblem(unit * observation, 12, None, None, ORDERS), points, np.ones(5), 0.7, True, False)
        other = replace(round_one, problem=replace(round_one.problem, stretch=np.array([0.1, 0.0])))
        models = [rounds.problem.simple_fit(points, np.ones(5)) for rounds in (round_one, other)]
        worths.append(other.worth(points, np.ones(5), models[1]) - round_one.worth(points, np.ones(5), models[0]))
    assert worths[0] == pytest.approx(worths[1], abs=0.5)


@pytest.mark.slow
def test_defects_of_a_lattice_like_kernel_are_not_moved_by_what_one_symmetry_leaves():
    """Plane waves along two axes have orders 0, 4, 8, 12 ...: with 0 and 4 alone the defects go some tenths of a pixel astray."""
    rng, side = np.random.default_rng(3), 80
    length = 2 * np.pi / 7

    def lattice(dx, dy):
        waves = sum(np.cos(length * (np.cos(a) * dx + np.sin(a) * dy)) for a in (0.3, 0.3 + np.pi / 2))
        return waves * np.exp(-(dx**2 + dy**2) / (2 * 8.0**2))

    positions = rng.uniform(2, side - 3, (24, 2))
    y, x = np.mgrid[:side, :side].astype(float)
    clean = sum(lattice(x - px, y - py) for px, py in positions)
    values = (clean + 0.3 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    clicks = positions + 0.5 * rng.standard_normal(positions.shape)
    found = refine(values, clicks, 48)
    off = np.hypot(*(found.positions - positions).T)
    assert np.median(off) < 0.12
    # The median of a distance in the plane is 1.18 deviations in each direction.
    assert 0.5 < np.median(off) / (1.18 * np.median(found.deviation_px)) < 2.0
