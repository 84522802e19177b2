"""Kernels that lost their symmetry: what is left of it is what they say, and each kind is what its formula says."""

import numpy as np
import pytest

from qpi_core.base.grid import kernel_coordinates
from qpi_core.synthesis.kernel_families.uneven_patterns import KINDS, MAX_DRIFT, draw_uneven_pattern
from qpi_core.training.data.streams import KernelShares, draw_pattern, kernel_batch

X, Y = kernel_coordinates(64, 10 / 64)
X, Y = X + 5 / 64, Y + 5 / 64
"""Pixels around the defect, none on it: an angle is not defined there."""


def turned(pattern, angle):
    return pattern(np.cos(angle) * X - np.sin(angle) * Y, np.sin(angle) * X + np.cos(angle) * Y)


def similarity(one, other):
    return float(np.vdot(one, other) / np.sqrt(np.vdot(one, one) * np.vdot(other, other)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_the_symmetry_that_is_left_is_the_one_that_it_names(kind, seed):
    pattern = draw_uneven_pattern(np.random.default_rng([seed, 1]), kind)
    values = pattern(X, Y)
    assert pattern.kind == kind and np.isfinite(values).all() and np.abs(values).max() > 1e-3
    order = pattern.symmetry_order
    angle = np.pi / 2 if order == 0 else 2 * np.pi / order
    assert similarity(values, turned(pattern, angle)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("kind", ["one-sided", "edge"])
def test_half_of_the_kernel_differs_from_the_other(kind):
    found = []
    for seed in range(20):
        pattern = draw_uneven_pattern(np.random.default_rng([seed, 2]), kind)
        found.append(similarity(pattern(X, Y), turned(pattern, np.pi)))
    assert np.median(found) < 0.8, "not the inversion symmetry that most kernels have"


def test_drift_stretches_and_does_not_move():
    for seed in range(10):
        rng = np.random.default_rng([seed, 3])
        pattern = draw_uneven_pattern(rng, "drifted")
        if pattern.symmetry_order == 2:
            assert np.abs(pattern(X, Y) - pattern(-X, -Y)).max() < 1e-9 * np.abs(pattern(X, Y)).max()
    assert np.linalg.det(np.eye(2) - MAX_DRIFT) > 0.5, "an orientation is never inverted"


def test_the_stream_draws_its_share():
    shares = KernelShares(equation_7=0.4, uneven=0.5)
    drawn = [draw_pattern(np.random.default_rng([9, index]), shares).source for index in range(300)]
    kinds = [source.kind for source in drawn if hasattr(source, "kind")]
    assert len(kinds) / 300 == pytest.approx(0.5, abs=0.09) and set(kinds) == set(KINDS)
    kernels, orders = kernel_batch(9, 0, 40, shares)
    assert float(kernels.abs().amax()) == 1.0 and set(orders.tolist()) <= {0, 1, 2, 3, 4, 6}
