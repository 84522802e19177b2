"""Steps across a map and patterns that nothing explains, on maps that are made here."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.step_line import StepLine, find_step
from qpi_core.noise.unlisted_patterns import unlisted_patterns
from qpi_core.noise.whitening import Whitener

SHAPE = (40, 48)


def test_distance_columns_and_middle_follow_from_the_line() -> None:
    line = StepLine(0.0, 3.0)
    distance = line.distance(SHAPE)
    assert distance[7, 30] == pytest.approx(30 - 23.5 - 3.0) and line.middle(SHAPE) == pytest.approx((26.5, 19.5))
    turned = StepLine(np.pi / 2, -2.0).distance(SHAPE)
    assert turned[7, 30] == pytest.approx(7 - 19.5 + 2.0)
    columns = line.columns(SHAPE)
    assert np.allclose(columns, columns[:1]), "everything depends on the distance alone"
    near = np.abs(distance) < 20
    assert np.allclose(columns[..., 1:].sum(axis=-1)[near], 1.0)


@pytest.mark.parametrize("parameters", [StationaryParameters(), StationaryParameters(background=2.0, background_length=8.0)])
def test_a_step_is_found_where_it_is_and_none_where_there_is_none(parameters: StationaryParameters) -> None:
    rng = np.random.default_rng(8)
    measured = np.ones(SHAPE, dtype=bool)
    measured[3:6, 10:14] = False
    whitener = Whitener(measured, parameters)
    noise = np.where(measured, rng.normal(size=SHAPE), 0.0)
    assert find_step(whitener, noise, measured) is None
    truth = StepLine(1.1, 4.0)
    left = np.where(measured, noise + 1.0 * np.tanh(truth.distance(SHAPE) / 1.3), 0.0)
    found = find_step(whitener, left, measured)
    assert found is not None
    assert np.mean(np.sign(found.distance(SHAPE)) == np.sign(truth.distance(SHAPE))) > 0.97
    assert find_step(whitener, np.zeros(SHAPE), measured) is None


def test_a_pattern_is_found_near_its_place_and_none_in_noise() -> None:
    rng = np.random.default_rng(9)
    noise = rng.normal(size=SHAPE)
    assert not len(unlisted_patterns(noise)) and not len(unlisted_patterns(np.zeros(SHAPE)))
    y, x = np.indices(SHAPE)
    radii = np.hypot(x - 31, y - 17)
    places = unlisted_patterns(noise + 8 * np.cos(1.3 * radii) * np.exp(-((radii / 6) ** 2)))
    assert len(places) and np.hypot(*(places[0] - [31, 17])) < 2.0
