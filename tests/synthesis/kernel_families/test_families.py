"""Every family behind one door: the kernel is that family's, the seed decides it, and a scene is the exact sum that its files describe."""

import io
import json
import math
import zipfile

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.base.provenance import bytes_sha256
from qpi_core.synthesis.bands.band_families import BandControls, defect_scattering, draw_band_controls
from qpi_core.synthesis.bands.scattering import band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, phenomenological_kernel
from qpi_core.synthesis.kernel_families.families import FAMILIES, SyntheticKernel, draw_synthetic_kernel
from qpi_core.synthesis.kernel_families.harmonic_patterns import draw_harmonic_pattern
from qpi_core.synthesis.kernel_families.spline_patterns import draw_spline_pattern
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation
from qpi_core.synthesis.simulated_maps.synthetic_scene import SceneRecipe, scene_snippet, scene_zip, simulate_scene

ROUND = BandControls("elliptic", wave_vector=6.0, shape=2.0, mean_free_path_nm=1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_decides_the_kernel_and_it_is_the_familys(family):
    kernel = draw_synthetic_kernel(family, 3)
    assert kernel == draw_synthetic_kernel(family, 3) != draw_synthetic_kernel(family, 4)
    rng = np.random.default_rng(3)
    patterns = {
        "equation_7": lambda: kernel.pattern(),
        "harmonic": lambda: draw_harmonic_pattern(rng),
        "spline": lambda: draw_spline_pattern(rng),
    }
    expected = patterns.get(family, lambda: band_pattern(defect_scattering(draw_band_controls(rng, family)), 8.0))()
    x, y = kernel_coordinates(64, DEFAULT_PIXEL_SIZE_NM)
    np.testing.assert_allclose(kernel.on_window(), expected(x, y), rtol=1e-5, atol=2e-5 * np.abs(expected(x, y)).max())
    named = expected.symmetry_order if hasattr(expected, "symmetry_order") else kernel.parameters.symmetry_order
    assert kernel.symmetry_order == (None if named == 1 else named)


def test_equation_7_is_the_papers():
    parameters = KernelParameters(3, 0.4, 2.5, 0.7, 0.2)
    np.testing.assert_allclose(SyntheticKernel("equation_7", parameters).on_window(), phenomenological_kernel(**parameters.as_dict()))
    traits = SyntheticKernel("equation_7", parameters).traits()
    assert (traits["wave_vector_rad_per_nm"], traits["orientation_rad"]) == (5.0, 0.4) and math.isnan(traits["mean_free_path_nm"])


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("crystal", 3),
        ("spline", KernelParameters()),
        ("spline", -1),
        ("spline", True),
        ("equation_7", 3),
        ("square", ROUND),
        ("elliptic", 1),
    ],
)
def test_parameters_of_another_family_are_told(family, parameters):
    with pytest.raises(InputError, match="family|parameters"):
        SyntheticKernel(family, parameters)


@pytest.mark.parametrize("values", [{"count": 0}, {"count": 101}, {"noise_level": -0.1}, {"noise_level": math.nan}, {"seed": -1}])
def test_a_recipe_outside_its_range_is_told(values):
    with pytest.raises(InputError, match=next(iter(values))):
        SceneRecipe(**values)


def test_scene_is_the_exact_sum():
    parameters = KernelParameters(3, 0.4, 2.5, 0.7, 0.2)
    scene = simulate_scene(SceneRecipe(SyntheticKernel("equation_7", parameters), 12, 0.0, 3, False))
    np.testing.assert_allclose(scene.observation, simulate_observation(parameters, scene.positions, (64, 64)), atol=1e-5)
    assert scene.noise_sigma == 0


@pytest.mark.parametrize("kernel", [SyntheticKernel("spline", 5), SyntheticKernel("elliptic", ROUND)])
def test_scene_of_another_family_is_the_sum_of_its_kernel(kernel):
    scene = simulate_scene(SceneRecipe(kernel, 3, 0.0, 1, False))
    y, x = np.mgrid[:64, :64] * DEFAULT_PIXEL_SIZE_NM
    pattern = kernel.pattern(14.0)
    expected = sum(pattern(x - column * DEFAULT_PIXEL_SIZE_NM, y - row * DEFAULT_PIXEL_SIZE_NM) for column, row in scene.positions)
    np.testing.assert_allclose(scene.observation, expected, atol=1e-5 * np.abs(expected).max())


def test_one_number_changes_one_thing():
    few, many, again, other = (simulate_scene(SceneRecipe(count=count, seed=seed)) for count, seed in ((10, 5), (11, 5), (10, 5), (10, 6)))
    np.testing.assert_array_equal(few.positions, many.positions[:10])
    np.testing.assert_array_equal(few.observation, again.observation)
    assert not np.array_equal(few.positions, other.positions)
    assert few.noise_sigma == pytest.approx(
        0.1 * simulate_scene(SceneRecipe(count=10, seed=5, noise_level=0.0)).observation.std(), rel=1e-5
    )


@pytest.mark.parametrize("kernel", [SyntheticKernel(), SyntheticKernel("harmonic", 2), SyntheticKernel("elliptic", ROUND)])
def test_the_archive_makes_the_same_scene_again(kernel):
    scene = simulate_scene(SceneRecipe(kernel, 4, 0.2, 9, True))
    with zipfile.ZipFile(io.BytesIO(scene_zip(scene))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    np.testing.assert_array_equal(np.load(io.BytesIO(files[scene.name])), scene.observation)
    np.testing.assert_array_equal(np.loadtxt(io.BytesIO(files["positions.csv"]), delimiter=",", skiprows=1), scene.positions)
    record = json.loads(files["scene.json"])
    assert record["kernel"]["family"] == kernel.family and record["map"]["sha256"] == bytes_sha256(files[scene.name])
    made: dict[str, object] = {}
    exec(scene_snippet(scene).split("np.save")[0], made)
    np.testing.assert_array_equal(made["scene"].observation, scene.observation)
    assert scene_zip(made["scene"]) == scene_zip(scene)
