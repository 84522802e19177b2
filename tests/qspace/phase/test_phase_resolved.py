"""rho_-(E) against explicit sums, and its deviation against the spread of simulated errors."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.phase.phase_resolved import SET_POINT, phase_resolved_signal
from qpi_core.qspace.regions import Ring

PITCH, SIZE = 0.25, 16
ENERGIES = np.array([-5.0, -4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
RING = Ring(3.0, 6.0)
OFFSETS = np.arange(SIZE) - SIZE // 2


def kernels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((len(ENERGIES), SIZE, SIZE))


def explicit(kernel: np.ndarray) -> float:
    total = 0.0
    for m in OFFSETS:
        for n in OFFSETS:
            qx, qy = 2 * np.pi * n / (SIZE * PITCH), 2 * np.pi * m / (SIZE * PITCH)
            if 3.0 <= np.hypot(qx, qy) <= 6.0:
                phase = qy * OFFSETS[:, None] * PITCH + qx * OFFSETS[None, :] * PITCH
                total += float(np.sum(kernel * np.cos(phase)))
    return total


def test_the_signal_is_the_double_sum_over_region_and_pixels():
    patterns = kernels()
    found = phase_resolved_signal(patterns, ENERGIES, PITCH, RING)
    np.testing.assert_array_equal(found.energy_mev, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(found.signal, [explicit(patterns[5 + i]) - explicit(patterns[4 - i]) for i in range(5)])
    assert not found.known_deviation and SET_POINT in found.caveats


def test_the_order_of_layers_does_not_matter_and_missing_ones_are_left_out():
    patterns = kernels()
    turned = phase_resolved_signal(patterns[::-1], ENERGIES[::-1], PITCH, RING)
    np.testing.assert_allclose(turned.signal, phase_resolved_signal(patterns, ENERGIES, PITCH, RING).signal)
    more = np.concatenate([patterns, np.full((1, SIZE, SIZE), np.nan)])
    np.testing.assert_allclose(phase_resolved_signal(more, [*ENERGIES, 0.5], PITCH, RING).signal, turned.signal)


def test_a_partner_between_two_layers_is_interpolated_and_one_beyond_them_is_not():
    patterns = np.concatenate([kernels(), kernels(1)[:2]])
    energies = np.concatenate([np.arange(-6.0, 0.0), np.arange(1.25, 7.0)])
    found = phase_resolved_signal(patterns, energies, PITCH, RING)
    np.testing.assert_allclose(found.energy_mev, [1.25, 2.25, 3.25, 4.25, 5.25])
    values = [explicit(one) for one in patterns]
    np.testing.assert_allclose(found.signal[0], values[6] - (0.75 * values[5] + 0.25 * values[4]))


@pytest.mark.parametrize("order", [None, 0])
def test_the_deviation_is_the_spread_of_errors_of_that_kind(order):
    rng = np.random.default_rng(1)
    radius = np.rint(np.hypot(OFFSETS[:, None], OFFSETS)).astype(int)
    sizes = 1.0 / (1.0 + radius)
    drawn = []
    for _ in range(400):
        errors = rng.standard_normal((10, SIZE, SIZE)) if order is None else rng.standard_normal((10, radius.max() + 1))[:, radius]
        drawn.append(phase_resolved_signal(sizes * errors, ENERGIES, PITCH, RING).signal)
    uncertain = np.broadcast_to(sizes, (10, SIZE, SIZE))
    found = phase_resolved_signal(kernels(), ENERGIES, PITCH, RING, uncertainties=uncertain, symmetry_orders=[order] * 10)
    assert found.known_deviation
    np.testing.assert_allclose(np.std(drawn, axis=0), found.deviation, rtol=0.12)


def test_bad_input_gets_a_sentence():
    with pytest.raises(InputError, match="only 0 positive energies"):
        phase_resolved_signal(kernels()[5:], ENERGIES[5:], PITCH, RING)
    with pytest.raises(InputError, match="symmetry_orders must hold 10"):
        phase_resolved_signal(kernels(), ENERGIES, PITCH, RING, symmetry_orders=[0])
    with pytest.raises(InputError, match="uncertainties must have the shape"):
        phase_resolved_signal(kernels(), ENERGIES, PITCH, RING, uncertainties=np.ones((3, 3)))
