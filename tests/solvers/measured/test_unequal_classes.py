"""Several classes, and the layers of a stack, whose defects are unequal or off: each has the strength and place that the map gives it."""

from types import SimpleNamespace

import numpy as np
import pytest

import qpi_core
from qpi_core.estimates.caution import CautionKind
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.joint.start import DefectClass, choose_jointly, open_classes
from qpi_core.solvers.measured.noise_model.joint_kernels import JointKernels
from qpi_core.solvers.measured.noise_model.noisy_start import PLACES, STRENGTHS
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate, phenomenological_kernel
from qpi_core.synthesis.simulated_maps.scenes import superpose

SIDE, PITCH, SIZE, COUNT = 48, 10 / 64, 32, 14
KINDS = {"A": KernelParameters(4, 0.3, 3.5, 0.5, 0.35), "B": KernelParameters(3, 0.9, 2.6, 1.2, 0.35)}


def truth(one):
    return phenomenological_kernel(*vars(one).values(), size=SIZE, pixel_size_nm=PITCH)


def unequal_strengths(rng):
    """Return strengths of which two have the other sign."""
    return np.exp(0.5 * rng.standard_normal(COUNT)) * np.where(np.arange(COUNT) < 2, -1, 1)


def draw(names, unequal=False, clicks=0.0, seed=1):
    """Return a map with fourteen defects of each kind, as they are and as they are listed."""
    rng = np.random.default_rng([717, seed])
    places = [rng.uniform(1, SIDE - 2, (COUNT, 2)) for _ in names]
    strengths = [unequal_strengths(rng) if unequal else np.ones(COUNT) for _ in names]
    # All are listed as 1, so a kernel's scale is that of the mean.
    strengths = [own / own.mean() for own in strengths]
    parts = [
        superpose(lambda x, y, k=KINDS[name]: evaluate(k, x, y), at, (SIDE, SIDE), PITCH, weights)
        for name, at, weights in zip(names, places, strengths, strict=True)
    ]
    clean = np.sum(parts, axis=0)
    image = clean + 0.1 * clean.std() * rng.standard_normal(clean.shape)
    listed = np.clip(np.vstack(places) + clicks * rng.standard_normal((COUNT * len(names), 2)), 0, SIDE - 1)
    labels = [name for name in names for _ in range(COUNT)]
    return SimpleNamespace(image=image, listed=listed, places=np.vstack(places), weights=np.concatenate(strengths), labels=labels)


def error(kernel, name):
    return float(np.sqrt(np.mean((kernel - truth(KINDS[name])) ** 2)) / np.ptp(truth(KINDS[name])))


def solved(scene, **options):
    arguments = (scene.image, scene.listed, scene.labels, "refined", SIZE)
    return Extractor("none", device="cpu").extract_classes(*arguments, pixel_size_nm=PITCH, **options)


@pytest.mark.slow
def test_unequal_defects_of_several_classes_have_strengths_of_their_own():
    scene = draw("AB", unequal=True)
    found, white = solved(scene), solved(scene, noise_model="white")
    for name, own in (("A", slice(0, COUNT)), ("B", slice(COUNT, None))):
        assert error(found[name].kernel, name) < min(0.02, 0.3 * error(white[name].kernel, name))
        assert np.corrcoef(found[name].weights, scene.weights[own])[0, 1] > 0.99
        np.testing.assert_array_equal(found.weights[own], found[name].weights)
        assert found[name].weights.mean() == pytest.approx(1.0)
    assert any("differ in strength" in sentence for sentence in found.all_warnings())
    # The kernels make of the map what is there, with the strengths that it gave them.
    assert found.residual.std() < 1.2 * found.noise_sigma < 0.3 * white.residual.std()
    np.testing.assert_allclose(found.reconstruction + found.residual, scene.image, atol=1e-5)


@pytest.mark.slow
def test_classes_whose_places_are_off_have_their_kernels_nearly_as_sharp_and_are_told():
    scene = draw("AB", clicks=0.5)
    found, as_listed = solved(scene), solved(scene, noise_model="white")
    for name, own in (("A", slice(0, COUNT)), ("B", slice(COUNT, None))):
        assert error(found[name].kernel, name) < min(0.01, 0.4 * error(as_listed[name].kernel, name))
        repair = found[name].provenance["list_repair"]
        apart = np.hypot(*(np.array(repair["positions_px"]) - scene.places[own]).T)
        assert np.median(apart) < 0.1
        np.testing.assert_array_equal(found[name].positions, scene.listed[own])
        assert any(sentence.kind is CautionKind.LIST_CONTRADICTED for sentence in found[name].warnings if hasattr(sentence, "kind"))


@pytest.mark.slow
def test_a_layer_of_a_stack_finds_strengths_and_places_as_one_map_does():
    unequal, off = draw("A", unequal=True), draw("A", clicks=0.5, seed=2)
    for scene, said in ((unequal, "differ in strength"), (off, "contradicts the places")):
        stack = np.stack([scene.image, 0.7 * scene.image])
        found = qpi_core.extract_stack(
            Extractor("none", device="cpu"), stack, scene.listed, pixel_size_nm=PITCH, kernel_size=SIZE, method="refined"
        )
        white = qpi_core.extract_stack(
            Extractor("none", device="cpu"), stack, scene.listed, pixel_size_nm=PITCH, kernel_size=SIZE, noise_model="white"
        )
        for layer in range(2):
            scale = (1.0, 0.7)[layer]
            assert error(found.kernels[layer] / scale, "A") < min(0.02, 0.5 * error(white.kernels[layer] / scale, "A"))
            assert any(said in sentence for sentence in found.warnings[layer])


def test_strengths_and_places_go_back_to_the_list_where_a_model_does_without():
    scene = draw("AB")
    listed = [DefectClass(scene.listed[own], np.linspace(0.5, 1.5, COUNT)) for own in (slice(0, COUNT), slice(COUNT, None))]
    starts = open_classes(scene.image.astype(np.float32), listed, SIZE, (PITCH, PITCH), most=None)
    kernels = JointKernels((SIDE, SIDE), starts, choose_jointly(starts, sweeps=1, extended=False))
    assert kernels.moves is None
    kernels.follow(PLACES, 0.1 * np.arange(4.0 * COUNT) - 3.0)
    kernels.follow(STRENGTHS, np.sin(np.arange(2.0 * COUNT)))
    # Class by class all x, then all y; no further than half a pixel at once.
    moves = kernels.moves
    assert np.abs(moves).max() == pytest.approx(0.5)
    np.testing.assert_allclose(moves[:2], [[-0.5, -0.5], [-0.5, -0.5]])
    np.testing.assert_allclose(moves[COUNT + 3], np.clip(0.1 * np.array([2 * COUNT + 3, 3 * COUNT + 3]) - 3.0, -0.5, 0.5))
    for own in (slice(0, COUNT), slice(COUNT, None)):
        assert kernels.weights[own] @ kernels.given[own] == pytest.approx(kernels.given[own] @ kernels.given[own])
    kernels.use_listed(STRENGTHS)
    kernels.use_listed(PLACES)
    assert kernels.moves is None and not kernels.deviations(STRENGTHS).any() and not kernels.deviations(PLACES).any()


def test_designs_follow_the_places_and_strengths_in_use():
    scene = draw("AB")
    listed = [DefectClass(scene.listed[own], np.ones(COUNT)) for own in (slice(0, COUNT), slice(COUNT, None))]
    image = scene.image.astype(np.float32)
    starts = open_classes(image, listed, SIZE, (PITCH, PITCH), most=None)
    kernels = JointKernels((SIDE, SIDE), starts, choose_jointly(starts, sweeps=1, extended=False))
    before = kernels.left(kernels.white)
    kernels.move(np.full((2 * COUNT, 2), 0.3))
    kernels.take(image.astype(np.float64))
    # The same kernels at other places: as if the map had been moved the other way.
    moved = kernels.left(kernels.white)
    expected = take_samples(image, scene.listed + 0.3, np.ones(2 * COUNT), (1.0, 1.0)).positions
    np.testing.assert_allclose(np.concatenate([one.positions for one in kernels._in_use]), expected)
    assert moved.std() > 1.5 * before.std()
