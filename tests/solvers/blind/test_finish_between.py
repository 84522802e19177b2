"""Activation maps with amplitudes that lead straight to defects between the pixels, with the symmetry chosen anew."""

from functools import cache

import numpy as np
import pytest

from qpi_core.solvers.blind.finish_between import RICH, finish_between
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.points.amplitude_points import amplitude_points
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import Candidate
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

SHAPE = (72, 72)
GRID = np.stack(np.meshgrid(range(10, 66, 13), range(10, 66, 13)), axis=-1).reshape(-1, 2)
TRUTH = np.random.default_rng(4).permutation(GRID)[:10] + np.random.default_rng(5).uniform(-0.5, 0.5, (10, 2))


def spread(positions, weights):
    """Return an activation map with each weight on the four pixels around its place, in proportion to how close they are."""
    activation = np.zeros(SHAPE, dtype=np.float32)
    for (x, y), weight in zip(positions, weights, strict=True):
        left, top = int(np.floor(x)), int(np.floor(y))
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            if 0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]:
                activation[row, column] += weight * (1 - abs(x - column)) * (1 - abs(y - row))
    return activation


def three_petals(seed):
    """Return layers of a map whose kernel has angular orders 0, 3 and 6 about TRUTH, and noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    across, down = x - TRUTH[:, 0, None, None], y - TRUTH[:, 1, None, None]
    radius, angle = np.hypot(across, down), np.arctan2(down, across)
    petals = 0.3 + np.cos(3 * angle) * np.tanh(radius / 3) ** 3 + 0.8 * np.sin(6 * angle) * np.tanh(radius / 4) ** 6
    image = (petals * np.cos(1.1 * radius) * np.exp(-(radius**2) / 40)).sum(axis=0)
    return prepare_layers((image + 0.02 * np.random.default_rng(seed).standard_normal(SHAPE))[None].astype(np.float32))


def test_points_are_the_middles_of_amplitudes():
    places, sizes = np.array([[10.3, 20.8], [40.0, 30.4], [60.75, 8.1]]), np.array([1.0, 1.4, 0.6])
    positions, weights = amplitude_points(spread(places, sizes))
    found = [int(np.argmin(np.hypot(*(positions - place).T))) for place in places]
    np.testing.assert_allclose(positions[found], places, atol=1e-3)
    np.testing.assert_allclose(weights[found], sizes / sizes.mean(), rtol=1e-4)


def test_a_point_at_the_border_is_no_further_in_than_its_amplitude():
    positions, _ = amplitude_points(spread([[0.0, 71.0], [30.0, 30.0]], [1.0, 1.0]))
    assert np.hypot(*(positions - [0.0, 71.0]).T).min() < 1e-6


def test_faint_amplitudes_are_no_points():
    positions, _ = amplitude_points(spread([*TRUTH, [2.0, 2.0]], [1.0] * 10 + [0.1]))
    assert len(positions) == 10
    assert len(amplitude_points(np.zeros(SHAPE, np.float32))[0]) == 0


@pytest.mark.parametrize("begun_with", [2])
def test_the_symmetry_is_chosen_where_the_amplitudes_are(begun_with):
    layers = three_petals(0)

    @cache
    def step(order, multiples):
        return KernelStep(FilterBank(BankShape(order, 14.0, 1.0, multiples, spot=True), SHAPE), layers)

    activation = spread([*(TRUTH + 0.2), [3.0, 68.0]], [1.0] * 10 + [0.5])
    candidate = Candidate(step(begun_with, 1), activation, step(begun_with, 1).solve(activation), -np.inf)
    assert np.mean(step(begun_with, RICH).solve_at(TRUTH, np.ones(10)).variances - layers.noise) > 0.05
    found = finish_between(candidate, (0, 2, 3, 4), step)
    assert found.symmetry_order == 3 and len(found.positions) == 10
    assert np.hypot(*(TRUTH[:, None] - found.positions).transpose(2, 0, 1)).min(axis=1).max() < 0.1


def test_wrong_places_lead_to_nothing():
    layers = three_petals(1)

    @cache
    def step(order, multiples):
        return KernelStep(FilterBank(BankShape(order, 14.0, 1.0, multiples, spot=True), SHAPE), layers)

    activation = spread(np.random.default_rng(9).uniform(4, 68, (10, 2)), np.ones(10))
    assert finish_between(Candidate(step(3, 1), activation, step(3, 1).solve(activation), -np.inf), (0, 3), step) is None
