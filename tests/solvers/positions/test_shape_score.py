"""The kernel is suspected before the list: a score test against its definition, and what it leads to."""

import numpy as np
import pytest

from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS, start_harmonics
from qpi_core.solvers.positions.catalogue import selection
from qpi_core.solvers.positions.catalogue.selection import fit_with_list
from qpi_core.solvers.positions.shape_score import shape_evidence
from qpi_core.synthesis.simulated_maps.scenes import superpose

SHAPE, SIZE = (44, 48), 24


def asymmetric(dx, dy):
    wave = np.exp(-(dx**2 + dy**2) / 40) * np.cos(0.8 * dx + 0.2 * dy)
    return wave + 0.5 * np.exp(-((dx - 4) ** 2 + (dy - 1) ** 2) / 6)


def fourfold(dx, dy):
    r, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    return np.cos(2 * turn + 0.4) ** 2 * np.cos(0.6 * r + 0.5) ** 2 * np.exp(-0.01 * r**2)


def scene(pattern, error_px=0.0, count=16):
    rng = np.random.default_rng(5)
    positions = rng.uniform(2, 42, (count, 2))
    clean = superpose(pattern, positions, SHAPE, 1.0)
    observation = (clean + 0.1 * clean.std() * rng.standard_normal(SHAPE)).astype(np.float32)
    return observation, np.clip(positions + rng.normal(0, error_px, positions.shape), 0, 43)


def test_evidence_is_that_of_a_dense_covariance_over_the_pixels():
    observation, positions = scene(asymmetric, count=5)
    start = start_harmonics(observation, positions, SIZE, np.ones(5))
    fit = start.selection.best
    deviation = np.sqrt(fit.evidence.variance)
    radial = fit.hyperparameters.radial
    free = type(radial)(radial.log_decay, min(radial.log_coherence, np.log(4)), radial.wavenumbers, radial.logits, radial.log_power)
    factor = np.abs(fit.evidence.profiles).max() / deviation * low_rank_factor(free.covariance(start.splines.nodes))
    columns = start.design.prior_columns(SYMMETRY_ORDERS, np.eye(11), factor)
    residual = start.design.residual(fit.hyperparameters.orders, fit.evidence.profiles) / deviation
    covariance = np.eye(residual.size) + columns @ columns.T
    expected = 0.5 * (residual @ residual - residual @ np.linalg.solve(covariance, residual)) - 0.5 * np.linalg.slogdet(covariance)[1]
    assert shape_evidence(start) == pytest.approx(expected, rel=0.02, abs=1.0)


def test_a_kernel_without_symmetry_promises_more_than_wrong_clicks_do():
    shaped, moved = scene(asymmetric), scene(fourfold, 0.7)
    found = [shape_evidence(start_harmonics(*given, SIZE, np.ones(16))) for given in (shaped, moved)]
    assert found[0] > 300 > 100 > found[1]


@pytest.mark.slow
def test_a_right_list_of_a_kernel_without_symmetry_is_not_repaired(monkeypatch):
    def refuse(*_):
        raise AssertionError("the kernel explains all of the map")

    monkeypatch.setattr(selection, "repair_list", refuse)
    observation, positions = scene(asymmetric)
    (listed,) = fit_with_list(observation, positions, SIZE, np.ones(16), None)
    assert listed.repair is None and listed.positions is positions
