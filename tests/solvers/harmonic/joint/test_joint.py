"""Several classes of defects solved together: against a dense solve, the truth, and one class with the others known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import block_diag

from qpi_core.base.grid import kernel_coordinates
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate, posterior_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.joint.fit import fit_jointly, joint_solutions
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.search import SHARED, Hyperparameters
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.kernel_families.equation_7 import evaluate as equation_7

PITCH, SIZE = 10 / 64, 30
KERNELS = (KernelParameters(4, 0.3, 3.0, 0.5, 0.25), KernelParameters(3, 1.1, 4.4, 1.2, 0.3), KernelParameters(0, np.pi / 2, 2.2, 0.9, 0.4))


def two_classes(seed=0, counts=(9, 6), shape=(34, 36), noise=0.1):
    """Explicit sums over the defects of every class."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    classes, parts = [], []
    for parameters, count in zip(KERNELS, counts, strict=False):
        points = rng.uniform(0, 1, (count, 2)) * [shape[1] - 1, shape[0] - 1]
        classes.append(DefectClass(points, np.ones(count)))
        parts.append(sum(equation_7(parameters, PITCH * (x - px), PITCH * (y - py)) for px, py in points))
    clean = np.sum(parts, axis=0)
    sigma = noise * clean.std()
    return (clean + sigma * rng.standard_normal(shape)).astype(np.float32), classes, parts, sigma


def on_window(parameters):
    return equation_7(parameters, *kernel_coordinates(SIZE, PITCH))


def dense_design(samples, splines, orders, points, weights):
    """One column a value at a node: a loop over defects, angular functions and pixels at once."""
    columns = []
    for order in orders:
        for turn in (np.cos, np.sin) if order else (np.cos,):
            block = np.zeros((samples.values.size, splines.nodes.size))
            for (px, py), weight in zip(points, weights, strict=True):
                dx, dy = samples.x - px, samples.y - py
                block += weight * turn(order * np.arctan2(dy, dx))[:, None] * splines.sampling(np.hypot(dx, dy))
            columns.append(block)
    return np.concatenate(columns, axis=1)


def test_marginalised_equations_are_the_dense_joint_gaussian_solve():
    rng = np.random.default_rng(3)
    shape, splines = (14, 15), [RadialSplines(0.9, 9.0), RadialSplines(1.1, 12.0)]
    image = rng.standard_normal(shape).astype(np.float32)
    image[2, 3] = np.nan
    orders, points = [(0, 2), (0, 3)], [rng.uniform(0, 13, (n, 2)) for n in (4, 6)]
    weights = [rng.uniform(0.5, 1.5, len(p)) for p in points]
    priors = [
        Hyperparameters(np.array([np.log(0.02), np.log(5.0), q, 0.3, np.log(2.0), s, 0.7, -0.4]), 1, o, SHARED)
        for q, s, o in ((0.8, 0.2, orders[0]), (1.3, -0.5, orders[1]))
    ]
    samples = [take_samples(image, p, w, tile=5) for p, w in zip(points, weights, strict=True)]
    joint = accumulate([ClassBasis(s, b, o, None) for s, b, o in zip(samples, splines, orders, strict=True)])

    # Everything in pixel space: one covariance of the map, the background with a flat prior.
    designs = [dense_design(samples[0], b, o, p, w) for b, o, p, w in zip(splines, orders, points, weights, strict=True)]
    prior = [np.kron(v.mixing() @ v.mixing().T, v.radial.covariance(b.nodes)) for v, b in zip(priors, splines, strict=True)]
    stacked, everything, values = np.concatenate(designs, axis=1), block_diag(*prior), samples[0].values
    inverse = np.linalg.inv(np.eye(values.size) + stacked @ everything @ stacked.T)
    ones = np.ones(values.size)
    inverse -= np.outer(inverse @ ones, ones @ inverse) / (ones @ inverse @ ones)
    mean = everything @ stacked.T @ inverse @ values
    covariance = everything - everything @ stacked.T @ inverse @ stacked @ everything
    variance = values @ inverse @ values / (values.size - 1)
    parts = np.split(np.arange(mean.size), [prior[0].shape[0]])
    for index, own in enumerate(parts):
        equations, point, nodes = joint.marginalised(index, priors), priors[index], splines[index].nodes
        found = evaluate(equations, nodes, point.radial, point.mixing(), 0.0)
        np.testing.assert_allclose(found.profiles.ravel(), mean[own], atol=1e-5 * np.abs(mean).max())
        assert found.variance == pytest.approx(variance, rel=1e-6)
        factor = posterior_factor(equations, nodes, point.radial, point.mixing()).reshape(own.size, -1)
        np.testing.assert_allclose(factor @ factor.T, covariance[np.ix_(own, own)], atol=1e-5 * covariance.diagonal().max())
    profiles = [mean[own].reshape(-1, b.nodes.size) for own, b in zip(parts, splines, strict=True)]
    assert joint.background(profiles) == pytest.approx(float(np.mean(values - stacked @ mean)), abs=1e-6)


def test_one_class_solved_jointly_is_the_plain_solve():
    image, classes, _, _ = two_classes(counts=(9,))
    single = solve_harmonic(image, classes[0].positions, SIZE, pixel_size_nm=PITCH)
    joint = fit_jointly(image, classes, SIZE, (PITCH, PITCH))
    [alone] = joint_solutions(joint, classes, image.shape, SIZE, (PITCH, PITCH))
    assert single.symmetry_order == alone.symmetry_order == 4
    np.testing.assert_allclose(alone.kernel, single.kernel, atol=1e-5)
    np.testing.assert_allclose(alone.uncertainty, single.uncertainty, rtol=1e-3)
    assert alone.noise_sigma == pytest.approx(single.noise_sigma, rel=1e-5)


def test_the_design_past_other_patterns_gives_the_marginalised_equations():
    image, classes, _, _ = two_classes(shape=(24, 25))
    splines = RadialSplines(0.9, 20.0)
    point = Hyperparameters(np.array([-5.0, 3.0, 0.9, 0.2, np.log(2.0), 1.0, 0.5, 0.2]), 1, (0, 3), SHARED)
    samples = [take_samples(image, one.positions, one.weights) for one in classes]
    bases = [ClassBasis(samples[0], splines, (0, 4), None), ClassBasis(samples[1], splines, (0, 3), None)]
    expected = accumulate(bases).marginalised(0, [point, point])
    other = StoredDesign(samples[1], splines, (0, 3))
    root = np.linalg.cholesky(point.radial.covariance(splines.nodes) + 1e-9 * np.eye(splines.nodes.size))
    columns = other.prior_columns((0, 3), point.mixing(), root)
    found = StoredDesign(samples[0], splines, (0, 4)).past(columns).equations((0, 4))
    np.testing.assert_allclose(found.gram, expected.gram, atol=1e-5 * np.abs(expected.gram).max())
    np.testing.assert_allclose(found.projection, expected.projection, atol=1e-5 * np.abs(expected.projection).max())
    assert found.total == pytest.approx(expected.total, rel=1e-5)


def solved_jointly(image, classes):
    joint = fit_jointly(image, classes, SIZE, (PITCH, PITCH))
    return joint, joint_solutions(joint, classes, image.shape, SIZE, (PITCH, PITCH))


@pytest.fixture(scope="module")
def solved():
    found = []
    for seed in range(2):
        image, classes, parts, sigma = two_classes(seed, noise=(0.05, 0.3)[seed])
        found.append((image, classes, parts, sigma, *solved_jointly(image, classes)))
    return found


@pytest.mark.slow
def test_noise_symmetry_and_what_is_left_of_two_classes(solved):
    for image, _, _, sigma, joint, solutions in solved:
        assert [solution.symmetry_order for solution in solutions] == [4, 3]
        assert all(solution.noise_sigma == pytest.approx(sigma, rel=0.05) for solution in solutions)
        # The reconstruction at the true offsets leaves nothing but the noise.
        left = image - solutions[0].background - sum(solution.superposition for solution in solutions)
        assert left.std() == pytest.approx(sigma, rel=0.05) and abs(left.mean()) < 0.02 * sigma
        assert all(1.0 <= widening < 1.5 for widening in joint.widening)


def test_a_kernel_is_as_good_as_with_the_other_known_and_far_better_than_without(solved):
    image, classes, parts, _, _, solutions = solved[0]
    known = solve_harmonic(image - parts[1], classes[0].positions, SIZE, pixel_size_nm=PITCH, symmetry_orders=(0, 4))
    ignored = solve_harmonic(image, classes[0].positions, SIZE, pixel_size_nm=PITCH, symmetry_orders=(0, 4))
    error, best, worst = (np.sqrt(np.mean((one.kernel - on_window(KERNELS[0])) ** 2)) for one in (solutions[0], known, ignored))
    assert error < 1.3 * best and error < 0.1 * worst


def test_error_bars_cover_the_truth(solved):
    scores = []
    for *_, solutions in solved:
        for parameters, solution in zip(KERNELS[:2], solutions, strict=True):
            truth = on_window(parameters)
            scores.append(np.abs(solution.kernel - truth) / solution.uncertainty)
    within = [float(np.mean(np.array(scores) < limit)) for limit in (1.0, 1.96)]
    # The pixels of one kernel err together, so four kernels leave some room about 0.68 and 0.95.
    assert 0.5 < within[0] < 0.85 and within[1] > 0.85


def test_the_order_of_the_classes_does_not_matter(solved):
    image, classes, _, _, _, solutions = solved[1]
    _, turned = solved_jointly(image, classes[::-1])
    for one, other in zip(solutions, turned[::-1], strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)
        np.testing.assert_array_equal(one.uncertainty, other.uncertainty)
