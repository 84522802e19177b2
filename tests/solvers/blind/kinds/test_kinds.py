"""Several kinds at once: the joint solve against the single one and dense least squares, and lists put right by single changes."""

import numpy as np
import pytest

from qpi_core.solvers.blind.kinds.joint_kernels import evidence_of, solve_kinds, unexplained_by
from qpi_core.solvers.blind.kinds.kinds_polish import cut_kinds, kinds_with_amplitudes, kinds_with_flips
from qpi_core.solvers.blind.kinds.kinds_trust import doubt_about_kinds
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import scored
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

SIDE = 48
RNG = np.random.default_rng(8)


def pattern(x, y, wave, order):
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return np.cos(wave * radius) * (1 + 0.8 * (order > 0) * np.cos(order * angle)) * np.exp(-(radius**2) / 30)


def activation(places):
    found = np.zeros((SIDE, SIDE), dtype=np.float32)
    found[tuple(np.array(places).T)] = 1
    return found


y, x = np.mgrid[:SIDE, :SIDE]
PLACES = [[tuple(place) for place in RNG.choice(SIDE, (9, 2), replace=False)] for _ in range(2)]
CLEAN = sum(
    sum(pattern(x - column, y - row, wave, order) for row, column in places)
    for places, wave, order in zip(PLACES, (0.9, 1.7), (0, 4), strict=True)
)
LAYERS = prepare_layers((CLEAN + 0.2 * CLEAN.std() * RNG.standard_normal((SIDE, SIDE)))[None].astype(np.float32))
STEPS = [KernelStep(FilterBank(BankShape(order, 12.0, 1.0, 1, spot=True), LAYERS.shape), LAYERS) for order in (0, 4)]
TRUTH = solve_kinds([(step, activation(places)) for step, places in zip(STEPS, PLACES, strict=True)])


def test_one_kind_is_the_single_solve():
    (kind,) = solve_kinds([(STEPS[1], activation(PLACES[1]))])
    alone = scored(STEPS[1], activation(PLACES[1]))
    np.testing.assert_allclose(kind.fit.kernels, alone.fit.kernels, atol=1e-5 * np.abs(alone.fit.kernels).max())
    assert evidence_of((kind,)) == pytest.approx(alone.score)


def test_two_kinds_are_one_ridge_regression():
    designs = [step.design(activation(places)) for step, places in zip(STEPS, PLACES, strict=True)]
    rows = [np.concatenate([design.T @ step.widest_root for design, step in zip(designs, STEPS, strict=True)], axis=1)]
    count = rows[0].shape[1]
    rows.append(np.sqrt(TRUTH[0].fit.precisions[0]) * np.eye(count))
    values = np.concatenate([LAYERS.values.ravel(), np.zeros(count)])
    left = LAYERS.values.ravel() - rows[0] @ np.linalg.lstsq(np.concatenate(rows), values, rcond=None)[0]
    np.testing.assert_allclose(TRUTH[0].fit.residuals.ravel(), left, atol=1e-4)
    assert unexplained_by(TRUTH) == pytest.approx(np.mean(left**2) - LAYERS.noise[0], abs=1e-5)


def test_single_changes_put_lists_right_that_hold_two_defects_of_the_other_kind():
    swapped = [[*PLACES[0][:-2], *PLACES[1][:2]], [*PLACES[1][2:], (3, 40)]]
    begun = solve_kinds([(step, activation(places)) for step, places in zip(STEPS, swapped, strict=True)])
    assert evidence_of(begun) < evidence_of(TRUTH) - 100
    found = kinds_with_flips(begun, 8)
    assert [set(zip(*np.nonzero(kind.activation), strict=True)) for kind in found] == [set(places) for places in PLACES]


def test_amplitudes_find_what_is_missing():
    few = solve_kinds([(step, activation(places[:6])) for step, places in zip(STEPS, PLACES, strict=True)])
    found = cut_kinds(kinds_with_amplitudes(few, 4, 40, 3.0), 40)
    assert evidence_of(found) > evidence_of(few) + 100


def test_kinds_are_trusted_only_where_each_is_needed():
    assert doubt_about_kinds(TRUTH) is None
    few = solve_kinds([(step, activation(places[:5])) for step, places in zip(STEPS, PLACES, strict=True)])
    assert "%" in doubt_about_kinds(few)
    only = sum(pattern(x - column, y - row, 0.9, 0) for row, column in PLACES[0])
    layers = prepare_layers((only + 0.2 * only.std() * RNG.standard_normal((SIDE, SIDE)))[None].astype(np.float32))
    step = KernelStep(FilterBank(BankShape(0, 12.0, 1.0, 1, spot=True), layers.shape), layers)
    split = solve_kinds([(step, activation(PLACES[0][:4])), (step, activation(PLACES[0][4:]))])
    assert "two are the same" in doubt_about_kinds(split)
    assert "only 2 defects" in doubt_about_kinds(solve_kinds([(STEPS[0], activation(PLACES[0])), (STEPS[1], activation(PLACES[1][:2]))]))
