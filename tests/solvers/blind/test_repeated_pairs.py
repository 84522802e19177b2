"""Lists in which every defect stands as a pair with one offset."""

import numpy as np

from qpi_core.solvers.blind.finish import Finding, from_middles
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.points.repeated_pairs import as_one, common_pairs
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

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


def test_halves_among_false_places_lead_to_the_whole_kernel():
    rng, shape, half_px = np.random.default_rng(4), (72, 72), np.array([1.0, 4.0])
    truth = rng.permutation(np.stack(np.meshgrid(range(10, 66, 13), range(10, 66, 13)), axis=-1).reshape(-1, 2))[:10].astype(float)
    ends = np.concatenate([truth + half_px, truth - half_px])
    y, x = np.mgrid[: shape[0], : shape[1]]
    apart = np.hypot(x - ends[:, 0, None, None], y - ends[:, 1, None, None])
    image = (np.cos(1.2 * apart) * np.exp(-(apart**2) / 40)).sum(axis=0)
    layers = prepare_layers((image + 0.02 * rng.standard_normal(shape))[None].astype(np.float32))
    simple, rich = (KernelStep(FilterBank(BankShape(2, 14.0, 1.0, orders, spot=True), shape), layers) for orders in (1, 3))
    listed = np.concatenate([ends, rng.uniform(4, 68, (9, 2))])
    fit = simple.solve_at(listed, np.ones(len(listed)))
    begun = Finding(simple, listed, np.ones(len(listed)), np.zeros(len(listed)), fit, fit.log_likelihood)
    found = from_middles(begun, rich, 60)
    assert found.evidence > begun.evidence and found.unexplained < begun.unexplained / 10
    assert len(found.positions) == 10 and np.hypot(*(found.positions[:, None] - truth).transpose(2, 0, 1)).min(axis=1).max() < 0.3
    alone = Finding(simple, truth, np.ones(10), np.zeros(10), simple.solve_at(truth, np.ones(10)), 0.0)
    assert from_middles(alone, rich, 60) is alone, "no offset is common: nothing is tried"
