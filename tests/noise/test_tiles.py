"""Tiles of a large map, and the whitener that is made of them, against covariances that are written out."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.tiles import may_be_tiled, tiles_of
from qpi_core.noise.whitening import Whitener

SHAPE, ASPECT = (9, 14), (1.2, 0.9)
PARAMETERS = StationaryParameters(2.0, 2.5, 0.7, 1.3, 3.0)


def holes() -> np.ndarray:
    measured = np.ones(SHAPE, dtype=bool)
    measured[2, 3:6], measured[7, 12] = False, False
    return measured


def dense(measured: np.ndarray, tiles: tuple[tuple[slice, slice], ...], effects: np.ndarray, flat: float) -> np.ndarray:
    """Return the covariance of the measured pixels, with the constant as one more random effect of a large variance."""
    label = np.full(SHAPE, -1)
    for number, tile in enumerate(tiles):
        label[tile] = number
    y, x = (grid.ravel() for grid in np.indices(SHAPE))
    down, across = np.abs(np.subtract.outer(y, y)) * ASPECT[0], np.abs(np.subtract.outer(x, x)) * ASPECT[1]
    p = PARAMETERS
    matrix = p.background * np.exp(-(down**2 + across**2) / (2 * p.background_length**2))
    matrix = matrix + (down == 0) * (p.rows + p.streaks * np.exp(-across / p.streak_length))
    matrix = np.where(np.equal.outer(label.ravel(), label.ravel()), matrix, 0.0) + np.eye(y.size)
    columns = effects.reshape(y.size, -1)
    keep = measured.ravel()
    return (matrix + columns @ columns.T + flat)[np.ix_(keep, keep)]


@pytest.fixture
def effects() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(*SHAPE, 2))


def test_tiles_cover_what_was_measured_once_and_leave_the_rest_out() -> None:
    measured = np.zeros((300, 260), dtype=bool)
    measured[10:210, :256] = True
    measured[10:110, :128] = False
    seen = np.zeros(measured.shape, dtype=int)
    for tile in tiles_of(measured):
        assert max(seen[tile].shape) <= 128
        seen[tile] += 1
    assert (seen[measured] == 1).all() and seen.max() == 1
    assert not seen[10:110, :128].any() and not seen[210:].any()


def test_a_tile_with_too_many_gaps_cannot_be_modelled() -> None:
    measured = np.ones((200, 200), dtype=bool)
    assert may_be_tiled(measured)
    measured[:100, :60:2] = False
    assert not may_be_tiled(measured) and not may_be_tiled(np.zeros((200, 200), dtype=bool))


def test_the_whitener_of_two_tiles_has_the_dense_inverse_and_determinant(effects: np.ndarray) -> None:
    measured = holes()
    tiles = tiles_of(measured, 9)
    assert len(tiles) == 2
    whitener = Whitener(measured, PARAMETERS, (effects,), ASPECT, tiles)
    images = np.random.default_rng(5).normal(size=(*SHAPE, 3)) * measured[..., None]
    flat = images.reshape(-1, 3)
    keep = measured.ravel()
    matrix = dense(measured, tiles, effects, 1e7)
    expected = np.linalg.solve(matrix, flat[keep])
    white = whitener(flat)
    assert np.allclose(white.T @ white, flat[keep].T @ expected, atol=1e-5)
    assert np.allclose(whitener.precision(flat)[keep], expected, atol=1e-5)
    assert np.allclose(whitener.precision(flat)[~keep], 0.0, atol=1e-12)
    without = dense(measured, tiles, effects, 0.0)
    sums = np.ones(keep.sum()) @ np.linalg.solve(without, np.ones(keep.sum()))
    assert whitener.log_determinant == pytest.approx(np.linalg.slogdet(without)[1] + np.log(sums / keep.sum()), abs=1e-8)


def test_products_tile_by_tile_are_those_of_the_whitened_columns(effects: np.ndarray) -> None:
    measured = holes()
    whitener = Whitener(measured, PARAMETERS, (effects,), ASPECT, tiles_of(measured, 5))
    rng = np.random.default_rng(6)
    columns = rng.normal(size=(*SHAPE, 4)) * measured[..., None]
    values = (rng.normal(size=SHAPE) * measured).ravel()
    gram, projection, total, means = whitener.products(lambda tile: columns[tile].reshape(-1, 4), values)
    white, seen = whitener(columns.reshape(-1, 4)), whitener(values[:, None])[:, 0]
    assert np.allclose(gram, white.T @ white) and np.allclose(projection, white.T @ seen)
    assert total == pytest.approx(seen @ seen)
    assert np.allclose(means[:-1], whitener.means(columns.reshape(-1, 4))) and means[-1] == pytest.approx(
        whitener.means(values[:, None])[0]
    )


def test_one_tile_is_the_whole_map_to_the_last_bit(effects: np.ndarray) -> None:
    measured = holes()
    flat = np.random.default_rng(7).normal(size=(measured.size, 3)) * measured.reshape(-1, 1)
    whole = Whitener(measured, PARAMETERS, (effects,), ASPECT)
    tiled = Whitener(measured, PARAMETERS, (effects,), ASPECT, tiles_of(measured, 20))
    assert np.array_equal(whole(flat), tiled(flat)) and whole.log_determinant == tiled.log_determinant
