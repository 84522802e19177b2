"""Whether one pattern is all that a map holds: against averages over rings that are written out."""

import numpy as np
import pytest

from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.single_pattern import best_single_pattern, is_single_pattern


def waves(places, shape, order):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    total = np.zeros(shape)
    for px, py in places:
        radius = np.hypot(x - px, y - py)
        total += np.cos(0.9 * radius) * np.exp(-radius / 9) * (1 + np.cos(order * np.arctan2(y - py, x - px)))
    return total


@pytest.mark.parametrize("order", [0, 3, 4])
@pytest.mark.parametrize("places", [[(17, 22)], [(17, 22), (38, 9)], [(8, 9), (30, 33), (38, 7), (12, 36)]])
def test_one_defect_is_told_from_several(order, places):
    noise = 0.1 * np.random.default_rng(1).standard_normal((46, 44))
    clean = waves(places, (46, 44), order)
    found = is_single_pattern(prepare_layers((clean + clean.std() * noise)[None].astype(np.float32)))
    assert (found is not None) == (len(places) == 1)
    assert found is None or "x = 17 px, y = 22 px" in found


def test_noise_is_no_pattern():
    assert is_single_pattern(prepare_layers(np.random.default_rng(2).standard_normal((1, 48, 48)).astype(np.float32))) is None


def test_the_share_is_that_of_the_means_over_the_rings():
    rng = np.random.default_rng(3)
    measured = np.ones((26, 30), dtype=bool)
    measured[3:6, 8:12] = False
    layer = (waves([(11, 14)], (26, 30), 0) + 0.01 * rng.standard_normal((26, 30))) * measured
    layer /= layer[measured].std()
    share, row, column = best_single_pattern(layer.astype(np.float32), measured)
    assert (row, column) == (14, 11)
    y, x = np.mgrid[:26, :30]
    ring = np.rint(np.hypot(x - 11, y - 14) / 0.75).astype(int)
    explained = 0.0
    for number in range(int(29 / 0.75) + 1):
        own = measured & (ring == number)
        if own.any():
            explained += own.sum() * layer[own].mean() ** 2 - 1
    # Orders above 0 explain a little of the noise beyond their chance.
    assert explained / measured.sum() - 0.01 <= share <= explained / measured.sum() + 0.1
