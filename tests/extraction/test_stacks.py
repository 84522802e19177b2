"""Energy stacks: every layer's kernel against the truth, layers that hold nothing, cancel, and independence of what was asked for."""

import numpy as np
import pytest

import qpi_core
from qpi_core.base.errors import InputError
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.normal_equations import accumulate_equations
from qpi_core.solvers.layers.pilots import choose_pilots
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, phenomenological_kernel
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation

PITCH, SIZE, SHAPE = 0.2, 24, (44, 52)
WAVENUMBERS = (2.0, 2.4, 2.8, 3.2)
NAN_LAYER, CONSTANT_LAYER = 4, 5


def parameters(wavenumber):
    return KernelParameters(symmetry_order=4, orientation=0.4, wavenumber=wavenumber, phase=0.6, decay=0.3)


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(11)
    positions = rng.uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (25, 2))
    layers = [simulate_observation(parameters(b), positions, SHAPE, PITCH, noise_sigma=0.1, rng=rng) for b in WAVENUMBERS]
    layers += [np.full(SHAPE, np.nan), np.full(SHAPE, 2.5)]
    layers[1][:6, :9] = np.nan
    return np.stack(layers).astype(np.float32), positions


@pytest.fixture(scope="module")
def estimate(scene):
    stack, positions = scene
    energies = np.arange(6.0) * 10
    return qpi_core.extract_stack(Extractor(device="cpu"), stack, positions, bias_mv=energies, pixel_size_nm=PITCH, kernel_size=SIZE)


def test_every_layer_has_its_own_kernel_noise_and_symmetry(estimate):
    for index, wavenumber in enumerate(WAVENUMBERS):
        truth = phenomenological_kernel(4, 0.4, wavenumber, 0.6, 0.3, size=SIZE, pixel_size_nm=PITCH)
        error = estimate.kernels[index] - truth
        assert np.sqrt(np.mean(error**2)) < 0.02
        assert np.mean(np.abs(error) < 3 * estimate.uncertainties[index] + 1e-3) > 0.9
        assert estimate.noise_sigma[index] == pytest.approx(0.1, rel=0.15)
    assert estimate.symmetry_order[:4] == (4, 4, 4, 4)
    assert estimate.complete and estimate.method == "refined"


def test_layers_that_hold_nothing_say_so(estimate):
    assert np.isnan(estimate.kernels[NAN_LAYER]).all() and "Nothing" in estimate.warnings[NAN_LAYER][0]
    assert not estimate.kernels[CONSTANT_LAYER].any() and "constant" in estimate.warnings[CONSTANT_LAYER][0]
    assert estimate.background[CONSTANT_LAYER] == 2.5
    assert estimate.usable.tolist() == [True, True, True, True, False, True]


def test_a_layer_does_not_depend_on_which_others_are_asked_for(scene, estimate):
    stack, positions = scene
    alone = qpi_core.extract_stack(Extractor(device="cpu"), stack, positions, pixel_size_nm=PITCH, kernel_size=SIZE, layers=[2])
    np.testing.assert_array_equal(alone.kernels[2], estimate.kernels[2])
    np.testing.assert_array_equal(alone.uncertainties[2], estimate.uncertainties[2])
    assert alone.done.tolist() == [False, False, True, False, False, False] and np.isnan(alone.kernels[0]).all()


def test_cancel_keeps_what_is_finished_and_progress_counts(scene):
    stack, positions = scene
    seen, kept = [], []
    found = qpi_core.extract_stack(
        Extractor(device="cpu"),
        stack,
        positions,
        kernel_size=SIZE,
        method="defect_average",
        progress=lambda done, total, message: seen.append((done, total)),
        cancelled=lambda: len(kept) == 2,
        on_layer=lambda index, kernel: kept.append(index),
    )
    assert kept == [0, 1] and seen[-1] == (2, 6)
    assert found.done.tolist() == [True, True, False, False, False, False]
    assert np.isfinite(found.kernels[:2]).all() and np.isnan(found.kernels[2:]).all()


def test_shared_equations_are_those_of_each_layer(scene):
    stack, positions = scene
    weights = np.linspace(0.5, 1.5, len(positions))
    samples = [take_samples(stack[index], positions, weights, (1.0, 1.0)) for index in (0, 2)]
    splines = RadialSplines(1.5, 20.0)
    values = np.stack([one.values for one in samples]).astype(np.float32)
    shared = accumulate([ClassBasis(samples[0], splines, (0, 2, 4))], values)
    expected = accumulate_equations(samples[1], splines, (0, 4))
    found = shared.narrowed([(0, 4)]).alone(layer=1)
    np.testing.assert_allclose(found.gram, expected.gram, atol=1e-6 * np.abs(expected.gram).max())
    np.testing.assert_allclose(found.projection, expected.projection, atol=1e-6 * np.abs(expected.projection).max())
    assert found.total == pytest.approx(expected.total, rel=1e-6)
    profiles = np.random.default_rng(0).normal(size=expected.projection.shape)
    assert found.background(profiles) == pytest.approx(expected.background(profiles), rel=1e-6)
    assert shared.narrowed([(0, 4)]).background([profiles], 1) == pytest.approx(expected.background(profiles), rel=1e-6)


def test_equations_in_subspaces_are_those_accumulated_in_them(scene):
    stack, positions = scene
    samples = take_samples(stack[0], positions, np.ones(len(positions)), (1.0, 1.0))
    splines = RadialSplines(1.5, 20.0)
    span = np.linalg.qr(np.random.default_rng(1).normal(size=(splines.nodes.size, 3)))[0]
    expected = accumulate_equations(samples, splines, (0, 4), span)
    whole = accumulate([ClassBasis(samples, splines, (0, 2, 4)), ClassBasis(samples, splines, (0,))])
    found = whole.narrowed([(0, 4), (0,)], [span, None]).alone()
    for name in ("gram", "projection", "mean_design"):
        scale = np.abs(getattr(expected, name)).max()
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-10 * scale)
    assert found.subspace is span and found.total == pytest.approx(expected.total, rel=1e-12)


def test_pilots_are_spread():
    assert choose_pilots(range(10), 5) == (1, 3, 5, 7, 9)
    assert choose_pilots([3, 8], 5) == (3, 8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stack": np.zeros((4, 4))}, "stack must be"),
        ({"bias_mv": [1.0, 2.0]}, "bias_mv must have shape"),
        ({"layers": [9]}, "layers must be"),
        ({"positions": [[500.0, 1.0]]}, "outside the map"),
    ],
)
def test_bad_input_is_named(scene, change, named):
    arguments = {"stack": scene[0], "positions": scene[1], "kernel_size": SIZE, **change}
    with pytest.raises(InputError, match=named):
        qpi_core.extract_stack(Extractor(device="cpu"), arguments.pop("stack"), arguments.pop("positions"), **arguments)
