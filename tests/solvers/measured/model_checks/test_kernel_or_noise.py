"""What stationary noise could gain, and that a kernel which gains more is believed without a search for noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured import mended_list
from qpi_core.solvers.measured.measured_map import explain_map, explained_by_white_noise
from qpi_core.solvers.measured.model_checks.kernel_or_noise import predicts_unseen_parts, stationary_gain
from qpi_core.synthesis.simulated_maps.scenes import superpose

SHAPE = (48, 56)


def noise(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE)


def test_gain_is_that_of_the_true_spectrum():
    width = 1.2
    frequencies = np.meshgrid(np.fft.fftfreq(SHAPE[0]), np.fft.fftfreq(SHAPE[1]), indexing="ij")
    transfer = np.exp(-2 * (np.pi * width) ** 2 * (frequencies[0] ** 2 + frequencies[1] ** 2))
    spectrum = transfer**2 + 0.05
    expected = 0.5 * np.sum(np.log(spectrum.mean() / spectrum))
    coloured = gaussian_filter(noise(1), width, mode="wrap") + np.sqrt(0.05) * noise(2)
    assert stationary_gain(coloured) == pytest.approx(expected, rel=0.1)
    assert abs(stationary_gain(7 * noise(3))) < 0.02 * expected


@pytest.mark.slow
def test_a_kernel_predicts_parts_that_it_has_not_seen_and_one_that_follows_a_background_does_not():
    positions = np.random.default_rng(4).uniform(0, 47, (14, 2))
    grain = gaussian_filter(noise(6), 4.0, mode="wrap")
    answers = []
    for pattern, background in ((lopsided, 0.0), (round_wave, 1.0)):
        clean = superpose(pattern, positions, SHAPE, 1.0)
        values = clean / clean.std() + background * grain / grain.std() + 0.2 * noise(5)
        problem = HarmonicProblem(values.astype(np.float32), 32, None)
        start = problem.start(positions, np.ones(14))
        answers.append(predicts_unseen_parts(start, problem.fit(positions, np.ones(14), start)))
    assert answers == [True, False]


def lopsided(dx, dy):
    return np.exp(-(dx**2 + dy**2) / 40) * np.cos(0.9 * dx + 0.2 * dy) + 0.3 * np.exp(-((dx - 4) ** 2 + (dy - 1) ** 2) / 6)


def round_wave(dx, dy):
    return np.exp(-(dx**2 + dy**2) / 60) * np.cos(0.9 * np.hypot(dx, dy))


@pytest.mark.slow
def test_a_kernel_of_many_orders_explains_its_map_and_a_background_is_left_to_the_noise_model():
    def kernel(dx, dy):
        radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
        shape = 0.5 + 0.5 * np.cos(4 * turn + 0.3) + 0.8 * np.cos(8 * turn) * (radius > 4)
        return shape * np.cos(0.7 * radius + 0.5) * np.exp(-0.012 * radius**2)

    positions = np.random.default_rng(4).uniform(2, 46, (14, 2))
    clean = superpose(kernel, positions, SHAPE, 1.0)
    white = 0.2 * clean.std() * noise(5)
    background = gaussian_filter(noise(6), 8.0)
    answers = []
    for added in (0.0, 0.5 * clean.std() / background.std() * background):
        problem = HarmonicProblem((clean + white + added).astype(np.float32), 32, None)
        answers.append(explained_by_white_noise(problem, positions, np.ones(14), problem.start(positions, np.ones(14))))
    assert answers[0] is not None and answers[0][-1].repair is None
    assert answers[0][-1].model.fit.hyperparameters.mixing_kind == "independent"
    assert answers[1] is None


@pytest.mark.slow
def test_a_kernel_like_a_wave_is_neither_noise_nor_a_wrong_list(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the kernel explains all of the map")

    def kernel(dx, dy):
        wave = np.exp(-(dx**2 + dy**2) / 60) * np.cos(0.8 * dx + 0.2 * dy)
        return wave + 0.3 * np.exp(-((dx - 4) ** 2 + (dy - 1) ** 2) / 6)

    monkeypatch.setattr(mended_list, "repaired_list", refuse)
    shape, rng = (72, 90), np.random.default_rng(73)
    positions = rng.uniform(0, 71, (30, 2))
    clean = superpose(kernel, positions, shape, 1.0)
    problem = HarmonicProblem((clean + 0.2 * clean.std() * rng.standard_normal(shape)).astype(np.float32), 48, None)
    assert explain_map(problem, positions, np.ones(30)) is None
