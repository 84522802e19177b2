"""Classes whose kernels are stretched, each in coordinates of its own: against the truth, and dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.joint.fit import fit_jointly, joint_solutions
from qpi_core.solvers.harmonic.joint.start import DefectClass, samples_of
from qpi_core.solvers.harmonic.joint.stretch import stretched_jointly
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from tests.solvers.harmonic.stretched_patterns import noisy_map, on_window, stretched_pattern

SIZE, SHAPE, ORDERS = 24, (46, 50), (0, 3, 4)
NUMBERS = np.array([0.07, 0.04])


def test_patterns_seen_past_others_are_multiplied_by_the_inverse_root_of_their_covariance():
    rng = np.random.default_rng(0)
    samples = take_samples(rng.standard_normal((7, 8)).astype(np.float32), np.array([[3.0, 3.0]]), np.ones(1))
    columns, rows = rng.standard_normal((56, 3)), rng.standard_normal((56, 2))
    design = StoredDesign(samples, RadialSplines(1.0, 6.0), (0,))
    seen = design.past(columns)
    dense = np.linalg.inv(np.real(sqrtm(np.eye(56) + columns @ columns.T)))
    np.testing.assert_allclose(seen.as_seen(rows), dense @ rows, atol=1e-10)
    np.testing.assert_array_equal(design.as_seen(rows), rows)


def test_samples_of_a_class_remember_their_pixels_and_their_stretch():
    image = np.arange(20.0, dtype=np.float32).reshape(4, 5)
    image[1, 2] = np.nan
    one = DefectClass(np.array([[1.5, 2.0]]), np.ones(1))
    common = take_samples(image, np.zeros((1, 2)), np.ones(1), (1.25, 0.8))
    own = samples_of(common, one, (1.25, 0.8), NUMBERS)
    np.testing.assert_array_equal(image[own.places], own.values)
    back = np.linalg.inv(own.stretch)
    np.testing.assert_allclose(back @ np.stack([own.x, own.y]), [0.8 * own.places[1], 1.25 * own.places[0]], atol=1e-12)
    np.testing.assert_allclose(back @ own.positions[0], [0.8 * 1.5, 1.25 * 2.0], atol=1e-12)


@pytest.mark.slow
def test_a_class_is_solved_in_stretched_coordinates_beside_one_that_is_not_stretched():
    rng = np.random.default_rng(3)
    kernels = [stretched_pattern(4, NUMBERS), stretched_pattern(3, np.zeros(2), 0.6, 1.0)]
    places = [rng.uniform(0, 1, (n, 2)) * [SHAPE[1] - 1, SHAPE[0] - 1] for n in (11, 7)]
    image = noisy_map(kernels, places, SHAPE, 0.2, rng)
    classes = [DefectClass(points, np.ones(len(points))) for points in places]
    plain = fit_jointly(image, classes, SIZE, None, ORDERS)
    found = stretched_jointly(HarmonicProblem(image, SIZE, None, symmetry_orders=ORDERS), classes, plain)
    assert found.log_evidence > plain.log_evidence + 20
    stretch, none = (model.stretch for model in found.models)
    assert none is None and stretch is not None
    off = stretch.numbers - NUMBERS
    assert off @ np.linalg.solve(stretch.covariance, off) < 12
    assert np.sqrt(stretch.covariance.diagonal().max()) < 0.01
    truth = on_window(kernels[0], SIZE)
    before, after = (
        float(np.sqrt(np.mean((joint_solutions(joint, classes, SHAPE, SIZE, None)[0].kernel - truth) ** 2))) for joint in (plain, found)
    )
    assert after < 0.6 * before
