"""Several classes, and stacks, on maps with a background: the noise model acts for all kernels at once."""

from types import SimpleNamespace

import numpy as np
import pytest

import qpi_core
from qpi_core.base.errors import InputError
from qpi_core.extraction.extractor import Extractor
from qpi_core.results.stacks.layer_folder import LayerFolder
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate, phenomenological_kernel
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from qpi_core.synthesis.simulated_maps.scenes import superpose

SIDE, PITCH, SIZE = 40, 10 / 64, 32
FOURFOLD, THREEFOLD = KernelParameters(4, 0.3, 3.5, 0.5, 0.35), KernelParameters(3, 0.9, 2.6, 1.2, 0.35)


def truth(one):
    return phenomenological_kernel(*vars(one).values(), size=SIZE, pixel_size_nm=PITCH)


def draw(seed, kernels, level):
    """Return a map with twelve defects a kernel, their positions and classes, and the background."""
    rng = np.random.default_rng([4242, seed])
    places = [rng.uniform(0, SIDE - 1, (12, 2)) for _ in kernels]
    parts = [superpose(lambda x, y, k=k: evaluate(k, x, y), p, (SIDE, SIDE), PITCH) for k, p in zip(kernels, places, strict=True)]
    clean = sum(parts)
    background = level * clean.std() * draw_background(SmoothBackground(1.0, 2.0), (SIDE, SIDE), rng)
    image = clean + background + 0.2 * clean.std() * rng.standard_normal(clean.shape)
    labels = [name for name, p in zip("AB", places, strict=False) for _ in p]
    return SimpleNamespace(image=image, positions=np.vstack(places), labels=labels, background=background)


def error(kernel, one):
    return float(np.sqrt(np.mean((kernel - truth(one)) ** 2)) / np.ptp(truth(one)))


@pytest.fixture(scope="module")
def classes():
    scene = draw(5, (FOURFOLD, THREEFOLD), 1.0)
    extractor = Extractor("none", device="cpu")
    arguments = (scene.image, scene.positions, scene.labels, "refined", SIZE)
    found = {name: extractor.extract_classes(*arguments, pixel_size_nm=PITCH, noise_model=name) for name in ("auto", "white")}
    return scene, found["auto"], found["white"]


@pytest.mark.slow
def test_kernels_of_all_classes_are_far_better_under_the_noise_model(classes):
    _, modelled, white = classes
    for name, one in (("A", FOURFOLD), ("B", THREEFOLD)):
        assert modelled[name].symmetry_order == one.symmetry_order
        assert error(modelled[name].kernel, one) < 0.02
    both = [
        sum(error(found[name].kernel, one) for name, one in zip("AB", (FOURFOLD, THREEFOLD), strict=True)) for found in (modelled, white)
    ]
    assert both[0] < 0.4 * both[1], both


@pytest.mark.slow
def test_the_background_is_found_told_and_part_of_the_reconstruction(classes):
    scene, modelled, white = classes
    assert np.corrcoef(modelled.background_map.ravel(), scene.background.ravel())[0, 1] > 0.95
    assert modelled.noise_model["background_length_nm"][0] == pytest.approx(2.0, rel=0.3)
    assert any("smooth background" in sentence for sentence in modelled.all_warnings())
    np.testing.assert_allclose(modelled.reconstruction + modelled.residual, scene.image, atol=1e-5)
    assert modelled.residual.std() == pytest.approx(modelled.noise_sigma, rel=0.1)
    assert np.ptp(white.background_map) == 0 and set(white.noise_model) == {"white_noise_sigma"}


@pytest.mark.slow
def test_the_order_of_the_classes_does_not_matter(classes):
    scene, modelled, _ = classes
    turned = ["B" if label == "A" else "A" for label in scene.labels]
    again = Extractor("none", device="cpu").extract_classes(scene.image, scene.positions, turned, "harmonic", SIZE, pixel_size_nm=PITCH)
    np.testing.assert_array_equal(again["B"].kernel, modelled["A"].kernel)


@pytest.mark.slow
def test_classes_on_white_noise_are_those_of_the_plain_model_to_the_last_digit():
    scene = draw(2, (FOURFOLD, THREEFOLD), 0.0)
    arguments = (scene.image, scene.positions, scene.labels, "harmonic", SIZE)
    found = [Extractor("none", device="cpu").extract_classes(*arguments, pixel_size_nm=PITCH, noise_model=n) for n in ("auto", "white")]
    for name in "AB":
        np.testing.assert_array_equal(found[0][name].kernel, found[1][name].kernel)
        np.testing.assert_array_equal(found[0][name].uncertainty, found[1][name].uncertainty)


@pytest.fixture(scope="module")
def stack():
    scenes = [draw(3, (FOURFOLD,), level) for level in (1.0, 0.8, 0.0)]
    layers = np.stack([scene.image for scene in scenes])
    arguments = {"pixel_size_nm": PITCH, "kernel_size": SIZE, "method": "refined"}
    return scenes, layers, qpi_core.extract_stack(Extractor("none", device="cpu"), layers, scenes[0].positions, **arguments)


@pytest.mark.slow
def test_each_layer_of_a_stack_has_the_noise_model_that_it_asks_for(stack):
    scenes, _, found = stack
    assert set(found.background_maps) == {0, 1} and not found.noise_models[2]
    assert found.symmetry_order == (4, 4, 4)
    for index, scene in enumerate(scenes):
        assert error(found.kernels[index], FOURFOLD) < 0.02
        if scene.background.any():
            assert np.corrcoef(found.background_maps[index].ravel(), scene.background.ravel())[0, 1] > 0.95
            assert any("smooth background" in sentence for sentence in found.warnings[index])
    assert np.ptp(found.background_stack()[2]) == 0 and found.background_stack().shape == (3, SIDE, SIDE)


@pytest.mark.slow
def test_a_plain_model_of_the_same_stack_is_worse_where_there_is_a_background(stack):
    scenes, layers, found = stack
    plain = qpi_core.extract_stack(
        Extractor("none", device="cpu"), layers, scenes[0].positions, pixel_size_nm=PITCH, kernel_size=SIZE, noise_model="white"
    )
    assert not plain.background_maps and not any(plain.noise_models)
    assert error(found.kernels[0], FOURFOLD) < 0.3 * error(plain.kernels[0], FOURFOLD)


@pytest.mark.slow
def test_a_large_layer_takes_the_noise_model_of_its_fullest_square(stack, monkeypatch):
    scenes, layers, found = stack
    monkeypatch.setattr("qpi_core.diagnostics.identifiability.MOST_MODELLED_PIXELS", 34 * 34)
    for module in ("solvers.layers.noisy_layers", "solvers.measured.large_map", "solvers.measured.model_checks.whiteness"):
        monkeypatch.setattr(f"qpi_core.{module}.PART_PX", 34)
    large = qpi_core.extract_stack(
        Extractor("none", device="cpu"), layers[1:], scenes[1].positions, pixel_size_nm=PITCH, kernel_size=SIZE, method="harmonic"
    )
    assert set(large.background_maps) == {0} and large.symmetry_order == (4, 4)
    # The noise model is that of a part, and the kernel hardly another one.
    assert large.noise_models[0]["background_length_nm"] != found.noise_models[1]["background_length_nm"]
    assert error(large.kernels[0], FOURFOLD) < 0.03
    assert np.corrcoef(large.background_maps[0].ravel(), scenes[1].background.ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_a_layer_keeps_its_background_and_noise_in_the_folder_of_a_stopped_run(stack, tmp_path):
    _, _, found = stack
    folder = LayerFolder(tmp_path / "out", {"some": "settings"})
    for index in (0, 2):
        folder.add(index, found.layer(index))
    back = folder.read(SIZE)
    np.testing.assert_array_equal(back[0][""].background_map, found.background_maps[0])
    assert back[0][""].noise_model == found.noise_models[0] and back[2][""].background_map is None
    again = found.with_layers({0: back[2][""], 1: back[0][""]})
    assert set(again.background_maps) == {1} and again.noise_models[1] == found.noise_models[0] and not again.noise_models[0]


def test_an_unknown_noise_model_is_refused():
    image, place = np.eye(20), [[3.0, 4.0], [9.0, 9.0]]
    with pytest.raises(InputError, match="noise_model must be one of"):
        Extractor("none", device="cpu").extract_classes(image, place, ["A", "B"], kernel_size=16, noise_model="pink")
    with pytest.raises(InputError, match="noise_model must be one of"):
        qpi_core.extract_stack(Extractor("none", device="cpu"), image[None], place, kernel_size=16, noise_model="pink")
