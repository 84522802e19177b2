"""The joint system of positions and kernel against dense algebra and against differences of the whole solve."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import design_tiles, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.model import HarmonicModel, fit_harmonics
from qpi_core.solvers.harmonic.start import start_harmonics
from qpi_core.solvers.positions.jacobian import solve_again
from qpi_core.solvers.positions.variable_projection import converged, joint_system, kernel_variance, occam, position_covariance
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation

SHAPE, SIZE, PITCH = (30, 34), 24, 10 / 64
PARAMETERS = KernelParameters(symmetry_order=4, orientation=0.4, wavenumber=4.0, phase=0.6, decay=0.5)
PLACES = np.array([[5.0, 6.0], [21.0, 9.0], [12.0, 20.0], [29.0, 24.0], [3.0, 27.0]])
WEIGHTS = np.array([1.0, 0.8, 1.2, 1.0, 0.9])


@lru_cache
def solved(noise: float = 0.05, stretch: tuple[float, float] | None = None) -> tuple[np.ndarray, HarmonicModel]:
    values = simulate_observation(PARAMETERS, PLACES, SHAPE, PITCH, noise, rng=np.random.default_rng(3)).astype(np.float32)
    problem = (values, PLACES, SIZE, np.ones(5), None, (0, 4))
    start = start_harmonics(*problem, None if stretch is None else np.array(stretch))
    return values, fit_harmonics(*problem, extended=False, start=start)


def dense_basis(model: HarmonicModel, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The map of the profiles' nodes, (pixels, a x nodes), about the mean."""
    samples = replace(model.samples, positions=model.frame.coordinates(points), weights=weights)
    tiles = [design @ model.splines.interpolation for _, design in design_tiles(samples, model.splines, model.fit.hyperparameters.orders)]
    basis = np.concatenate(tiles, axis=1).transpose(1, 0, 2).reshape(samples.values.size, -1)
    return basis - basis.mean(axis=0)


def dense_slopes(model: HarmonicModel, points: np.ndarray, weights: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """The derivative of the map by all x, all y, all amplitudes, by differences."""
    profiles, count = model.fit.evidence.profiles.ravel(), len(points)
    columns = []
    for index in range(3 * count):
        change = np.zeros(3 * count)
        change[index] = step
        sides = [
            dense_basis(model, points + sign * change[: 2 * count].reshape(2, -1).T, weights + sign * change[2 * count :]) @ profiles
            for sign in (1, -1)
        ]
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("stretch", [None, (0.12, -0.07)])
def test_joint_system_is_that_of_dense_algebra(stretch):
    values, model = solved(stretch=stretch)
    assert (model.stretch is None) == (stretch is None)
    model = solve_again(values, model, PLACES + 0.35, WEIGHTS, most=None)
    point, splines = model.fit.hyperparameters, model.splines
    basis, slopes = dense_basis(model, PLACES + 0.35, WEIGHTS), dense_slopes(model, PLACES + 0.35, WEIGHTS)
    prior = np.kron(point.mixing() @ point.mixing().T, point.radial.covariance(splines.nodes))
    noise = np.eye(len(basis)) + basis @ prior @ basis.T
    system = joint_system(model)
    expected = slopes.T @ np.linalg.solve(noise, slopes)
    np.testing.assert_allclose(system.information, expected, atol=2e-3 * np.abs(expected).max())
    response = -prior @ basis.T @ np.linalg.solve(noise, slopes)
    np.testing.assert_allclose(system.response.reshape(response.shape), response, atol=2e-3 * np.abs(response).max())
    left = model.samples.values - model.samples.values.mean() - basis @ model.fit.evidence.profiles.ravel()
    np.testing.assert_allclose(system.pull, slopes.T @ left, atol=2e-3 * np.abs(slopes.T @ left).max())
    sigma = np.array([0.7, 0.0, 0.7, 0.3, 0.0])
    free, covariance = position_covariance(system, sigma)
    assert free.tolist() == [0, 2, 3, 5, 7, 8]
    widths = np.tile(sigma, 2)[free]
    inner = expected[np.ix_(free, free)] / system.variance + np.diag(widths**-2)
    np.testing.assert_allclose(covariance, np.linalg.inv(inner), rtol=0.02, atol=1e-2 * covariance.max())
    volumes = 0.5 * np.linalg.slogdet(inner)[1] + np.log(widths).sum()
    np.testing.assert_allclose(occam(system, sigma), volumes, rtol=1e-3)


def test_profiles_follow_the_positions():
    """Without noise the residual is small, and the response is the derivative of the posterior mean."""
    values, model = solved(0.0)
    point = model.fit.hyperparameters

    def profiles(points: np.ndarray) -> np.ndarray:
        samples = take_samples(values, points, np.ones(5), model.aspect)
        equations = accumulate([ClassBasis(samples, model.splines, point.orders)]).alone()
        return evaluate(equations, model.splines.nodes, point.radial, point.mixing(), model.floor).profiles

    step = np.zeros_like(PLACES)
    step[1, 0] = 1e-3
    slope = (profiles(PLACES + step) - profiles(PLACES - step)) / 2e-3
    inside = (model.splines.nodes > 1) & (model.splines.nodes < 12)
    found = joint_system(model).response[:, inside, 1]
    np.testing.assert_allclose(found, slope[:, inside], atol=0.02 * np.abs(slope[:, inside]).max())


def test_joint_steps_converge_to_the_places():
    values, model = solved()
    off = PLACES.copy()
    off[:2] += [[0.4, -0.3], [-0.3, 0.4]]
    sigma = np.array([20.0, 20.0, 0, 0, 0])
    points, last = converged(values, solve_again(values, model, off, np.ones(5), most=None), off, np.ones(5), sigma, off, 8)
    np.testing.assert_array_equal(points[2:], PLACES[2:])
    _, covariance = position_covariance(joint_system(last), sigma)
    pull = (points - PLACES)[:2].T.ravel() / np.sqrt(covariance.diagonal())
    assert np.abs(pull).max() < 4
    assert kernel_variance(last, sigma, SIZE).shape == (SIZE, SIZE) and (kernel_variance(last, sigma, SIZE) >= 0).all()
