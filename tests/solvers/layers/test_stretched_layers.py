"""Stretched kernels in stacks: one stretch for all layers where they agree, one a layer where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.stretch import Stretch
from qpi_core.solvers.layers.one_layer.layer_stretch import LayerStretch, StackStretch, common_stretch
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.layers.shared_solver import SharedSolver
from tests.solvers.harmonic.stretched_patterns import noisy_map, on_window, stretched_pattern

SIZE, SHAPE = 20, (38, 40)


def test_the_common_stretch_is_the_mean_of_measurements_with_gaussian_errors():
    rng = np.random.default_rng(0)
    roots = [rng.standard_normal((2, 2)) for _ in range(3)]
    found = [Stretch(rng.standard_normal(2), root @ root.T, np.zeros((2, 1, 1))) for root in roots]
    common = common_stretch(found)
    # Weighted least squares on all measurements at once.
    design = np.concatenate([np.linalg.inv(np.linalg.cholesky(one.covariance)) for one in found])
    values = np.concatenate([np.linalg.inv(np.linalg.cholesky(one.covariance)) @ one.numbers for one in found])
    np.testing.assert_allclose(common.numbers, np.linalg.lstsq(design, values, rcond=None)[0], atol=1e-12)
    np.testing.assert_allclose(common.covariance, np.linalg.inv(design.T @ design), atol=1e-12)


def test_between_and_beyond_the_layers_that_know_it_the_stretch_goes_straight_on():
    ends = [LayerStretch(np.array([0.1, 0.0]), np.eye(2)), LayerStretch(np.array([0.2, 0.1]), 3 * np.eye(2))]
    whole = StackStretch((2, 6), tuple(ends))
    np.testing.assert_allclose(whole.at(3).numbers, [0.125, 0.025])
    np.testing.assert_allclose(whole.at(3).covariance, 1.5 * np.eye(2))
    np.testing.assert_allclose(whole.at(0).numbers, [0.05, -0.05])
    np.testing.assert_allclose(whole.at(6).numbers, ends[1].numbers)
    assert not whole.is_shared and StackStretch((2,), (ends[0],)).at(9) is ends[0]


def solved(stretch_of_layer):
    """Solve a stack of three layers and return the solver, its answers and the true kernels."""
    rng = np.random.default_rng(5)
    points = rng.uniform(0, 1, (12, 2)) * [SHAPE[1] - 1, SHAPE[0] - 1]
    kernels = [stretched_pattern(4, stretch_of_layer(layer), 0.4 + 0.06 * layer) for layer in range(3)]
    stack = np.stack([noisy_map([kernel], [points], SHAPE, 0.2, rng) for kernel in kernels])
    problem = StackProblem(stack, (DefectClass(points, np.ones(12)),), SIZE, None, "white")
    solver = SharedSolver(problem, False)
    answers = {index: one[0] for index, one in solver.solve([0, 1, 2])}
    return answers, [on_window(kernel, SIZE) for kernel in kernels]


@pytest.mark.slow
@pytest.mark.parametrize("growing", [False, True])
def test_layers_are_solved_in_stretched_coordinates(growing):
    def numbers(layer):
        return np.array([0.07, 0.04]) + (np.array([0.06, -0.03]) * layer if growing else 0.0)

    answers, truth = solved(numbers)
    ratios = [answers[layer].parameters["stretch_ratio"] for layer in range(3)]
    assert (len(set(ratios)) == 1) is not growing
    for layer, (ratio, deviation) in enumerate(ratios):
        assert abs(ratio - np.exp(2 * np.hypot(*numbers(layer)))) < 4 * deviation < 0.1
        kernel, uncertainty = answers[layer].kernel, answers[layer].uncertainty
        assert np.sqrt(np.mean((kernel - truth[layer]) ** 2)) < 0.012
        assert np.mean(np.abs(kernel - truth[layer]) < 1.96 * uncertainty) > 0.7
        assert answers[layer].symmetry_order == 2
        assert any("times as long along" in sentence for sentence in answers[layer].warnings)
