"""Lists in which every defect stands as a pair with one offset."""

import numpy as np

from qpi_core.solvers.blind.points.repeated_pairs import as_one, common_pairs

PLACES = np.random.default_rng(2).uniform(0, 100, (20, 2))


def test_pairs_with_one_offset_are_found_whichever_end_comes_first():
    rng = np.random.default_rng(0)
    ends = np.concatenate([PLACES + [1.3, 0.7], PLACES - [1.3, 0.7], [[3.0, 50.0]]]) + 0.05 * rng.standard_normal((41, 2))
    order = rng.permutation(41)
    pairs = common_pairs(ends[order], 10_000)
    assert len(pairs) == 20 and len(set(pairs.ravel())) == 40
    positions, weights = as_one(ends[order], np.ones(41), pairs)
    assert len(positions) == 21 and abs(weights.mean() - 1) < 1e-12 and weights.min() < weights.max() / 1.9
    assert np.hypot(*(positions[:20, None] - PLACES).transpose(2, 0, 1)).min(axis=1).max() < 0.2


def test_places_at_random_have_no_common_offset():
    assert len(common_pairs(PLACES, 10_000)) == 0
    assert len(common_pairs(np.random.default_rng(1).uniform(0, 64, (100, 2)), 64 * 64)) == 0
    assert len(common_pairs(PLACES[:2], 10_000)) == 0 and len(common_pairs(np.zeros((0, 2)), 100)) == 0
