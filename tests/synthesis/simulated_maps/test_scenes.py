"""Scenes against an explicit sum over defects."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import activation_map, draw_positions, draw_scene, simulate_observation

PARAMETERS = KernelParameters(4, 0.3, 3.0, 0.5, 0.2)


def explicit(positions, shape, pitch):
    out = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            for x, y in positions:
                dx, dy = (column - x) * pitch[1], (row - y) * pitch[0]
                r, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
                out[row, column] += np.sin(2 * theta + 0.3) ** 2 * np.sin(3 * r + 0.5) ** 2 * np.exp(-0.2 * r * r)
    return out


@pytest.mark.parametrize("on_grid", [True, False])
def test_observation_equals_the_explicit_sum(on_grid):
    positions = draw_positions(np.random.default_rng(0), 8, (11, 17), on_grid)
    observation = simulate_observation(PARAMETERS, positions, (11, 17), (0.15, 0.2))
    np.testing.assert_allclose(observation, explicit(positions, (11, 17), (0.15, 0.2)), atol=1e-5)


def test_noise_has_the_asked_size_and_follows_the_generator():
    positions = [[10, 10]]
    clean = simulate_observation(PARAMETERS, positions, (80, 80))
    noisy = simulate_observation(PARAMETERS, positions, (80, 80), noise_sigma=0.3, rng=np.random.default_rng(1))
    again = simulate_observation(PARAMETERS.as_dict(), positions, (80, 80), noise_sigma=0.3, rng=1)
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.05)
    np.testing.assert_array_equal(noisy, again)


def test_activation_map_counts_defects_in_x_and_y():
    counts = activation_map([[2.0, 1.0], [2.2, 0.9], [5.4, 3.0]], (4, 6))
    assert counts[1, 2] == 2 and counts[3, 5] == 1 and counts.sum() == 3


def test_scene_depends_on_seed_and_index_alone():
    one, other = draw_scene(9, 3, 0.2), draw_scene(9, 3, 0.2)
    np.testing.assert_array_equal(one.observation, other.observation)
    assert draw_scene(9, 8, 0.2).parameters.symmetry_order == SYMMETRY_ORDERS[8 % 5]
    assert one.noise_sigma == pytest.approx(0.2 * one.clean.std())
    np.testing.assert_allclose(draw_scene(9, 3, 1.0).clean, one.clean)


def test_positions_on_the_grid_are_distinct_pixels():
    drawn = draw_positions(np.random.default_rng(0), 60, (8, 8))
    assert len(np.unique(drawn, axis=0)) == 60 and (drawn == drawn.astype(int)).all() and drawn.max() <= 7


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"positions": []}, "position"),
        ({"positions": [[99, 2]]}, "position"),
        ({"shape": (0, 5)}, "shape"),
        ({"shape": (10**6, 10**6)}, "shape"),
        ({"noise_sigma": -1}, "noise_sigma"),
        ({"kernel_parameters": 3}, "kernel_parameters"),
    ],
)
def test_bad_arguments_get_a_sentence(change, word):
    arguments = {"kernel_parameters": PARAMETERS, "positions": [[1, 1]], "shape": (9, 9)} | change
    with pytest.raises(InputError, match=word):
        simulate_observation(**arguments)
