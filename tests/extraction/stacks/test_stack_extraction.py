"""Energy stacks: every layer's kernel against the truth, layers that hold nothing, cancel, and independence of what was asked for."""

import numpy as np
import pytest

import qpi_core
from qpi_core.base.errors import InputError
from qpi_core.estimates.caution import CautionKind
from qpi_core.extraction.extractor import Extractor
from qpi_core.runtime.progress import Stopped
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
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


@pytest.mark.slow
def test_every_layer_has_its_own_kernel_noise_and_symmetry(estimate):
    for index, wavenumber in enumerate(WAVENUMBERS):
        truth = phenomenological_kernel(4, 0.4, wavenumber, 0.6, 0.3, size=SIZE, pixel_size_nm=PITCH)
        error = estimate.kernels[index] - truth
        assert np.sqrt(np.mean(error**2)) < 0.02
        assert np.mean(np.abs(error) < 3 * estimate.uncertainties[index] + 1e-3) > 0.9
        assert estimate.noise_sigma[index] == pytest.approx(0.1, rel=0.15)
        # The pattern of Eq. 7 repeats with twice its wavenumber.
        q, deviation = estimate.parameters[index]["wave_vector_rad_per_nm"]
        assert abs(q - 2 * wavenumber) < 4 * deviation < 0.2 and estimate.layer(index).parameters == estimate.parameters[index]
    assert estimate.symmetry_order[:4] == (4, 4, 4, 4)
    assert estimate.complete and estimate.method == "refined"


@pytest.mark.slow
def test_layers_that_hold_nothing_say_so(estimate):
    assert np.isnan(estimate.kernels[NAN_LAYER]).all() and "Nothing" in estimate.warnings[NAN_LAYER][0]
    assert not estimate.kernels[CONSTANT_LAYER].any() and "constant" in estimate.warnings[CONSTANT_LAYER][0]
    assert estimate.background[CONSTANT_LAYER] == 2.5
    assert estimate.parameters[NAN_LAYER] == estimate.parameters[CONSTANT_LAYER] == {}
    assert estimate.usable.tolist() == [True, True, True, True, False, True]


@pytest.mark.slow
def test_a_layer_does_not_depend_on_which_others_are_asked_for(scene, estimate):
    stack, positions = scene
    alone = qpi_core.extract_stack(Extractor(device="cpu"), stack, positions, pixel_size_nm=PITCH, kernel_size=SIZE, layers=[2])
    np.testing.assert_array_equal(alone.kernels[2], estimate.kernels[2])
    np.testing.assert_array_equal(alone.uncertainties[2], estimate.uncertainties[2])
    assert alone.done.tolist() == [False, False, True, False, False, False] and np.isnan(alone.kernels[0]).all()


def test_cancel_keeps_what_is_finished_and_progress_counts(scene):
    stack, positions = scene
    seen, kept = [], []

    def report(share, words, /):
        seen.append(share)
        if len(kept) == 2:
            raise Stopped

    found = qpi_core.extract_stack(
        Extractor(device="cpu"),
        stack,
        positions,
        kernel_size=SIZE,
        method="defect_average",
        report=report,
        on_layer=lambda index, kernel: kept.append(index),
    )
    assert kept == [0, 1] and seen[-1] == 2 / 6
    assert found.done.tolist() == [True, True, False, False, False, False]
    assert np.isfinite(found.kernels[:2]).all() and np.isnan(found.kernels[2:]).all()


def test_shared_equations_are_those_of_each_layer(scene):
    stack, positions = scene
    weights = np.linspace(0.5, 1.5, len(positions))
    samples = [take_samples(stack[index], positions, weights, (1.0, 1.0)) for index in (0, 2)]
    splines = RadialSplines(1.5, 20.0)
    values = np.stack([one.values for one in samples]).astype(np.float32)
    shared = accumulate([ClassBasis(samples[0], splines, (0, 2, 4))], values)
    expected = accumulate([ClassBasis(samples[1], splines, (0, 4))]).alone()
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
    expected = accumulate([ClassBasis(samples, splines, (0, 4), span)]).alone()
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


WAVES, ENERGY_STEPS = {"A": 0.5, "B": 0.9}, 4


def rings(offsets_x, offsets_y, wave):
    radii = np.hypot(offsets_x, offsets_y)
    return np.exp(-((radii / 7) ** 2)) * np.cos(wave * radii)


@pytest.fixture(scope="module")
def noisy_rings():
    """Stack with two classes of defects at signal to noise 1, the positions, labels, and clicks that are 0.7 px off."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:64, :72]
    positions = rng.uniform([4, 4], [67, 59], (24, 2))
    labels = ["A", "B"] * 12
    stack = np.zeros((ENERGY_STEPS, 64, 72))
    for (px, py), label in zip(positions, labels, strict=True):
        for energy in range(ENERGY_STEPS):
            stack[energy] += rings(x - px, y - py, WAVES[label] + 0.08 * energy)
    stack += stack.std() * rng.standard_normal(stack.shape)
    return stack.astype(np.float32), positions, labels, positions + 0.7 * rng.standard_normal(positions.shape)


def error_of(stack_estimate, label):
    offsets = np.arange(SIZE) - SIZE // 2
    truth = [rings(offsets[None, :], offsets[:, None], WAVES[label] + 0.08 * energy) for energy in range(ENERGY_STEPS)]
    return float(np.sqrt(np.mean((stack_estimate.kernels - truth) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
@pytest.mark.parametrize("refined", [False, True], ids=["given", "refined"])
def test_every_combination_of_classes_and_positions_finds_its_kernels(noisy_rings, several, refined):
    stack, positions, labels, clicks = noisy_rings
    chosen = np.array([several or label == "A" for label in labels])
    if not several:
        y, x = np.mgrid[:64, :72]
        others = [point for point, label in zip(positions, labels, strict=True) if label == "B"]
        stack = stack - np.stack([sum(rings(x - px, y - py, 0.9 + 0.08 * e) for px, py in others) for e in range(ENERGY_STEPS)])
    classes = [label for label, kept in zip(labels, chosen, strict=True) if kept] if several else None
    arguments = {"classes": classes, "kernel_size": SIZE, "method": "harmonic"}
    extractor = Extractor(device="cpu")
    found = qpi_core.extract_stack(extractor, stack, (clicks if refined else positions)[chosen], refine_positions=refined, **arguments)
    parts = {name: found[name] for name in found.names} if several else {"A": found}
    assert set(parts) == set(WAVES if several else "A")
    for label, part in parts.items():
        assert error_of(part, label) < 0.04 and set(part.symmetry_order) == {0}
        assert len(part.positions) == 12 and part.provenance["options"]["kernel_size"] == SIZE
    places = np.vstack([part.positions for part in parts.values()])
    assert sorted(places.tolist()) == sorted(found.positions.tolist())
    off = np.hypot(*(found.positions - positions[chosen]).T)
    if refined:
        before = np.hypot(*(clicks - positions)[chosen].T)
        assert np.median(off) < 0.15 < 0.5 < np.median(before)
        record = [part.provenance["refinement"] for part in parts.values()]
        deviation = np.concatenate([one["deviation_px"] for one in record])
        assert 0.3 < np.sqrt(np.mean(off**2) / 2) / np.sqrt(np.mean(deviation**2)) < 3
        assert sorted(number for one in record for number in one["defects"]) == list(range(chosen.sum()))
        assert any("moved the defects" in note for note in found.notes)
    else:
        assert not off.any()


def only_one_class(noisy_rings):
    """The stack, the positions and the clicks of the first class, the pattern of the other one taken off."""
    stack, positions, _, clicks = noisy_rings
    y, x = np.mgrid[:64, :72]
    other = np.stack([sum(rings(x - px, y - py, WAVES["B"] + 0.08 * e) for px, py in positions[1::2]) for e in range(ENERGY_STEPS)])
    return stack - other, positions[::2], clicks[::2]


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
def test_a_list_that_the_layers_contradict_is_repaired_by_all_of_them(noisy_rings, several):
    stack, positions, labels, _ = noisy_rings
    if not several:
        (stack, positions, _), labels = only_one_class(noisy_rings), ["A"] * 12
    # Two defects are missing, and one is not there.
    listed, kinds = np.vstack([positions[2:], [[40.0, 30.0]]]), [*labels[2:], "A"]
    options = {"classes": kinds if several else None, "kernel_size": SIZE, "noise_model": "white", "layers": [0]}
    found = qpi_core.extract_stack(Extractor(device="cpu"), stack[: 2 if several else 3], listed, **options)
    for label, missing in {"A": positions[:1], "B": positions[1:2]}.items() if several else {"A": positions[:2]}.items():
        one = found[label] if several else found
        record = one.provenance["list_repair"]
        assert record["added"] == len(missing) and len(record["absent"]) == (label == "A") and record["log_evidence_gain"] > 10
        added = np.array(record["positions_px"])[-len(missing) :]
        assert np.hypot(*(added[:, None] - missing[None]).transpose(2, 0, 1)).min(axis=1).max() < 0.2
        # Positions are those of the list, as for one map, and kernels those of the repaired one.
        assert len(one.positions) == kinds.count(label)
        truth = rings(*np.meshgrid(*[np.arange(SIZE) - SIZE // 2] * 2), WAVES[label])
        assert np.sqrt(np.mean((one.kernels[0] - truth) ** 2)) < 0.03
    assert any("contradicts the list" in note and note.kind is CautionKind.LIST_CONTRADICTED for note in found.notes)


@pytest.mark.slow
def test_a_list_that_lacks_most_of_the_defects_is_completed():
    rng = np.random.default_rng(3)
    positions = rng.uniform(4, 60, (8, 2))
    kernels = [KernelParameters(4, 0.3, 3 + 0.15 * energy, 0.5, 0.2) for energy in range(4)]
    clean = np.array([simulate_observation(kernel, positions, (64, 64)) for kernel in kernels])
    stack = clean + 0.2 * clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    found = qpi_core.extract_stack(Extractor("none", device="cpu"), stack, positions[:3], kernel_size=40, method="refined")
    added = np.array(found.provenance["list_repair"]["positions_px"])[3:]
    assert len(added) == 5 and np.hypot(*(added[:, None] - positions[None, 3:]).transpose(2, 0, 1)).min(axis=0).max() < 0.2


@pytest.mark.slow
def test_a_right_list_is_left_alone_and_clicks_that_are_off_are_told(noisy_rings):
    stack, positions, clicks = only_one_class(noisy_rings)
    for given, off in ((positions, False), (clicks, True)):
        options = {"kernel_size": SIZE, "noise_model": "white", "layers": [0]}
        found = qpi_core.extract_stack(Extractor(device="cpu"), stack, given, **options)
        assert any("contradict the positions" in note for note in found.notes) == off
        assert "list_repair" not in found.provenance


def test_classes_without_a_defect_that_shows_are_named(scene):
    stack, positions = scene
    labels = ["A"] * (len(positions) - 1) + ["B"]
    weights = [1.0] * (len(positions) - 1) + [0.0]
    with pytest.raises(InputError, match="weights are all zero in the class 'B'"):
        qpi_core.extract_stack(Extractor(device="cpu"), stack, positions, classes=labels, weights=weights, kernel_size=SIZE)
    with pytest.raises(InputError, match="classes has 1 entries"):
        qpi_core.extract_stack(Extractor(device="cpu"), stack, positions, classes=["A"], kernel_size=SIZE)


def test_classes_go_layer_by_layer_where_a_method_shares_nothing(noisy_rings):
    stack, positions, labels, _ = noisy_rings
    told = []
    found = qpi_core.extract_stack(
        Extractor(device="cpu"),
        stack[:2],
        positions,
        classes=labels,
        kernel_size=SIZE,
        method="tikhonov",
        on_layer=lambda index, kernels: told.append((index, tuple(kernels))),
    )
    assert told == [(0, ("A", "B")), (1, ("A", "B"))] and found.complete
    assert np.corrcoef(found["A"].kernels[0].ravel(), found["B"].kernels[0].ravel())[0, 1] < 0.9
