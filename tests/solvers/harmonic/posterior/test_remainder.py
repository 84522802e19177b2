"""What a kernel may hold beyond its model, against dense Gaussian algebra with the strength integrated numerically."""

import numpy as np
import pytest

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, design_tiles, take_samples
from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, evaluate
from qpi_core.solvers.harmonic.equations.normal_equations import functions_of
from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.posterior.remainder import find_remainder, orders_beyond
from qpi_core.solvers.harmonic.search import INDEPENDENT, SHARED, Fit, Hyperparameters
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

FLOOR = 1e-4


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    positions = rng.uniform(2, 14, (5, 2))
    y, x = np.mgrid[:16, :16]
    offsets = [np.hypot(x - px, y - py) for px, py in positions]
    # A pattern with a tail that the prior below, a Gaussian envelope, does not know of.
    values = sum(np.cos(0.9 * r) * np.exp(-((r / 4) ** 2)) + 0.15 * np.cos(0.5 * r) for r in offsets)
    values = (values + 0.2 * rng.standard_normal(values.shape)).astype(np.float32)
    samples = take_samples(values, positions, np.ones(5))
    splines = RadialSplines(0.8, 20.0)
    vector = np.array([np.log(1 / 16), np.log(10.0), 0.9, 1.0, np.log(2.0), np.log(3.0), np.log(0.5)])
    point = Hyperparameters(vector, 1, (0, 2), INDEPENDENT)
    equations = accumulate([ClassBasis(samples, splines, (0, 2))]).alone()
    fit = Fit(point, evaluate(equations, splines.nodes, point.radial, point.mixing(), FLOOR), 0.0)
    return samples, splines, equations, fit


def test_mean_and_covariance_are_those_of_dense_algebra(small):
    samples, splines, equations, fit = small
    found = find_remainder(samples, splines, equations, fit, SolverFrame((1.0, 1.0)), None)
    orders, nodes, point = (0, 2, 4), splines.nodes, fit.hyperparameters
    assert found.orders == orders
    design = np.empty((5, samples.values.size, splines.count))
    for part, block in design_tiles(samples, splines, orders):
        design[:, part] = block
    basis = (design @ splines.interpolation).transpose(1, 0, 2).reshape(samples.values.size, -1)
    basis -= basis.mean(axis=0)
    values = samples.values - samples.values.mean()
    size, freedom = nodes.size, values.size - 1
    amplitudes = [np.exp(point.vector[5 + (order > 0)]) if order < 4 else 0.0 for order in functions_of(orders)]
    own = np.kron(np.diag(np.square(amplitudes)), point.radial.covariance(nodes))
    wide = RadialPrior(-2 * np.log(nodes[-1] / 3), np.log(8.0), point.radial.wavenumbers, point.radial.logits, 0.0)
    more = np.kron(np.eye(5), wide.covariance(nodes))
    places = (np.arange(5)[:, None] * size + np.arange(9, size - 9, 6)).ravel()
    # Covariances of the profiles that are compared, of those with the pixels, and of the pixels: for the model and for what is beyond.
    inner = [prior[np.ix_(places, places)] for prior in (own, more)]
    across = [prior[places] @ basis.T for prior in (own, more)]
    between = [basis @ prior @ basis.T for prior in (own, more)]
    strengths = np.linspace(0, 2.0, 200)
    logs, means, covariances = [], [], []
    for strength in strengths:
        prior, crossed, pixels = (pair[0] + strength**2 * pair[1] for pair in (inner, across, between))
        total = np.eye(values.size) + pixels
        solved = np.linalg.solve(total, np.column_stack([values, crossed.T]))
        misfit = values @ solved[:, 0] + freedom * FLOOR
        logs.append(-0.5 * np.linalg.slogdet(total)[1] - 0.5 * freedom * np.log(misfit))
        means.append(crossed @ solved[:, 0])
        covariances.append(prior - crossed @ solved[:, 1:])
    weights = np.exp(np.array(logs) - max(logs))
    weights[0] /= 2
    weights /= weights.sum()
    mean = weights @ np.array(means)
    profiles = found.total((0, 2), fit.evidence.profiles).ravel()[places]
    assert np.abs(profiles - mean).max() < 0.02 * np.abs(mean).max()
    assert weights @ strengths == pytest.approx(found.strength * np.exp(point.vector[5]), rel=0.03)
    spread = np.einsum("t,ti,tj->ij", weights, means - mean, means - mean)
    expected = fit.evidence.variance * (np.einsum("t,tij->ij", weights, covariances) - covariances[0]) + spread
    factor = found.factor.reshape(-1, found.factor.shape[-1])[places]
    assert np.abs(factor @ factor.T - expected).max() < 0.03 * np.abs(expected).max()


def test_an_endless_wave_with_one_profile_leaves_nothing(small):
    samples, splines, equations, fit = small
    vector = np.array([np.log(1 / 16), np.log(3000.0), 0.9, 1.0, np.log(2.0), np.log(3.0), 0.1, 0.1])
    point = Hyperparameters(vector, 1, (0, 2), SHARED, periodic=True)
    assert find_remainder(samples, splines, equations, Fit(point, fit.evidence, 0.0), SolverFrame((1.0, 1.0)), None) is None


def test_next_orders_keep_the_symmetry():
    assert orders_beyond((0,)) == (0, 2, 3, 4, 6)
    assert orders_beyond((0, 3, 6)) == (0, 3, 6, 9)
    assert orders_beyond((0, 1, 2, 5)) == (0, 1, 2, 5, 6)
    assert orders_beyond((0, 12, 24)) == (0, 12, 24)


def test_error_bars_hold_in_the_tail_of_a_band_kernel():
    # Two bands of different mean free paths: the fit takes a Gaussian envelope, which leaves nothing at 30 px; the kernel has 3e-4.
    rng = np.random.default_rng([4100, 4, 3])
    pattern = draw_band_pattern(rng, "several")
    positions = draw_positions(rng, 40, (64, 64), on_grid=False)
    clean = superpose(pattern, positions, (64, 64), DEFAULT_PIXEL_SIZE_NM)
    noisy = (clean + 0.2 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    solution = solve_harmonic(noisy, positions, 64, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    dx, dy = kernel_coordinates(64, DEFAULT_PIXEL_SIZE_NM)
    outside = np.hypot(dx, dy) > 30 * DEFAULT_PIXEL_SIZE_NM
    ratio = (solution.kernel - pattern(dx, dy))[outside] / solution.uncertainty[outside]
    assert 0.3 < np.sqrt(np.mean(ratio**2)) < 2.0
    assert 0 < solution.details["strength_beyond_model"] < 0.1
