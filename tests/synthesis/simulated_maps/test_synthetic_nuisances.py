"""Simulated scenes that look measured: what a nuisance changes, what it leaves, and files that make the scene again."""

import io
import json
import zipfile

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.kernel_families.families import SyntheticKernel, draw_synthetic_kernel
from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice
from qpi_core.synthesis.nuisances.pixel_noise import Spikes
from qpi_core.synthesis.nuisances.row_noise import Streaks
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground
from qpi_core.synthesis.nuisances.step_edge import StepEdge
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths
from qpi_core.synthesis.simulated_maps.measured_variants import parse_variant
from qpi_core.synthesis.simulated_maps.synthetic_scene import SceneRecipe, scene_snippet, scene_zip, simulate_scene


@pytest.mark.parametrize("family", ["equation_7", "spline", "square"])
def test_a_nuisance_adds_to_the_scene_without_it(family):
    kernel = draw_synthetic_kernel(family, 3)
    plain = simulate_scene(SceneRecipe(kernel, 12, 0.3, 5, False))
    for nuisance in (Streaks(0.5), SmoothBackground(2.0), StepEdge(1.0), Spikes(0.02)):
        scene = simulate_scene(SceneRecipe(kernel, 12, 0.3, 5, False, (nuisance,)))
        added = sum(scene.measured.structures.values()) + sum(v for k, v in scene.measured.noises.items() if k != "white")
        scale = np.abs(scene.observation).max()
        np.testing.assert_allclose(scene.observation, plain.observation + added, atol=1e-4 * scale)
        np.testing.assert_array_equal(scene.positions, plain.positions)
        np.testing.assert_allclose(scene.kernel, plain.kernel, atol=1e-6 * np.abs(plain.kernel).max())
        assert scene.noise_sigma == pytest.approx(plain.noise_sigma, rel=1e-5) and np.std(added) > 0.1 * np.std(plain.observation) * 0.3


def test_two_kinds_are_of_one_family_and_of_one_height():
    kernel = draw_synthetic_kernel("triangular", 1)
    scene = simulate_scene(SceneRecipe(kernel, 20, 0.1, 5, nuisances=(SecondKind(0.3, listed=True),)))
    first, second = scene.measured.kernels["A"], scene.measured.kernels["B"]
    assert np.abs(first).max() == pytest.approx(np.abs(second).max(), rel=1e-4) and not np.allclose(first, second)
    unlisted = simulate_scene(SceneRecipe(kernel, 20, 0.1, 5, nuisances=(SecondKind(0.3),)))
    assert len(scene.positions) == 20 and len(unlisted.positions) == 14


def test_the_files_hold_the_truth_and_make_the_scene_again(tmp_path, monkeypatch):
    weak = parse_variant("all-weak").nuisances
    scene = simulate_scene(SceneRecipe(SyntheticKernel(), 25, 0.2, 11, False, weak))
    monkeypatch.chdir(tmp_path)
    exec(compile(scene_snippet(scene), "reproduce.py", "exec"), {})
    np.testing.assert_array_equal(np.load(scene.name), scene.observation)
    with zipfile.ZipFile(io.BytesIO(scene_zip(scene))) as archive:
        record = json.loads(archive.read("scene.json"))
        background = np.load(io.BytesIO(archive.read("background.npy")))
        lines = archive.read("defects.csv").decode().splitlines()
    assert record["nuisances"]["SmoothBackground"] == {"level": 0.3, "length_nm": 3.0} and len(record["nuisances"]) == len(weak)
    np.testing.assert_allclose(background, sum(scene.measured.structures.values()), atol=1e-6)
    assert lines[0] == "x_px,y_px,strength,kind,listed" and len(lines) == 26
    assert sum(line.endswith(",yes") for line in lines) == len(scene.positions) == 24


def test_without_nuisances_nothing_is_told_of_them():
    scene = simulate_scene(SceneRecipe(count=3))
    assert scene.measured is None and "nuisances" not in scene.provenance()
    with zipfile.ZipFile(io.BytesIO(scene_zip(scene))) as archive:
        assert "defects.csv" not in archive.namelist()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="Streaks"):
        SceneRecipe(nuisances=(Streaks(0.1), Streaks(0.2)))
    with pytest.raises(InputError, match="cancel"):
        simulate_scene(SceneRecipe(count=4, nuisances=(FlippedSigns(0.45),)))
    on_sites = simulate_scene(SceneRecipe(count=100, nuisances=(AtomicLattice(1.0, on_sites=True), UnequalStrengths(0.5))))
    assert len(np.unique(on_sites.positions, axis=0)) == 100
