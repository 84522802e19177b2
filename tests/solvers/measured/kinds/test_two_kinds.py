"""A list of one kind that holds two: who is who, what is offered, and that nothing is offered where one kind explains the map."""

from __future__ import annotations

import numpy as np
import pytest

import qpi_core
from qpi_core.diagnostics.verdict import Remedy, Trust, verdict_of
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.kinds.local_patterns import LocalBasis, LocalPatterns
from qpi_core.solvers.measured.kinds.two_kinds import find_two_kinds, price_of_kinds, sort_kinds
from qpi_core.synthesis.simulated_maps.measured_scene import MeasuredScene, draw_measured_scene

SEED = 90210
EXTRACTOR = qpi_core.load_extractor()


def asked(scene: MeasuredScene):
    weights = np.ones(len(scene.positions))
    problem = HarmonicProblem(scene.observation, 64, (scene.pixel_size_nm, scene.pixel_size_nm))
    return problem, scene.positions, weights, problem.simple_fit(scene.positions, weights)


@pytest.mark.slow
@pytest.mark.parametrize("index", [1, 3])
def test_a_list_of_two_kinds_is_told_and_its_classes_are_right(index):
    scene = draw_measured_scene("second-30-listed", SEED, index)
    estimate = EXTRACTOR.extract(scene.observation, scene.positions, pixel_size_nm=scene.pixel_size_nm, with_latent=False)
    assert estimate.proposed_classes == scene.classes
    assert estimate.symmetry_order is None and any("defects of two kinds" in sentence for sentence in estimate.warnings)
    # Offered, not applied: the list and its one kernel stay.
    np.testing.assert_array_equal(estimate.positions, scene.positions)
    verdict = verdict_of(estimate)
    assert (verdict.trust, verdict.remedy) == (Trust.DOUBT, Remedy.SPLIT_KINDS)
    classes = EXTRACTOR.extract_classes(
        scene.observation, scene.positions, estimate.proposed_classes, kernel_size=64, pixel_size_nm=scene.pixel_size_nm
    )
    for name in ("A", "B"):
        truth = scene.kernels[name]
        assert np.sqrt(np.mean((classes[name].kernel - truth) ** 2)) / np.ptp(truth) < 0.006
    apart = np.abs(estimate.kernel - scene.kernel) < 1.96 * estimate.uncertainty
    assert apart.mean() > 0.8


@pytest.mark.parametrize("variant", ["plain", "amplitudes-50", "flips-20", pytest.param("second-10", marks=pytest.mark.slow)])
def test_one_kind_is_not_split(variant):
    with one_thread():
        assert find_two_kinds(*asked(draw_measured_scene(variant, SEED, 1))) is None


def test_defects_beside_their_places_are_no_second_kind():
    scene = draw_measured_scene("clicks-0.5", SEED, 2)
    with one_thread():
        problem, positions, weights, one = asked(scene)
        assert sort_kinds(problem.values, positions, weights, one) is None


def test_patterns_are_the_sum_over_defects_at_the_measured_pixels():
    basis, aspect = LocalBasis(radius=4.0), (1.0, 1.5)
    positions, weights = np.array([[5.25, 6.0], [8.0, 3.5]]), np.array([1.0, -0.5])
    measured = np.ones((12, 14), dtype=bool)
    measured[2, 3] = False
    patterns = LocalPatterns.around(positions, weights, measured, aspect, basis)
    coefficients = np.random.default_rng(0).standard_normal(patterns.columns[0].shape[1])
    image = (patterns.design(np.array([1.0, 2.0])) @ coefficients).reshape(measured.shape)
    for y, x in ((6, 5), (3, 8), (2, 3), (11, 13)):
        total = 0.0
        for (px, py), weight, share in zip(positions, weights, (1.0, 2.0), strict=True):
            offset = np.array([(x - px) * aspect[1]]), np.array([(y - py) * aspect[0]])
            if measured[y, x] and np.hypot(*offset) < basis.radius + basis.ring:
                total += share * weight * float((basis.rows(*offset) @ coefficients)[0])
        assert image[y, x] == pytest.approx(total)


def test_naming_kinds_costs_the_logarithm_of_the_ways_to_do_so():
    second = np.array([True, False, False, True, False])
    assert price_of_kinds(second) == pytest.approx(np.log(5) + np.log(10))
