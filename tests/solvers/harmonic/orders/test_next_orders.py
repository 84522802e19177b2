"""Further angular orders by the evidence of all pixels."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.solvers.harmonic import model as harmonic_model
from qpi_core.solvers.harmonic.orders.next_orders import next_order
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.solvers.layers.lattice_patterns import lattice_pattern

SIDE, SIZE, DEFECTS = 150, 48, 50


@pytest.mark.parametrize(
    ("orders", "following"), [((0,), None), ((0, 4), 8), ((0, 3, 6), 9), ((0, 4, 8, 12), 16), ((0, 6, 12, 18, 24), None)]
)
def test_the_next_order_is_that_of_the_symmetry(orders, following):
    assert next_order(orders) == following


@pytest.mark.slow
def test_all_pixels_show_an_order_that_the_selection_did_not_see(monkeypatch):
    """On a third of the pixels, noise 1.2 times as strong as the signal, order 16 does not show; without it the kernel is worse."""
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, SIDE - 1, (DEFECTS, 2))
    clean = superpose(lattice_pattern(), positions, (SIDE, SIDE), 1.0)
    noisy = (clean + 1.2 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    offsets = np.arange(SIZE - 1) - SIZE // 2 + 1
    truth = lattice_pattern()(*np.meshgrid(offsets, offsets))
    problem, weights = HarmonicProblem(noisy, SIZE, None), np.ones(DEFECTS)

    def solved():
        from qpi_core.solvers.harmonic.posterior.kernel import Renderer

        found = problem.fit(positions, weights, problem.start(positions, weights))
        window = Renderer(found.frame.grid(SIZE - 1), found.splines, found.fit.hyperparameters.orders)
        return found, float(np.sqrt(np.mean((window(found.fit.evidence.profiles) - truth) ** 2)))

    longer, error = solved()
    monkeypatch.setattr(harmonic_model, "with_next_orders", lambda equations_of, equations, nodes, fit, floor: (equations, fit))
    shorter, before = solved()
    assert longer.fit.hyperparameters.orders == (*shorter.fit.hyperparameters.orders, 16)
    assert error < 0.8 * before
