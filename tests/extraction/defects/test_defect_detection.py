"""Defects of a map whose kernel is not known: what repeats itself is found where no spot is, and spots where nothing repeats."""

import numpy as np
import pytest

from qpi_core import InputError, find_defects
from qpi_core.maps import find_spots
from qpi_core.solvers.blind.layers import clearest_layers
from qpi_core.synthesis.simulated_maps.scenes import draw_scene

SCENE = draw_scene(91, 3, 0.1, count=14)
NOISE = np.random.default_rng(3).standard_normal((32, 32))


def shares(found, truth):
    """Return recall and precision within 1 px."""
    apart = np.hypot(*(truth[:, None] - found).transpose(2, 0, 1))
    return float((apart.min(axis=1) <= 1).mean()), float((apart.min(axis=0) <= 1).mean())


@pytest.mark.slow
def test_what_repeats_is_found_in_units_of_any_size():
    told = []
    found = find_defects(1e-12 * SCENE.observation + 5e-12, report=lambda share, words: told.append(share))
    assert shares(found, SCENE.positions) == (1.0, 1.0)
    assert told and all(0 <= share <= 1 for share in told)


def test_where_nothing_repeats_spots_are_proposed():
    y, x = np.mgrid[:32, :32]
    spot = np.exp(-((x - 11) ** 2 + (y - 20) ** 2) / 8) + 0.01 * NOISE
    np.testing.assert_array_equal(find_defects(spot), find_spots(spot))
    assert find_defects(spot, pattern="repeated").shape == (0, 2)
    np.testing.assert_array_equal(find_defects(spot, polarity="dark"), find_spots(spot, polarity="dark"))
    np.testing.assert_array_equal(find_defects(spot[:20]), find_spots(spot[:20]))


@pytest.mark.slow
def test_one_list_serves_a_stack_with_an_empty_energy(monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.defects.defect_detection._MOST_LAYERS", 2)
    stack = np.stack([SCENE.observation, np.full((64, 64), 3.0), -2 * SCENE.observation, SCENE.observation + 9])
    assert shares(find_defects(stack), SCENE.positions) == (1.0, 1.0)


def test_the_clearest_layers_are_one_of_each_span():
    noise = np.random.default_rng(0).standard_normal((5, 32, 32))
    y, x = np.mgrid[:32, :32]
    stack = (np.cos(0.6 * x + 0.4 * y) + np.array([1.0, 0.1, 3.0, 0.2, 0.5])[:, None, None] * noise).astype(np.float32)
    np.testing.assert_array_equal(clearest_layers(1e3 * stack + 7e3, 2), 1e3 * stack[[1, 3]] + 7e3)
    assert clearest_layers(stack, 5) is stack


def test_a_constant_map_has_no_defects():
    assert find_defects(np.full((30, 30), 2.0)).shape == (0, 2)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"pattern": "stars"}, "pattern must be one of 'auto', 'repeated', 'spots', 'waves'"),
        ({"time_limit_s": 0}, "time_limit_s must be"),
        ({"sensitivity": 1.5}, "sensitivity must be"),
        ({"observation": NOISE[:20], "pattern": "repeated"}, "observation cannot be searched for what repeats itself"),
        ({"observation": np.zeros((400, 400)), "pattern": "repeated"}, "Crop or resample"),
        ({"polarity": "red"}, "polarity must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        find_defects(**{"observation": NOISE, **arguments})
