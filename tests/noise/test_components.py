"""The restricted likelihood, its gradient and the whitening that goes with it, against dense algebra on the measured pixels."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.noise.components import MixedModel, evaluate_components, score_group
from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.whitening import Whitener

SHAPE, ASPECT, FLOOR = (7, 9), (1.2, 0.9), 1e-3
VECTOR = np.log([2.0, 2.5, 0.7, 1.3, 3.0, 0.5, 2.0])


def problem() -> MixedModel:
    rng = np.random.default_rng(3)
    values = rng.normal(size=SHAPE)
    values[2, 3:5], values[6, 8] = np.nan, np.nan
    return MixedModel(values, (rng.normal(size=(*SHAPE, 3)), rng.normal(size=(*SHAPE, 2))), ASPECT, FLOOR)


def dense(model: MixedModel, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and values of the measured pixels."""
    b, length, r, p, m, *strengths = np.exp(vector)
    y, x = (grid.ravel() for grid in np.indices(SHAPE))
    down, across = np.abs(np.subtract.outer(y, y)) * ASPECT[0], np.abs(np.subtract.outer(x, x)) * ASPECT[1]
    matrix = np.eye(y.size) + b * np.exp(-(down**2 + across**2) / (2 * length**2)) + (down == 0) * (r + p * np.exp(-across / m))
    for strength, group in zip(strengths, model.groups, strict=True):
        flat = group.reshape(y.size, -1)
        matrix = matrix + strength * flat @ flat.T
    measured = np.isfinite(model.values.ravel())
    return matrix[np.ix_(measured, measured)], model.values.ravel()[measured]


def evaluated(model: MixedModel, vector: np.ndarray):
    return evaluate_components(model, StationaryParameters(*np.exp(vector[:5])), tuple(np.exp(vector[5:])))


def test_differences_of_the_cost_are_those_of_the_dense_restricted_likelihood() -> None:
    model = problem()

    def reference(vector: np.ndarray) -> float:
        matrix, values = dense(model, vector)
        inverse, ones, n = np.linalg.inv(matrix), np.ones(values.size), values.size
        constant = (ones @ inverse @ values) / (ones @ inverse @ ones)
        misfit = (values - constant) @ inverse @ (values - constant) + (n - 1) * FLOOR
        return 0.5 * ((n - 1) * np.log(misfit) + np.linalg.slogdet(matrix)[1] + np.log(ones @ inverse @ ones))

    other = VECTOR + np.random.default_rng(4).normal(0, 0.3, VECTOR.size)
    assert evaluated(model, VECTOR).cost - evaluated(model, other).cost == pytest.approx(reference(VECTOR) - reference(other), abs=1e-6)


def test_gradient_is_that_of_the_cost() -> None:
    model, found = problem(), evaluated(problem(), VECTOR)
    for index in range(VECTOR.size):
        step = np.zeros(VECTOR.size)
        step[index] = 1e-5
        slope = (evaluated(model, VECTOR + step).cost - evaluated(model, VECTOR - step).cost) / 2e-5
        assert found.gradient[index] == pytest.approx(slope, abs=1e-5)


def test_information_is_that_of_the_written_matrices() -> None:
    model, found = problem(), evaluated(problem(), VECTOR)
    matrix, values = dense(model, VECTOR)
    inverse, ones = np.linalg.inv(matrix), np.ones(values.size)
    projected = inverse - np.outer(inverse @ ones, inverse @ ones) / (ones @ inverse @ ones)
    slopes = []
    for index in range(VECTOR.size):
        step = np.zeros(VECTOR.size)
        step[index] = 1e-5
        slopes.append((dense(model, VECTOR + step)[0] - dense(model, VECTOR - step)[0]) / 2e-5)
    moved = np.stack([slope @ projected @ values for slope in slopes])
    freedom = values.size - 1
    misfit = values @ projected @ values + freedom * FLOOR
    pulls = moved @ projected @ values
    expected = 0.5 * freedom / misfit * (moved @ projected @ moved.T - np.outer(pulls, pulls) / misfit)
    assert np.allclose(found.information, expected, rtol=1e-5, atol=1e-6)
    assert np.linalg.eigvalsh(found.information).min() > 0


def test_residual_and_effects_are_posterior_means() -> None:
    model = problem()
    found = evaluated(model, VECTOR)
    matrix, values = dense(model, VECTOR)
    inverse, ones = np.linalg.inv(matrix), np.ones(values.size)
    constant = (ones @ inverse @ values) / (ones @ inverse @ ones)
    pulled = inverse @ (values - constant)
    measured = np.isfinite(model.values)
    assert found.background == pytest.approx(constant, abs=1e-6)
    assert np.allclose(found.scaled_residual[measured], pulled, atol=1e-7)
    assert np.all(np.abs(found.scaled_residual[~measured]) < 1e-12)
    for strength, group, effects in zip(np.exp(VECTOR[5:]), model.groups, found.effects, strict=True):
        assert np.allclose(effects, strength * group[measured].T @ pulled, atol=1e-7)


def test_a_fit_to_the_whitened_map_is_the_fit_with_everything_else_marginalised() -> None:
    model = problem()
    kernel, others = model.groups
    parameters, strengths = StationaryParameters(*np.exp(VECTOR[:5])), np.exp(VECTOR[5:])
    measured = np.isfinite(model.values)
    whitener = Whitener(measured, parameters, [np.sqrt(strengths[1]) * others], ASPECT)
    design = whitener(np.where(measured[..., None], np.sqrt(strengths[0]) * kernel, 0.0).reshape(-1, 3))
    values = whitener(np.where(measured, model.values, 0.0).reshape(-1, 1))[:, 0]
    system = np.eye(3) + design.T @ design
    inner = np.linalg.solve(system, design.T @ values)
    misfit = values @ values - (design.T @ values) @ inner + (model.pixels - 1) * FLOOR
    found = evaluated(model, VECTOR)
    assert np.allclose(np.sqrt(strengths[0]) * inner, found.effects[0], atol=1e-7)
    assert misfit / (model.pixels - 1) == pytest.approx(found.variance, rel=1e-6)
    # The determinants: those of the kernel, and of everything else.
    plain = Whitener(measured, StationaryParameters(), (), ASPECT)
    assert plain.log_determinant == pytest.approx(0.0, abs=1e-9)
    other = evaluate_components(model, StationaryParameters(), (strengths[0], 0.0))
    white_design = plain(np.where(measured[..., None], np.sqrt(strengths[0]) * kernel, 0.0).reshape(-1, 3))
    own = 0.5 * (np.linalg.slogdet(system)[1] + whitener.log_determinant + (model.pixels - 1) * np.log(found.variance))
    white = 0.5 * (np.linalg.slogdet(np.eye(3) + white_design.T @ white_design)[1] + (model.pixels - 1) * np.log(other.variance))
    assert own - white == pytest.approx(found.cost - other.cost, abs=1e-5)


def test_score_of_a_group_is_a_probability_where_it_is_not_there_and_nothing_where_it_is() -> None:
    rng = np.random.default_rng(5)
    columns, kernel = rng.normal(size=(24, 24, 12)), rng.normal(size=(24, 24, 4))
    chances = []
    for _ in range(60):
        values = rng.normal(size=(24, 24)) + kernel @ rng.normal(size=4)
        chances.append(score_group(MixedModel(values, (kernel,), (1.0, 1.0), 0.0), StationaryParameters(), (1.0,), columns))
    # Uniform between 0 and 1: Kolmogorov and Smirnov's distance of 60 draws stays below 0.21 in 99 % of cases.
    assert np.abs(np.sort(chances) - (np.arange(60) + 0.5) / 60).max() < 0.21
    there = rng.normal(size=(24, 24)) + columns @ (0.5 * rng.normal(size=12))
    assert score_group(MixedModel(there, (kernel,), (1.0, 1.0), 0.0), StationaryParameters(), (1.0,), columns) < 1e-12
