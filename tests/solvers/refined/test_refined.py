"""The correction of a prior: against dense least squares, and what it must and must not change."""

import numpy as np
import pytest
import torch

from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.solvers.least_squares.regularised import gaussian_envelope
from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov
from qpi_core.solvers.refined.correction import Judgement, judge_correction, solve_corrections
from qpi_core.solvers.refined.refined import Prior, nothing_known, solve_refined
from qpi_core.synthesis.simulated_maps.scenes import draw_scene

SCENE = draw_scene(seed=31, index=3, noise_level=0.2, count=40)


def prior_of(kernel, name="given", freedom=10.0):
    deviation = np.full((64, 64), 0.01, np.float32)
    given = kernel.astype(np.float32)
    return Prior(name, KernelSolution(given, given, 0.0, SCENE.noise_sigma, uncertainty=deviation, symmetry_order=4), freedom)


def error(kernel):
    return float(np.sqrt(np.mean((kernel - SCENE.kernel) ** 2)))


def test_a_right_prior_is_left_alone():
    rival = Prior("none", nothing_known(SCENE.observation, 64), 1.0)
    solution = solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(SCENE.kernel), rival])
    np.testing.assert_array_equal(solution.kernel, SCENE.kernel)
    assert solution.details["correction"] == "none" and solution.symmetry_order == 4


def test_a_wrong_prior_is_corrected_and_never_worse_than_without_it():
    wrong = SCENE.kernel * 0.3
    alone = solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(wrong)])
    assert alone.symmetry_order is None and any("symmetry" in sentence for sentence in alone.warnings)
    assert alone.details["correction"] == "solved" and error(alone.kernel) < 0.4 * error(wrong)
    assert error(alone.kernel) < 1.2 * error(solve_tikhonov(SCENE.observation, SCENE.positions, 64).kernel)
    assert alone.noise_sigma == pytest.approx(SCENE.noise_sigma, rel=0.25)


def test_a_local_mistake_of_the_prior_is_mended():
    y, x = np.mgrid[:64, :64] - 32
    bump = 0.5 * np.exp(-((x - 6) ** 2 + (y + 3) ** 2) / 8)
    mended = solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(SCENE.kernel - bump)]).kernel
    assert error(mended) < 0.5 * error(SCENE.kernel - bump)


def test_the_better_of_two_priors_is_taken():
    bad, good = prior_of(-SCENE.kernel, "bad"), prior_of(SCENE.kernel, "good")
    solution = solve_refined(SCENE.observation, SCENE.positions, 64, [bad, good])
    assert solution.details["prior"] == "good" and error(solution.kernel) == 0.0


def test_rivals_are_made_only_where_the_first_prior_does_not_settle_the_matter():
    asked = []

    def rivals():
        asked.append(True)
        return [prior_of(SCENE.kernel, "rival")]

    solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(SCENE.kernel)], rivals=rivals)
    assert not asked
    lazy = solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(SCENE.kernel * 0.3)], rivals=rivals)
    eager = solve_refined(SCENE.observation, SCENE.positions, 64, [prior_of(SCENE.kernel * 0.3), prior_of(SCENE.kernel, "rival")])
    assert asked == [True] and lazy.details["prior"] == "rival"
    np.testing.assert_array_equal(lazy.kernel, eager.kernel)


def test_background_and_reconstruction_stay_consistent():
    shifted = SCENE.observation + 7
    solution = solve_refined(shifted, SCENE.positions, 64, [prior_of(SCENE.kernel * 0.3)])
    fitted = ForwardOperator(SCENE.positions, (64, 64), len(solution.wide_kernel))(torch.from_numpy(solution.wide_kernel)).numpy()
    residual = shifted - fitted - solution.background
    assert residual.std() < 1.3 * SCENE.noise_sigma
    assert abs(residual.mean()) < 0.1 * SCENE.noise_sigma, "the prior brought background 0, the data say 7"


def small_problem():
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 13, (12, 2))
    operator = ForwardOperator(positions, (14, 14), 7)
    return operator, operator(torch.eye(49).reshape(49, 7, 7)).reshape(49, -1).T.double().numpy()


def test_the_correction_is_the_posterior_mean_and_its_deviation_the_posterior_deviation():
    operator, columns = small_problem()
    rng = np.random.default_rng(1)
    strength, width = 0.5, 3.0
    envelope = gaussian_envelope(7, width).double().numpy().ravel()
    centring = np.eye(196) - 1 / 196
    precision = columns.T @ centring @ columns + np.diag(strength / envelope**2)
    truth = envelope * rng.normal(size=49)
    data = columns @ truth + rng.normal(size=196) * strength**0.5
    data -= data.mean()
    residual = torch.from_numpy(data.reshape(14, 14).astype(np.float32))
    found = solve_corrections(residual, torch.ones(14, 14), JointOperator([operator]), [Judgement(1.0, strength, width)])
    np.testing.assert_allclose(found.changes[0].ravel(), np.linalg.solve(precision, columns.T @ data), atol=5e-3)
    expected = found.noise * np.sqrt(np.diag(np.linalg.inv(precision))).mean()
    assert found.deviations[0].mean() == pytest.approx(expected, rel=0.25)
    assert found.noise == pytest.approx(strength**0.5, rel=0.2)


def test_noise_alone_justifies_no_correction():
    operator, _ = small_problem()
    decisions = []
    for seed in range(20):
        residual = torch.from_numpy(np.random.default_rng(seed).normal(size=(14, 14)).astype(np.float32))
        decisions.append(judge_correction(residual - residual.mean(), torch.ones(14, 14), operator, 12.0).strength is None)
    assert sum(decisions) >= 19
