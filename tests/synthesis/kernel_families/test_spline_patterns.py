"""Random radial profiles times harmonics: symmetry, smoothness at the defect, reproducibility."""

import numpy as np
import pytest

from qpi_core.synthesis.kernel_families.spline_patterns import REACH_NM, draw_spline_pattern


@pytest.mark.parametrize("seed", range(8))
def test_pattern_has_the_symmetry_it_names(seed):
    pattern = draw_spline_pattern(np.random.default_rng(seed))
    r, theta = np.random.default_rng(99).uniform([0.05, 0], [5, 2 * np.pi], (200, 2)).T
    values = pattern(r * np.cos(theta), r * np.sin(theta))
    turn = 2 * np.pi / pattern.symmetry_order if pattern.symmetry_order else 0.777
    np.testing.assert_allclose(pattern(r * np.cos(theta + turn), r * np.sin(theta + turn)), values, atol=1e-9)
    if pattern.symmetry_order:
        assert np.abs(pattern(r * np.cos(theta + turn / 2), r * np.sin(theta + turn / 2)) - values).max() > 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_pattern_is_continuous_at_the_defect_and_ends(seed):
    pattern = draw_spline_pattern(np.random.default_rng(seed))
    angles = np.linspace(0, 2 * np.pi, 7)
    around = pattern(1e-6 * np.cos(angles), 1e-6 * np.sin(angles))
    np.testing.assert_allclose(around, pattern(0.0, 0.0), atol=1e-4)
    assert float(np.abs(pattern(REACH_NM, 0.0))) < 0.1 * float(np.abs(pattern(np.linspace(0, 4, 80), 0.0)).max())


def test_same_stream_gives_the_same_pattern():
    first, second = (draw_spline_pattern(np.random.default_rng(3))(0.4, 0.7) for _ in range(2))
    assert first == second
