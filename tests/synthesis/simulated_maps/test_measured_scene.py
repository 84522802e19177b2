"""Scenes with nuisances: what a map is made of, added up again; what stays when a nuisance comes; names."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from qpi_core.base.errors import InputError
from qpi_core.synthesis.kernel_families.equation_7 import draw_kernel_parameters, evaluate
from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice, lattice_waves
from qpi_core.synthesis.nuisances.click_errors import ClickErrors
from qpi_core.synthesis.nuisances.pixel_noise import SignalNoise
from qpi_core.synthesis.nuisances.row_noise import Streaks
from qpi_core.synthesis.nuisances.scan_geometry import Shear
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground
from qpi_core.synthesis.nuisances.strengths import UnequalStrengths
from qpi_core.synthesis.simulated_maps.measured_defects import SceneStreams, draw_frame
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene
from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, is_measured_variant, parse_variant

PITCH = 10 / 64


def from_windows(scene):
    """The kernels of a scene put at every defect by cubic interpolation of their windows, and the pixels away from every centre."""
    height, width = scene.observation.shape
    y, x = np.mgrid[:height, :width]
    total, away = np.zeros((height, width)), np.ones((height, width), dtype=bool)
    for (px, py), weight, kind in zip(scene.true_positions, scene.true_weights, scene.true_classes, strict=True):
        kernel = scene.kernels[kind].astype(float)
        total += weight * map_coordinates(kernel, [y - py + 32, x - px + 32], order=3, mode="constant")
        away &= np.hypot(y - py, x - px) > 2
    return total, away


@pytest.mark.parametrize("variant", ["plain", "amplitudes-50", "flips-20", "second-10", "second-30-listed", "amplitudes-20-tmatrix"])
def test_the_signal_is_the_kernels_at_the_defects(variant):
    for index in range(3):
        scene = draw_measured_scene(variant, 11, index)
        total, away = from_windows(scene)
        # Windows of 64 pixels cut tails that the exact sum holds; a spline cannot follow Eq. 7 where its angles meet in a point.
        assert np.std((total - scene.signal)[away]) < 0.08 * np.std(scene.signal)


def test_eq_7_signal_by_an_explicit_double_loop():
    recipe = MeasuredRecipe((UnequalStrengths(0.5), Shear(0.02)), defects=(4, 4))
    scene = draw_measured_scene(recipe, 3, 2, shape=(11, 13))
    streams = SceneStreams(3, 2)
    k = draw_frame(recipe, streams, (11, 13)).geometry.shear
    parameters = draw_kernel_parameters(streams.rng("kernel"), 3)
    scale = scene.kernel[32, 34] / evaluate(parameters, 2 * PITCH, 0.0)
    for row in range(11):
        for column in range(13):
            value = 0.0
            for (x, y), weight in zip(scene.true_positions, scene.true_weights, strict=True):
                value += scale * weight * evaluate(parameters, (column - x + k * (row - y)) * PITCH, (row - y) * PITCH)
            assert scene.signal[row, column] == pytest.approx(float(value), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("variant", MEASURED_VARIANTS)
def test_a_map_is_the_sum_of_its_parts_and_its_list_is_on_it(variant):
    scene = draw_measured_scene(variant, 5, 3)
    parts = scene.signal + sum(scene.structures.values()) + sum(scene.noises.values())
    np.testing.assert_allclose(scene.observation, parts, atol=1e-5 * np.abs(parts).max())
    assert 20 <= len(scene.true_positions) <= 60
    assert len(scene.positions) == len(scene.weights) == len(scene.classes)
    assert scene.positions.min() >= -0.5 and scene.positions.max() <= 63.5
    first = np.array(scene.classes) == "A"
    assert scene.weights[first].mean() == pytest.approx(1.0)
    assert scene.symmetry_order == 4 and scene.kernel.shape == (64, 64)
    again = draw_measured_scene(variant, 5, 3)
    np.testing.assert_array_equal(scene.observation, again.observation)


def test_levels_are_relative_to_the_clean_map():
    structures = (("background-0.3", "background", 0.3), ("lattice-1", "lattice", 1.0), ("background-1-tmatrix", "background", 1.0))
    for variant, name, level in structures:
        for index in range(4):
            scene = draw_measured_scene(variant, 8, index)
            assert scene.structures[name].std() == pytest.approx(level * scene.signal.std(), rel=1e-9)
    noises = (
        ("streaks-0.3", "streaks", 0.3),
        ("blur2-0.2", "blurred", 0.2),
        ("plain", "white", 0.2),
        ("drift-1", "drift", 1.0),
        ("signal-noise-0.3", "signal", 0.3),
    )
    for variant, name, level in noises:
        ratios = [(s.noises[name] ** 2).mean() / s.signal.var() for s in (draw_measured_scene(variant, 8, i) for i in range(12))]
        assert np.sqrt(np.mean(ratios)) == pytest.approx(level, rel=0.1)
    step = draw_measured_scene("step-3", 8, 0)
    assert np.ptp(step.structures["step"]) > 3 * step.signal.std()
    heights = []
    for index in range(20):
        cores = draw_measured_scene("cores-1", 8, index)
        columns, rows = np.rint(cores.true_positions).astype(int).T
        heights += list(cores.structures["cores"][rows, columns] / np.abs(cores.kernel).max())
    assert np.std(heights) == pytest.approx(1.0, rel=0.15)
    spikes = draw_measured_scene("spikes", 8, 0)
    assert np.count_nonzero(spikes.noises["spikes"]) == 41
    np.testing.assert_allclose(np.abs(spikes.noises["spikes"]).max(), 10 * spikes.noise_sigma)


def test_a_nuisance_leaves_the_rest_of_the_map_as_it_was():
    plain = draw_measured_scene("plain", 4, 6)
    for variant in ("streaks-0.3", "background-1", "lattice-1", "step-1", "cores-1", "spikes", "signal-noise-0.3"):
        scene = draw_measured_scene(variant, 4, 6)
        np.testing.assert_array_equal(scene.signal, plain.signal)
        np.testing.assert_array_equal(scene.noises["white"], plain.noises["white"])
        np.testing.assert_array_equal(scene.positions, plain.positions)
    weak, medium = (draw_measured_scene(name, 4, 6) for name in ("all-weak", "all-medium"))
    shapes = [scene.structures["background"] / scene.structures["background"].std() for scene in (weak, medium)]
    np.testing.assert_allclose(*shapes)
    assert {tuple(place) for place in weak.true_positions} == {tuple(place) for place in plain.positions}


def test_scenes_differ_by_seed_and_index_and_the_order_of_names_does_not_matter():
    scenes = [draw_measured_scene("plain", seed, index) for seed, index in ((1, 0), (1, 5), (2, 0))]
    assert len({scene.observation.tobytes() for scene in scenes}) == 3
    assert [draw_measured_scene("plain", 1, index).symmetry_order for index in range(5)] == [0, 2, 3, 4, 6]
    one, other = (draw_measured_scene(name, 1, 0) for name in ("streaks-0.3+background-1", "background-1+streaks-0.3"))
    np.testing.assert_allclose(one.observation, other.observation, atol=1e-6)


def test_lists_and_kinds():
    unlisted, listed = draw_measured_scene("second-10", 5, 1), draw_measured_scene("second-30-listed", 5, 1)
    total = len(unlisted.true_positions)
    assert len(unlisted.positions) == total - round(0.1 * total) and set(unlisted.classes) == {"A"}
    assert len(listed.positions) == total and listed.classes.count("B") == round(0.3 * total)
    assert set(listed.kernels) == {"A", "B"} and not np.allclose(listed.kernels["A"], listed.kernels["B"])
    np.testing.assert_array_equal(unlisted.positions, unlisted.true_positions[: len(unlisted.positions)])
    moved = draw_measured_scene("clicks-streaks-background", 5, 1)
    assert 0.3 < (moved.positions - moved.true_positions).std() < 0.7
    assert (draw_measured_scene("flips-20", 5, 1).weights < 0).sum() == round(0.2 * total)


@pytest.mark.parametrize("variant", ["lattice-1-sites", "lattice-1-sites+creep-2+shear-2"])
def test_defects_on_sites_see_the_same_phase(variant):
    scene = draw_measured_scene(variant, 6, 2)
    frame = draw_frame(scene.recipe, SceneStreams(6, 2), (64, 64))
    x, y = frame.geometry.place(scene.positions[:, 0], scene.positions[:, 1])
    np.testing.assert_allclose(lattice_waves(frame.lattice, x * PITCH, y * PITCH), np.cos(frame.lattice.phases).sum(), atol=1e-6)
    assert scene.positions.min() >= 0 and scene.positions.max() <= 63


def test_names_and_their_levels():
    assert parse_variant("background-0.3") == MeasuredRecipe((SmoothBackground(0.3),))
    assert parse_variant("lattice-1-sites") == MeasuredRecipe((AtomicLattice(1.0, on_sites=True),))
    assert parse_variant("second-30-listed") == MeasuredRecipe((SecondKind(0.3, listed=True),))
    assert parse_variant("signal-noise-0.3-tmatrix") == MeasuredRecipe((SignalNoise(0.3),), source="t-matrix")
    assert parse_variant("clicks-streaks-background") == MeasuredRecipe((ClickErrors(0.5), Streaks(0.3), SmoothBackground(1.0)))
    assert parse_variant("plain") == MeasuredRecipe()
    medium = parse_variant("all-medium")
    assert medium.get(UnequalStrengths) == UnequalStrengths(0.3) and medium.get(Shear) == Shear(0.02)
    assert not is_measured_variant("on-grid") and is_measured_variant("creep-1")
    refused = {"fog-1": "no nuisance", "background": "no nuisance", "background-1+background-2": "SmoothBackground", "flips-80": "share"}
    for name, word in refused.items():
        with pytest.raises(InputError, match=word):
            parse_variant(name)
    with pytest.raises(InputError, match="source"):
        MeasuredRecipe(source="bands")
    with pytest.raises(InputError, match="defects"):
        MeasuredRecipe(defects=(5, 2))
