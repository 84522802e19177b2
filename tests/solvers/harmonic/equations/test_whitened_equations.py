"""Equations of a whitened map with two classes, against the dense covariance of everything, written out pixel by pixel."""

import numpy as np
import pytest

from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, design_tiles, take_samples
from qpi_core.solvers.harmonic.equations.whitened_equations import accumulate_whitened
from qpi_core.solvers.harmonic.search import INDEPENDENT, Hyperparameters

SHAPE, FLOOR = (10, 12), 1e-3
NOISE = StationaryParameters(background=3.0, background_length=3.5, rows=0.5, streaks=0.4, streak_length=2.0)


def dense_covariance(x, y):
    """Return the covariance of background, row offsets, streaks and white noise, in units of the white noise."""
    dx, dy = np.abs(np.subtract.outer(x, x)), np.abs(np.subtract.outer(y, y))
    same_row = dy == 0
    smooth = NOISE.background * np.exp(-(dx**2 + dy**2) / (2 * NOISE.background_length**2))
    return np.eye(x.size) + smooth + same_row * (NOISE.rows + NOISE.streaks * np.exp(-dx / NOISE.streak_length))


def point(orders, decay, amplitude):
    """Return hyperparameters of independent profiles: log a, log L, q, logit, log p, one log amplitude an order."""
    vector = np.array([np.log(decay), np.log(9.0), 0.9, 0.3, np.log(2.0), *(np.log(amplitude) for _ in orders)])
    return Hyperparameters(vector, 1, orders, INDEPENDENT)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    image = rng.standard_normal(SHAPE).astype(np.float32)
    image[2, 3] = image[7, 1] = np.nan
    bases = []
    for orders in ((0, 2), (0, 3)):
        samples = take_samples(image, rng.uniform(0, 9, (3, 2)), rng.uniform(0.5, 1.5, 3))
        bases.append(ClassBasis(samples, RadialSplines(0.8, 6.0), orders))
    whitener = Whitener(np.isfinite(image), NOISE)
    equations = accumulate_whitened(bases, *bases[0].samples.places, whitener)
    samples, columns = bases[0].samples, []
    for basis in bases:
        design = np.zeros((samples.values.size, basis.width))
        for part, block in design_tiles(basis.samples, basis.splines, basis.orders):
            at_nodes = block @ basis.splines.interpolation
            design[part] = at_nodes.transpose(1, 0, 2).reshape(block.shape[1], -1)
        columns.append(design)
    return equations, samples, np.concatenate(columns, axis=1)


def test_gram_matrices_and_projections_are_those_of_generalised_least_squares_with_a_free_constant(problem):
    equations, samples, design = problem
    inverse = np.linalg.inv(dense_covariance(samples.x, samples.y))
    of_one = inverse.sum(axis=0)
    weight = inverse - np.outer(of_one, of_one) / of_one.sum()
    np.testing.assert_allclose(equations.gram, design.T @ weight @ design, atol=1e-8)
    np.testing.assert_allclose(equations.projections[0], design.T @ weight @ samples.values, atol=1e-8)
    assert equations.totals[0] == pytest.approx(samples.values @ weight @ samples.values)
    assert equations.mean_values[0] == pytest.approx(of_one @ samples.values / of_one.sum())
    np.testing.assert_allclose(equations.column_means, of_one @ design / of_one.sum(), atol=1e-10)


def test_the_joint_cost_is_the_marginal_likelihood_of_the_dense_covariance_with_both_kernels(problem):
    equations, samples, design = problem
    points = [point((0, 2), 0.03, 0.8), point((0, 3), 0.08, 1.3)]

    def likelihood(covariance):
        inverse = np.linalg.inv(covariance)
        of_one = inverse.sum(axis=0)
        misfit = samples.values @ (inverse - np.outer(of_one, of_one) / of_one.sum()) @ samples.values
        return misfit, np.linalg.slogdet(covariance)[1] + np.log(of_one.sum())

    noise = dense_covariance(samples.x, samples.y)
    prior = np.zeros((design.shape[1], design.shape[1]))
    for index, (basis, one) in enumerate(zip(equations.bases, points, strict=True)):
        mixing = one.mixing() @ one.mixing().T
        prior[equations.part(index), equations.part(index)] = np.kron(mixing, one.radial.covariance(basis.splines.nodes))
    misfit, whole = likelihood(noise + design @ prior @ design.T)
    freedom = samples.values.size - 1
    expected = 0.5 * freedom * np.log(misfit + freedom * FLOOR) + 0.5 * (whole - likelihood(noise)[1])
    assert equations.joint_cost(points, FLOOR) == pytest.approx(expected, abs=1e-5)
