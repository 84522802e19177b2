"""Benchmark scenes: what design.md promises of them, checked from outside."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.scenes import HELD_OUT_SEED, TUNING_SEED, VARIANTS, WIDE_SHAPE, defect_bin, draw_benchmark_scene, meaning
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene

SEED = 5


def single_defects(scene):
    """The observation with the truth's own kernel put at every defect, as far as its window reaches."""
    height, width = scene.observation.shape
    total, seen = np.zeros((height, width)), np.zeros((height, width), dtype=bool)
    for x, y in scene.true_positions.astype(int):
        for row in range(64):
            for column in range(64):
                i, j = y + row - 32, x + column - 32
                if 0 <= i < height and 0 <= j < width:
                    total[i, j] += scene.kernel[row, column]
                    seen[i, j] = True
    return total, seen


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "off-grid"])
def test_observation_is_the_kernel_at_every_defect(variant):
    scene = next(s for s in (draw_benchmark_scene(SEED, i, variant) for i in range(10, 200, 10)) if len(s.true_positions) < 25)
    total, seen = single_defects(scene)
    # The 64-pixel window cuts tails that the exact sum holds; inside its reach they are small.
    assert np.corrcoef(total[seen], scene.observation[seen])[0, 1] > 0.999
    assert np.std(scene.observation - total) < 0.1 * np.std(scene.observation)


@pytest.mark.parametrize("variant", VARIANTS)
def test_noise_levels_share_everything_but_the_noise(variant):
    clean, low, high = (draw_benchmark_scene(SEED, 3, variant, level) for level in (0.0, 0.2, 1.0))
    np.testing.assert_array_equal(clean.positions, high.positions)
    np.testing.assert_array_equal(clean.kernel, high.kernel)
    noise = high.observation - clean.observation
    np.testing.assert_allclose(5 * (low.observation - clean.observation), noise, atol=1e-4 * noise.std())
    assert np.std(high.observation - clean.observation) == pytest.approx(np.std(clean.observation), rel=0.05)
    assert high.noise_sigma == pytest.approx(np.std(clean.observation), rel=1e-3)


def test_orders_are_even_and_numbers_of_defects_fill_the_range():
    scenes = [draw_benchmark_scene(SEED, index) for index in range(60)]
    assert [scene.symmetry_order for scene in scenes[:5]] == [0, 2, 3, 4, 6]
    counts = np.array([len(scene.positions) for scene in scenes])
    assert counts.min() >= 1 and counts.max() <= 100 and 35 < counts.mean() < 65
    for scene in scenes:
        assert len(np.unique(scene.positions, axis=0)) == len(scene.positions)


def test_position_variants_change_the_list_only():
    exact = draw_benchmark_scene(SEED, 7)
    errors = []
    for index in range(30):
        moved = draw_benchmark_scene(SEED, index, "clicks-0.5")
        np.testing.assert_array_equal(moved.observation, draw_benchmark_scene(SEED, index).observation)
        inner = ((moved.true_positions > 2) & (moved.true_positions < 61)).all(axis=1)
        errors.append((moved.positions - moved.true_positions)[inner])
    assert np.concatenate(errors).std() == pytest.approx(0.5, rel=0.08)
    fewer = draw_benchmark_scene(SEED, 7, "missing-10")
    np.testing.assert_array_equal(fewer.observation, exact.observation)
    assert len(fewer.positions) == len(exact.positions) - round(0.1 * len(exact.positions))
    assert {tuple(p) for p in fewer.positions} <= {tuple(p) for p in exact.positions}


def test_off_grid_positions_are_between_pixels():
    scene = draw_benchmark_scene(SEED, 4, "off-grid")
    assert np.mean(scene.positions == np.rint(scene.positions)) == 0
    assert scene.symmetry_order == draw_benchmark_scene(SEED, 4).symmetry_order


def asymmetry(kernel, turns):
    """RMS change of a kernel under quarter turns about its centre, relative to its own spread (odd window)."""
    window = kernel[1:, 1:]
    return np.std(np.rot90(window, turns) - window) / np.std(window)


def test_unusual_kernels_break_the_symmetry_they_should():
    four_fold = 3
    assert asymmetry(draw_benchmark_scene(SEED, four_fold).kernel, 1) < 1e-3
    assert asymmetry(draw_benchmark_scene(SEED, four_fold, "strained").kernel, 1) > 0.1
    assert asymmetry(draw_benchmark_scene(SEED, four_fold, "strained").kernel, 2) < 1e-3
    assert asymmetry(draw_benchmark_scene(SEED, four_fold, "one-sided").kernel, 2) > 0.3
    assert asymmetry(draw_benchmark_scene(SEED, 0, "band").kernel, 1) > 0.1
    assert asymmetry(draw_benchmark_scene(SEED, 0, "band").kernel, 2) < 1e-3
    assert asymmetry(draw_benchmark_scene(SEED, 1, "band").kernel, 1) < 1e-3


def test_wide_maps():
    scene = draw_benchmark_scene(SEED, 2, "band-150x200", 0.2)
    assert scene.observation.shape == WIDE_SHAPE
    assert scene.positions[:, 0].max() > 64


def test_defect_bins_and_seeds():
    assert [defect_bin(count) for count in (1, 10, 11, 40, 41, 100)] == ["1-10", "1-10", "11-40", "11-40", "41-100", "41-100"]
    with pytest.raises(ValueError, match="101"):
        defect_bin(101)
    assert HELD_OUT_SEED != TUNING_SEED
    with pytest.raises(InputError, match="variant"):
        draw_benchmark_scene(SEED, 0, "hexagonal")
    with pytest.raises(InputError, match="noise_level"):
        draw_benchmark_scene(SEED, 0, "on-grid", -0.1)


@pytest.mark.parametrize("variant", ["background-1", "second-10", "streaks-0.1+clicks-0.5", "all-weak-tmatrix"])
def test_what_measured_maps_add_are_the_scenes_of_the_generator(variant):
    scene, drawn = draw_benchmark_scene(SEED, 3, variant, 0.2), draw_measured_scene(variant, SEED, 3)
    np.testing.assert_array_equal(scene.observation, drawn.observation)
    np.testing.assert_array_equal(scene.positions, drawn.positions)
    np.testing.assert_array_equal(scene.kernel, drawn.kernels["A"])
    assert (scene.symmetry_order, scene.noise_sigma) == (drawn.symmetry_order, drawn.noise_sigma)
    quiet = draw_benchmark_scene(SEED, 3, variant, 0.0)
    assert quiet.noise_sigma == 0 and np.std(quiet.observation - scene.observation) > 0


def test_a_list_is_right_where_it_holds_every_defect_where_it_is():
    for variant in ("on-grid", "off-grid", "band", "plain", "second-30-listed"):
        assert draw_benchmark_scene(SEED, 7, variant).list_is_right
    for variant in ("clicks-0.5", "missing-10", "second-10", "all-weak"):
        assert not draw_benchmark_scene(SEED, 7, variant).list_is_right


def test_variants_have_a_meaning():
    assert meaning("off-grid") == VARIANTS["off-grid"] and "second kind" in meaning("second-10")
    assert meaning("streaks-0.7+step-2-tmatrix") == "streaks-0.7, step-2; kernels of the T-matrix"
    assert meaning("something else") == "something else"
