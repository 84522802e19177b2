"""The covariance that is never written out against the one that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters

SHAPE, ASPECT = (7, 9), (1.2, 0.9)
CASES = [
    StationaryParameters(2.0, 2.5, 0.7, 1.3, 3.0),
    StationaryParameters(background=30.0, background_length=6.0),
    StationaryParameters(rows=0.4),
    StationaryParameters(streaks=2.0, streak_length=1.5),
    StationaryParameters(),
]


def dense(parameters: StationaryParameters) -> np.ndarray:
    y, x = (grid.ravel() for grid in np.indices(SHAPE))
    down, across = np.abs(np.subtract.outer(y, y)) * ASPECT[0], np.abs(np.subtract.outer(x, x)) * ASPECT[1]
    p = parameters
    smooth = p.background * np.exp(-(down**2 + across**2) / (2 * p.background_length**2))
    return np.eye(y.size) + smooth + (down == 0) * (p.rows + p.streaks * np.exp(-across / p.streak_length))


@pytest.mark.parametrize("parameters", CASES)
def test_solving_and_root_and_determinant_are_those_of_the_written_matrix(parameters: StationaryParameters) -> None:
    images = np.random.default_rng(0).normal(size=(*SHAPE, 3))
    covariance, matrix = StationaryCovariance(SHAPE, parameters, ASPECT), dense(parameters)
    flat = images.reshape(-1, 3)
    expected = np.linalg.solve(matrix, flat)
    assert np.allclose(covariance.solve(images).reshape(-1, 3), expected, atol=1e-10)
    assert np.allclose(covariance.whiten(covariance.whiten(images)).reshape(-1, 3), expected, atol=1e-10)
    assert covariance.log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-9)


@pytest.mark.parametrize("parameters", CASES[:1])
def test_parts_add_up_to_the_matrix(parameters: StationaryParameters) -> None:
    images = np.random.default_rng(1).normal(size=(*SHAPE, 2))
    covariance = StationaryCovariance(SHAPE, parameters, ASPECT)
    total = images + sum(covariance.part(name, images) for name in ("background", "rows", "streaks"))
    assert np.allclose(total.reshape(-1, 2), dense(parameters) @ images.reshape(-1, 2))


def test_derivatives_are_those_of_the_written_matrix() -> None:
    parameters, step = CASES[0], 1e-5
    images = np.random.default_rng(2).normal(size=(*SHAPE, 3))
    flat = images.reshape(-1, 3)
    covariance, matrix = StationaryCovariance(SHAPE, parameters, ASPECT), dense(parameters)
    traces, forms = covariance.traces(), covariance.quadratic_forms(images)
    for index, name in enumerate(StationaryParameters.names()):
        value = getattr(parameters, name)
        sides = [dense(replace(parameters, **{name: value * np.exp(sign * step)})) for sign in (1, -1)]
        slope = (sides[0] - sides[1]) / (2 * step)
        assert traces[index] == pytest.approx(float(np.trace(np.linalg.solve(matrix, slope))), abs=1e-6)
        assert forms[index] == pytest.approx(float(np.sum(flat * (slope @ flat))), rel=1e-6)
