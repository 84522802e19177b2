"""Warnings against hand-made maps that have, or do not have, the fault in question."""

import numpy as np
import pytest

from qpi_core.diagnostics.identifiability import coverage, neighbour_correlation, warn_about_fit, warn_about_input

NOISE = np.random.default_rng(0).normal(size=(60, 70)).astype(np.float32)
SPREAD = np.array([[x, y] for x in (10.0, 30.0, 50.0) for y in (10.0, 30.0, 50.0)])


def test_a_good_map_gets_no_warning():
    assert warn_about_input(NOISE, SPREAD, 16) == []


def test_one_defect():
    assert "Only one defect" in warn_about_input(NOISE, np.array([[30.0, 30.0]]), 16)[0]


def test_two_defects_at_one_place_are_named():
    (sentence,) = warn_about_input(NOISE, np.vstack([SPREAD, [[30.3, 10.3]]]), 16)
    assert "1 pair of defects" in sentence and "x = 30.0 px, y = 10.0 px" in sentence
    assert warn_about_input(NOISE, np.vstack([SPREAD, [[30.4, 10.4]]]), 16) == []


def test_unmeasured_pixels_and_defects_on_them():
    gap = NOISE.copy()
    gap[45:] = np.nan
    sentences = warn_about_input(gap, SPREAD, 16)
    assert any("3 of 9 defects" in sentence for sentence in sentences)
    assert any(sentence.startswith("25.0 %") for sentence in sentences)


def test_coverage_equals_an_explicit_count():
    positions = np.array([[0.0, 0.0], [6.4, 3.0], [9.0, 7.6]])
    seen = coverage(positions, (8, 10), 5)
    for row in range(5):
        for column in range(5):
            x = np.rint(positions[:, 0]) + column - 2
            y = np.rint(positions[:, 1]) + row - 2
            assert seen[row, column] == np.sum((x >= 0) & (x < 10) & (y >= 0) & (y < 8))


def test_kernel_pixels_that_no_defect_shows():
    (edge, *_) = [s for s in warn_about_input(NOISE, np.array([[2.0, 30.0], [3.0, 31.0]]), 32) if "outside the map" in s]
    # The nearest column to the left edge that is missing: offsets -16 ... -4 of 32.
    assert edge.startswith(f"{100 * 13 / 32:.0f} %")


def test_more_unknowns_than_pixels():
    mostly_gap = np.full((60, 70), np.nan, dtype=np.float32)
    mostly_gap[::4, ::4] = 1.0
    assert any("only 270 were measured" in sentence for sentence in warn_about_input(mostly_gap, SPREAD, 32))


def test_white_residual_is_not_called_structured_and_smooth_one_is():
    rng = np.random.default_rng(1)
    white = rng.normal(size=(80, 80)).astype(np.float32)
    y, x = np.mgrid[:80, :80]
    smooth = np.sin(x / 5.0 + y / 7.0).astype(np.float32)
    assert warn_about_fit(10 * smooth + white, white, 1.0) == []
    assert any("not white noise" in s for s in warn_about_fit(3 * smooth, smooth + 0.1 * white, 1.0))


def test_streaks_along_the_scan_line_alone_are_not_structure():
    lines = np.repeat(np.random.default_rng(2).normal(size=(400, 1)), 30, axis=1).astype(np.float32)
    assert abs(neighbour_correlation(lines)) < 0.15


def test_neighbour_correlation_of_a_known_sequence_skips_gaps():
    board = (np.indices((20, 20)).sum(axis=0) % 2 * 2.0 - 1).astype(np.float32)
    assert neighbour_correlation(board) == pytest.approx(-1)
    board[3, 4] = np.nan
    assert neighbour_correlation(board) == pytest.approx(-1, abs=0.01)
    assert neighbour_correlation(np.ones((5, 5), dtype=np.float32)) == 0


def test_nothing_explained_and_worse_than_nothing():
    assert any("may be noise" in s for s in warn_about_fit(NOISE, 0.99 * NOISE, 0.99))
    assert any("larger than the map's own variation" in s for s in warn_about_fit(NOISE, 2 * NOISE, 2.0))


def test_a_residual_that_is_negligible_is_not_judged():
    y, x = np.mgrid[:40, :40]
    smooth = np.sin(x / 5.0 + y / 7.0).astype(np.float32)
    assert warn_about_fit(smooth, 0.01 * smooth, 0.0) == []
