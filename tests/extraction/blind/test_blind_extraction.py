"""Kernel and defects from the map alone: what is found, what is not trusted, and what is refused."""

import numpy as np
import pytest

from qpi_core import InputError, load_extractor
from qpi_core.estimates.blind_estimate import BlindEstimate, BlindStackEstimate
from qpi_core.evaluation.metrics import cosine
from qpi_core.results.session.session_file import SavedResult, Session, load_session, session_bytes
from qpi_core.synthesis.simulated_maps.scenes import draw_scene

EXTRACTOR = load_extractor(device="cpu")
NOISE = np.random.default_rng(5).standard_normal((48, 48))


def recall(found, truth):
    return float((np.hypot(*(truth[:, None] - found).transpose(2, 0, 1)).min(axis=1) <= 1).mean())


@pytest.fixture(scope="module")
def scene():
    return draw_scene(91, 3, 0.1, count=14)


@pytest.fixture(scope="module")
def estimate(scene):
    return EXTRACTOR.extract_blind(scene.observation, pixel_size_nm=scene.pixel_size_nm)


@pytest.mark.slow
def test_kernel_and_defects_are_found_and_trusted(scene, estimate):
    assert isinstance(estimate, BlindEstimate) and estimate.trusted and "noise" in estimate.reason
    assert cosine(estimate.kernel, scene.kernel) > 0.99
    assert recall(estimate.positions, scene.positions) == 1 and recall(scene.positions, estimate.positions) == 1
    assert estimate.noise_sigma == pytest.approx(scene.noise_sigma, rel=0.1)
    np.testing.assert_allclose(estimate.reconstruction + estimate.residual, scene.observation, atol=1e-5)


@pytest.mark.slow
def test_the_answer_is_that_of_refined_with_the_list_found(scene, estimate):
    given = EXTRACTOR.extract(scene.observation, estimate.positions, "refined", pixel_size_nm=scene.pixel_size_nm, with_latent=False)
    np.testing.assert_allclose(estimate.kernel, given.kernel, atol=1e-3 * np.abs(given.kernel).max())
    assert estimate.uncertainty is not None and estimate.parameters.keys() == given.parameters.keys()


@pytest.mark.slow
def test_the_side_car_says_how_it_was_found(estimate):
    record = estimate.provenance["blind"]
    assert record["trusted"] is True and record["defects"] == len(estimate.positions) and record["seed"] == 0
    assert estimate.summary()["trusted"] is True and estimate.summary()["reason"] == estimate.reason
    best = estimate.alternatives[0]
    assert best.evidence == 0 and cosine(best.kernel, estimate.kernel) > 0.99
    assert estimate.with_source({"name": "m"}).trusted


@pytest.mark.slow
def test_a_session_keeps_kernel_and_list(scene, estimate):
    again = load_session(session_bytes(Session(None, np.zeros((0, 2)), {}, (SavedResult(estimate, scene.observation, {}),))))
    np.testing.assert_array_equal(again.results[0].estimate.positions, estimate.positions)
    assert again.results[0].estimate.provenance["blind"]["trusted"] is True


def test_a_constant_map_holds_nothing():
    found = EXTRACTOR.extract_blind(np.full((40, 50), 3.0), kernel_size=20)
    assert not found.trusted and "constant" in found.reason and found.reason in found.warnings[0]
    assert found.positions.shape == (0, 2) and not found.kernel.any() and np.all(found.reconstruction == 3)


def test_a_tiny_map_is_too_small():
    found = EXTRACTOR.extract_blind(NOISE[:12, :16], kernel_size=9)
    assert not found.trusted and "at least 24 x 24" in found.reason


def test_a_constant_stack_holds_nothing():
    found = EXTRACTOR.extract_blind(np.ones((3, 30, 30)), kernel_size=20, bias_mv=[1.0, 2.0, 3.0])
    assert isinstance(found, BlindStackEstimate) and not found.trusted and found.reason in found.notes[0]
    assert found.kernels.shape == (3, 20, 20) and found.complete and found.bias_mv.tolist() == [1, 2, 3]


@pytest.mark.slow
def test_noise_alone_is_not_trusted():
    found = EXTRACTOR.extract_blind(NOISE, kernel_size=32, time_limit_s=30)
    assert not found.trusted and "noise" in found.reason


@pytest.mark.slow
def test_a_lattice_is_not_trusted():
    y, x = np.mgrid[:48, :48].astype(float)
    lattice = np.cos(2 * np.pi * x / 7.3) + np.cos(2 * np.pi * (0.8 * y + 0.3 * x) / 7.1)
    found = EXTRACTOR.extract_blind(lattice + 0.1 * NOISE, kernel_size=32, time_limit_s=10)
    assert not found.trusted and "lattice" in found.reason and found.alternatives


@pytest.mark.slow
def test_one_defect_is_not_trusted():
    single = draw_scene(91, 4, 0.1, count=1)
    found = EXTRACTOR.extract_blind(single.observation, time_limit_s=15)
    assert not found.trusted and found.warnings[0].endswith(found.reason)


@pytest.mark.slow
def test_a_map_smaller_than_the_kernel_is_not_trusted(scene):
    found = EXTRACTOR.extract_blind(scene.observation[:40, :40], time_limit_s=10)
    assert not found.trusted and "smaller than the kernel" in found.reason and found.kernel.shape == (40, 40)


@pytest.mark.slow
def test_one_list_serves_all_energies():
    rng = np.random.default_rng(7)
    first, second = (draw_scene(92, index, 0.0, count=24) for index in (1, 6))
    from qpi_core.synthesis.kernel_families.equation_7 import evaluate
    from qpi_core.synthesis.simulated_maps.scenes import superpose

    other = superpose(lambda dx, dy: evaluate(second.parameters, dx, dy), first.positions, (64, 64), first.pixel_size_nm)
    layers = [layer / layer.std() + 0.3 * rng.standard_normal((64, 64)) for layer in (first.clean, other)]
    found = EXTRACTOR.extract_blind(np.stack(layers), bias_mv=[-5.0, 5.0], pixel_size_nm=first.pixel_size_nm)
    assert isinstance(found, BlindStackEstimate) and found.trusted
    assert recall(found.positions, first.positions) == 1
    assert cosine(found.kernels[0], first.kernel) > 0.98 and cosine(found.kernels[1], second.kernel) > 0.98


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"classes": 4}, "at most 3 kinds of defects"),
        ({"classes": 0}, "classes must be"),
        ({"kernel_size": 2}, "kernel_size must be"),
        ({"time_limit_s": 0}, "time_limit_s must be"),
        ({"time_limit_s": float("nan")}, "time_limit_s must be"),
        ({"seed": -1}, "seed must be"),
        ({"pixel_size_nm": -1.0}, "pixel_size_nm must be"),
    ],
)
def test_bad_options_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        EXTRACTOR.extract_blind(NOISE, **arguments)


@pytest.mark.parametrize(
    "marks, words", [([[60.0, 3.0]], "marks holds 1 outside"), ([1.0, 2.0], "marks must have"), ([], "marks is empty")]
)
def test_bad_marks_are_refused(marks, words):
    with pytest.raises(InputError, match=words):
        EXTRACTOR.extract_blind(NOISE, marks=marks)


@pytest.mark.parametrize(
    "observation, words",
    [
        (np.zeros(5), "a map"),
        (np.zeros((2, 3, 4, 5)), "a map"),
        (np.zeros((0, 30, 30)), "no energy"),
        (np.full((30, 30), np.nan), "no measured pixel"),
        (np.zeros((400, 400)), "at most 131072"),
    ],
)
def test_bad_observations_are_refused(observation, words):
    with pytest.raises(InputError, match=words):
        EXTRACTOR.extract_blind(observation)


def test_what_the_report_raises_stops_the_search(scene):
    class Stopped(Exception):
        pass

    def stop(share, words):
        assert 0 <= share <= 1 and words
        raise Stopped

    with pytest.raises(Stopped):
        EXTRACTOR.extract_blind(scene.observation, report=stop)
