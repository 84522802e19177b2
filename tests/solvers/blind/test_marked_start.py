"""Starts from marked defects: what two marks lead to is the kernel, from which the others are found."""

import numpy as np

from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.polish import with_amplitudes
from qpi_core.solvers.blind.search import BlindSearch, SearchRule
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.marked_start import marked_starts

PLACES = np.array([[9.0, 11.0], [37.0, 33.0], [30.0, 8.0], [12.0, 38.0], [22.0, 22.0], [40.0, 18.0], [8.0, 25.0]])


def layers():
    y, x = np.mgrid[:48, :48].astype(float)
    clean = sum(np.cos(0.9 * np.hypot(x - px, y - py)) * np.exp(-np.hypot(x - px, y - py) / 6) for px, py in PLACES)
    return prepare_layers((clean + 0.05 * np.random.default_rng(2).standard_normal((48, 48)))[None].astype(np.float32))


def step_of(order, seen):
    return KernelStep(FilterBank(BankShape(order, 26.0, 1.0, 1, spot=True), seen.shape), seen)


def test_two_marks_lead_to_the_other_defects():
    seen = layers()
    drawn = list(marked_starts([step_of(order, seen) for order in (0, 4)], PLACES[:2]))
    assert {candidate.symmetry_order for candidate in drawn} == {0, 4}
    assert all(1 <= candidate.activation.sum() <= 2 for candidate in drawn)
    amplitudes = with_amplitudes(drawn[0], 3, 25, 3.0).activation
    columns, rows = PLACES.astype(int).T
    assert amplitudes[rows, columns].min() > 0.5
    # Nothing so strong lies anywhere else but on neighbours of a defect.
    y, x = np.mgrid[:48, :48]
    apart = np.hypot(*(np.stack([x, y], axis=-1)[..., None, :] - PLACES).transpose(3, 0, 1, 2)).min(axis=2)
    assert amplitudes[apart > 2].max() < amplitudes[rows, columns].min()


def test_marks_a_pixel_off_are_where_the_search_starts():
    seen = layers()
    rule = SearchRule(kernel_radius=26.0, orders=(0,), most_rounds=1, marks=PLACES[:3] + [[1, 0], [0, -1], [-1, 1]])
    told = []
    found = BlindSearch(seen, rule, lambda finding: True, lambda share, words: told.append(words)).run()
    assert "best of 2 starts" in told[1]
    apart = np.hypot(*(PLACES[:, None] - found[0].positions).transpose(2, 0, 1))
    assert apart.shape == (7, 7) and apart.min(axis=1).max() < 0.2
