"""The first stage's estimate: handed over before the rest is tried, and all there is with little effort."""

import numpy as np
import pytest

import qpi_core
from qpi_core.base.errors import InputError
from qpi_core.estimates.caution import CautionKind, kind_of
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.harmonic.posterior.kernel import Renderer
from qpi_core.solvers.harmonic.problem import HarmonicProblem

SIZE = 24


@pytest.fixture(scope="module")
def extractor():
    return Extractor(device="cpu")


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(71)
    positions = rng.uniform(0, 55, (14, 2))
    pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
    return qpi_core.simulate_observation(pattern, positions, (56, 56), noise_sigma=0.1, rng=3), positions


def simple_kernel(image, positions):
    """Return the kernel of the simple model, rendered from its profiles."""
    model = HarmonicProblem(image, SIZE, None).simple_fit(positions, np.ones(len(positions)))
    return Renderer(model.frame.grid(SIZE), model.splines, model.fit.hyperparameters.orders)(model.fit.evidence.profiles)


@pytest.mark.parametrize("method", ["harmonic", "refined"])
def test_the_first_estimate_comes_before_the_answer_and_says_what_it_is(extractor, scene, method):
    image, positions = scene
    told, steps = [], []
    answer = extractor.extract(
        image, positions, method, SIZE, on_first=lambda one: told.append((len(steps), one)), report=lambda *step: steps.append(step)
    )
    [(when, first)] = told
    assert when < len(steps) and first.method == method
    np.testing.assert_allclose(first.kernel, simple_kernel(image, positions), atol=1e-5 * np.abs(first.kernel).max())
    assert CautionKind.NOT_CHECKED in map(kind_of, first.warnings)
    assert CautionKind.NOT_CHECKED not in map(kind_of, answer.warnings)


@pytest.mark.parametrize("method", ["harmonic", "refined"])
def test_little_effort_is_the_first_estimate(extractor, scene, method):
    image, positions = scene
    rows = np.linspace(-3, 3, len(image), dtype=np.float32)[:, None]
    fast = extractor.extract(image + rows, positions, method, SIZE, effort="fast")
    np.testing.assert_allclose(fast.kernel, simple_kernel(image + rows, positions), atol=1e-5 * np.abs(fast.kernel).max())
    assert fast.provenance["effort"]["chosen"] == "fast" and "a background and coloured noise" in fast.provenance["effort"]["not_tried"]
    assert CautionKind.NOT_CHECKED in map(kind_of, fast.warnings)
    assert "effort" not in extractor.extract(image, positions, "tikhonov", SIZE).provenance


@pytest.mark.slow
def test_little_effort_for_classes_and_stacks(extractor, scene):
    image, positions = scene
    labels = ["A", "B"] * (len(positions) // 2)
    classes = extractor.extract_classes(image, positions, labels, kernel_size=SIZE, effort="fast")
    orders = [classes[name].provenance["solver"]["angular_orders"] for name in "AB"]
    assert orders == ["0,4", "0,4"]
    assert all(CautionKind.NOT_CHECKED in map(kind_of, classes[name].warnings) for name in "AB")
    stack = qpi_core.extract_stack(extractor, np.stack([image, -2 * image]), positions[1:], kernel_size=SIZE, effort="fast")
    assert "list_repair" not in stack.provenance and stack.provenance["effort"]["chosen"] == "fast"
    assert CautionKind.NOT_CHECKED in map(kind_of, stack.notes)
    np.testing.assert_allclose(stack.kernels[1], -2 * stack.kernels[0], atol=0.02 * np.abs(stack.kernels[1]).max())


def test_no_other_effort(extractor, scene):
    image, positions = scene
    for call in (
        lambda: extractor.extract(image, positions, kernel_size=SIZE, effort="little"),
        lambda: extractor.extract_classes(image, positions, ["A"] * len(positions), kernel_size=SIZE, effort=""),
        lambda: qpi_core.extract_stack(extractor, image[None], positions, kernel_size=SIZE, effort="most"),
    ):
        with pytest.raises(InputError, match="effort must be one of full, fast"):
            call()


@pytest.mark.slow
def test_a_first_look_comes_before_the_window_is_chosen_and_the_defects_are_moved(extractor, scene):
    image, positions = scene
    clicks = positions + 0.4 * np.random.default_rng(5).standard_normal(positions.shape)
    told = []
    answer = extractor.extract(image, clicks, "harmonic", "auto", True, on_first=told.append)
    assert [CautionKind.NOT_CHECKED in map(kind_of, one.warnings) for one in told] == [True, True]
    np.testing.assert_array_equal(told[0].positions, clicks)
    assert told[0].kernel_size == 56 and told[1].kernel_size == answer.kernel_size
    np.testing.assert_array_equal(told[1].positions, answer.positions)


@pytest.mark.slow
def test_methods_without_a_first_stage_tell_nothing(extractor, scene):
    image, positions = scene
    told = []
    extractor.extract(image, positions, "tikhonov", SIZE, True, on_first=told.append)
    extractor.extract(np.full_like(image, 2.0), positions, "refined", SIZE, on_first=told.append)
    assert not told
