"""What a kernel predicts of quarters that it was not solved from, against a least-squares problem that is written out."""

import numpy as np
import pytest

from qpi_core.solvers.blind.finish import Finding
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.trust.hold_out import doubt_about_prediction, held_out_share
from qpi_core.synthesis.simulated_maps.scenes import draw_scene


def finding_of(observation, positions):
    layers = prepare_layers(observation[None].astype(np.float32))
    step = KernelStep(FilterBank(BankShape(4, 30.0, 1.0, 2, spot=True), layers.shape), layers)
    weights = np.ones(len(positions))
    return Finding(step, positions, weights, 0 * weights, step.solve_at(positions, weights), 0.0)


SCENE = draw_scene(91, 3, 0.2, count=14)
RIGHT = finding_of(SCENE.observation[:40, :44], SCENE.positions[(SCENE.positions < [43, 39]).all(axis=1)])


def test_the_share_is_that_of_dense_least_squares():
    fit, layers = RIGHT.fit, RIGHT.step.layers
    design, data = RIGHT.step.design_at(RIGHT.positions, RIGHT.weights), layers.values[0].ravel().astype(float)
    y, x = np.divmod(np.arange(40 * 44), 44)
    left = []
    for down in (y < 20, y >= 20):
        for part in (down & (x < 22), down & (x >= 22)):
            rows = np.vstack([design[:, ~part].T @ fit.roots[0], np.sqrt(fit.precisions[0]) * np.eye(len(design))])
            values = np.concatenate([data[~part], np.zeros(len(design))])
            kernel = fit.roots[0] @ np.linalg.lstsq(rows, values, rcond=None)[0]
            # The variance of each prediction, pixel by pixel, from the same rows.
            inverse = np.linalg.pinv(rows)
            spread = np.sum((design[:, part].T @ fit.roots[0] @ inverse) ** 2, axis=1) * fit.variances[0]
            left.append(np.mean((data[part] - kernel @ design[:, part]) ** 2) - layers.noise[0] - np.mean(spread))
    assert held_out_share(RIGHT) == pytest.approx(max(left), rel=1e-6)


def test_places_drawn_at_random_predict_nothing():
    rng = np.random.default_rng(4)
    wrong = finding_of(SCENE.observation, rng.integers(0, 64, (14, 2)).astype(float))
    right = finding_of(SCENE.observation, SCENE.positions)
    assert doubt_about_prediction(right) is None
    assert held_out_share(wrong) > 0.3 and "three quarters of the map" in doubt_about_prediction(wrong)
