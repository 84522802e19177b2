"""Activation maps for given kernels, kernels for given activation maps, and defects between pixels."""

import math
from dataclasses import replace

import numpy as np
import pytest

from qpi_core.solvers.blind.finish import finish
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.long_waves import LongWaves
from qpi_core.solvers.blind.points.joint_refinement import refine_points
from qpi_core.solvers.blind.points.point_patterns import point_patterns
from qpi_core.solvers.blind.polishing.activation_flips import ActivationFlips
from qpi_core.solvers.blind.polishing.convolution import Convolution
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep
from qpi_core.solvers.blind.polishing.polish import in_noise
from qpi_core.solvers.blind.polishing.score import list_cost, scored
from qpi_core.solvers.blind.polishing.sparse_activation import sparse_activation
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

SHAPE = (30, 34)
RNG = np.random.default_rng(0)
FIT = KernelFit(
    RNG.standard_normal((2, 9, 9)).astype(np.float32),
    np.zeros((2, *SHAPE), np.float32),
    np.array([0.5, 2.0]),
    0.0,
    np.zeros(2),
    (),
)
GAPS = RNG.random(SHAPE) > 0.1


def wave(x, y):
    """Return a round kernel of the offsets in px."""
    radius = np.hypot(x, y)
    return np.cos(0.9 * radius + 0.4) * np.exp(-radius / 5)


def simulated(positions, weights, noise, seed=0):
    """Return layers of a map of waves about defects."""
    y, x = np.mgrid[:48, :48].astype(float)
    clean = sum(weight * wave(x - px, y - py) for (px, py), weight in zip(positions, weights, strict=True))
    return prepare_layers((clean + noise * np.random.default_rng(seed).standard_normal((48, 48))).astype(np.float32)[None])


def test_the_convolution_and_its_adjoint_belong_together():
    convolution = Convolution(FIT, LongWaves(GAPS))
    activation = RNG.random(SHAPE).astype(np.float32)
    layers = LongWaves(GAPS).removed(RNG.standard_normal((2, *SHAPE)) * GAPS).astype(np.float32)
    forward, backward = np.vdot(convolution(activation), layers), np.vdot(activation, convolution.adjoint(layers))
    assert forward == pytest.approx(backward, rel=1e-4)


@pytest.mark.parametrize("place", [(0, 0), (15, 20), (29, 33)])
def test_energy_and_overlap_are_scalar_products_of_shown_patterns(place):
    convolution = Convolution(FIT, LongWaves(GAPS))

    def shown(row, column):
        single = np.zeros(SHAPE, dtype=np.float32)
        single[row, column] = 1
        return convolution(single).astype(np.float64)

    other = (min(place[0] + 2, 29), max(place[1] - 3, 0))
    assert convolution.energy[place] == pytest.approx(np.sum(shown(*place) ** 2), rel=1e-4)
    assert convolution.overlap(*place)[other] == pytest.approx(np.sum(shown(*place) * shown(*other)), rel=1e-3, abs=1e-2)
    assert convolution.strength < convolution.whole
    assert convolution.whole**2 == pytest.approx(np.sum(FIT.kernels[0] ** 2) / 0.5 + np.sum(FIT.kernels[1] ** 2) / 2, rel=1e-5)


def test_the_sparse_map_is_the_minimum():
    convolution = Convolution(FIT, LongWaves(np.ones(SHAPE, dtype=bool)))
    truth = np.zeros(SHAPE, dtype=np.float32)
    truth[5, 6], truth[20, 20], truth[22, 21] = 1, 1.5, 1
    noise = RNG.standard_normal((2, *SHAPE)).astype(np.float32)
    layers = convolution(truth) + convolution.long_waves.removed(noise)
    found = sparse_activation(convolution, layers, np.zeros(SHAPE, dtype=np.float32), 2.0, 600)
    slope = convolution.adjoint(convolution(found) - layers) + 2.0 * convolution.strength
    # Karush, Kuhn and Tucker: no slope where there is a defect, an upward one where there is none.
    assert np.abs(slope[found > 1e-3]).max() < 0.02 * convolution.strength
    assert slope[found == 0].min() > -0.02 * convolution.strength
    assert set(zip(*np.nonzero(found > 0.5), strict=True)) == {(5, 6), (20, 20), (22, 21)}


@pytest.mark.parametrize("shape", [(30, 34), (48, 48)], ids=["overlaps by transforms", "overlaps of whole patterns"])
def test_flips_find_the_defects_of_a_known_kernel(shape):
    fit = replace(FIT, residuals=np.zeros((2, *shape), np.float32))
    convolution = Convolution(fit, LongWaves(np.ones(shape, dtype=bool)))
    rng = np.random.default_rng(3)
    truth = np.zeros(shape, dtype=np.float32)
    truth.ravel()[rng.choice(truth.size, 12, replace=False)] = 1
    noise = rng.standard_normal((2, *shape)).astype(np.float32)
    layers = convolution(truth) + 0.5 * convolution.long_waves.removed(noise)
    wrong = np.roll(truth, 1, axis=0)
    wrong[0, 0] = 1
    flips = ActivationFlips(convolution, layers, wrong)
    np.testing.assert_array_equal(flips.improve(6), truth)
    np.testing.assert_allclose(flips._match, convolution.adjoint(layers - convolution(truth)), atol=0.05)


def test_the_price_of_a_list_counts_the_ways_to_choose_it():
    assert list_cost(3, 100) == pytest.approx(math.log(math.comb(100, 3)) + math.log(100))


def test_derivatives_are_those_of_moved_patterns():
    kernels = (wave(*np.meshgrid(np.arange(-10, 11.0), np.arange(-10, 11.0))) * np.hanning(23)[1:-1] * np.hanning(23)[1:-1, None])[None]
    at = np.array([[12.3, 20.8], [31.0, 5.4]])
    patterns = point_patterns(kernels.astype(np.float32), at, (40, 36))
    for axis in (0, 1):
        step = np.eye(2)[axis] * 0.01
        ahead, behind = (point_patterns(kernels.astype(np.float32), at + sign * step, (40, 36))[:, 0] for sign in (1, -1))
        np.testing.assert_allclose(patterns[:, 1 + axis], (ahead - behind) / 0.02, atol=2e-3)


def test_places_between_pixels_and_strengths_are_found_with_the_kernel():
    rng = np.random.default_rng(8)
    truth = rng.uniform(4, 43, (12, 2))
    weights = rng.uniform(0.6, 1.4, 12)
    weights /= weights.mean()
    layers = simulated(truth, weights, 0.02)
    step = KernelStep(FilterBank(BankShape(0, 20.0, 1.0, 1, spot=True), layers.shape), layers)
    found = refine_points(step, np.rint(truth), np.ones(12), own_weights=True, steps=20)
    assert np.hypot(*(found.positions - truth).T).max() < 0.1
    np.testing.assert_allclose(found.weights, weights, atol=0.06)
    assert 0 < found.deviations.max() < 0.1
    grid = scored(step, _on_pixels(truth))
    assert found.evidence > grid.score + 100


def test_a_list_on_pixels_is_recognised_as_one():
    rng = np.random.default_rng(9)
    truth = np.unique(rng.integers(3, 45, (14, 2)), axis=0).astype(float)
    layers = simulated(truth, np.ones(len(truth)), 0.1)
    step = KernelStep(FilterBank(BankShape(0, 20.0, 1.0, 1, spot=True), layers.shape), layers)
    nearly = _on_pixels(truth)
    row, column = int(truth[0, 1]), int(truth[0, 0])
    nearly[row, column], nearly[row + 1, column] = 0, 1
    found = finish(scored(step, nearly))
    assert sorted(map(tuple, found.positions)) == sorted(map(tuple, truth)) and not found.deviations.any()
    assert np.all(found.weights == 1)


def test_long_waves_are_no_part_of_what_the_kernels_explain():
    layers = simulated([(20.0, 20.0), (30.0, 11.0)], [1.0, 1.0], 0.01)
    step = KernelStep(FilterBank(BankShape(0, 20.0, 1.0, 1, spot=True), layers.shape), layers)
    activation = np.zeros(layers.shape, dtype=np.float32)
    activation[20, 20] = activation[11, 30] = 1
    fit = step.solve(activation)
    explained = Convolution(fit, layers.long_waves)(activation)
    left = (in_noise(layers, fit) - explained) * np.sqrt(fit.variances).astype(np.float32)
    np.testing.assert_allclose(left, fit.residuals, atol=2e-3)


def _on_pixels(positions):
    activation = np.zeros((48, 48), dtype=np.float32)
    columns, rows = np.rint(positions).astype(int).T
    activation[rows, columns] = 1
    return activation
