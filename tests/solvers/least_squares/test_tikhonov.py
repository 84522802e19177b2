"""Tikhonov and the defect average: against dense least squares, explicit crops, and the truth."""

import numpy as np
import pytest
import torch

from qpi_core.base.errors import InputError
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.solvers.defect_average import solve_defect_average
from qpi_core.solvers.least_squares.amplitude import fit_amplitude
from qpi_core.solvers.least_squares.regularised import gaussian_envelope, solve_shifted
from qpi_core.solvers.least_squares.tikhonov import solve_tikhonov
from qpi_core.synthesis.simulated_maps.scenes import draw_scene


def relative_error(kernel, truth):
    return float(np.sqrt(np.mean((kernel - truth) ** 2)) / np.ptp(truth))


def test_solve_equals_dense_regularised_least_squares_with_a_free_background():
    rng = np.random.default_rng(0)
    positions, shape, size = rng.uniform(0, 9, (5, 2)), (10, 11), 5
    operator = ForwardOperator(positions, shape, size)
    columns = operator(torch.eye(25).reshape(25, 5, 5)).reshape(25, -1).T.double().numpy()
    mask = rng.random(shape) > 0.2
    values = rng.normal(size=shape).astype(np.float32)
    envelope = gaussian_envelope(size, 2.0)
    # Dense: unknowns (25 kernel pixels, background), penalty on the kernel alone.
    design = np.hstack([columns, np.ones((110, 1))])[mask.ravel()]
    penalty = np.diag([*(0.3 / envelope.double().numpy().ravel() ** 2), 0.0])
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ values.ravel()[mask.ravel()])[:25].reshape(5, 5)
    found = solve_shifted(operator, torch.from_numpy(values), torch.from_numpy(mask.astype(np.float32)), envelope, torch.tensor([0.3]), 80)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(("level", "limit"), [(0.0, 0.01), (0.2, 0.04)])
def test_finds_the_kernel_and_the_noise(level, limit):
    scene = draw_scene(seed=77, index=3, noise_level=level, count=40)
    solution = solve_tikhonov(scene.observation + 5.0, scene.positions, 64)
    assert relative_error(solution.kernel, scene.kernel) < limit
    if level:
        assert solution.noise_sigma == pytest.approx(scene.noise_sigma, rel=0.15)


def test_amplitude_sign_and_offset_pass_through():
    scene = draw_scene(seed=77, index=1, noise_level=0.1, count=20)
    base = solve_tikhonov(scene.observation, scene.positions, 32)
    changed = solve_tikhonov(-1e-12 * scene.observation + 3e-12, scene.positions, 32)
    np.testing.assert_allclose(changed.kernel / -1e-12, base.kernel, atol=2e-3)
    assert changed.background == pytest.approx(3e-12 - 1e-12 * base.background, abs=1e-13)


def test_unmeasured_pixels_take_no_part():
    scene = draw_scene(seed=77, index=2, noise_level=0.05, count=40)
    holed = scene.observation.copy()
    holed[20:30, 10:50] = np.nan
    worse = holed.copy()
    solution = solve_tikhonov(holed, scene.positions, 64)
    assert relative_error(solution.kernel, scene.kernel) < 0.05
    worse[20:30, 10:50] = 1e3
    assert relative_error(solve_tikhonov(worse, scene.positions, 64).kernel, scene.kernel) > 0.1


def test_weights_are_amplitudes():
    scene = draw_scene(seed=77, index=4, count=30)
    doubled = solve_tikhonov(2 * scene.observation, scene.positions, 32, weights=np.full(30, 2.0))
    np.testing.assert_allclose(doubled.kernel, solve_tikhonov(scene.observation, scene.positions, 32).kernel, atol=2e-3)


def test_constant_map_gives_a_zero_kernel():
    solution = solve_tikhonov(np.full((40, 30), 3.5), [[10, 10], [20, 30]], 16)
    assert np.abs(solution.kernel).max() < 1e-4 and solution.background == pytest.approx(3.5)


def test_average_equals_the_mean_of_the_crops():
    rng = np.random.default_rng(1)
    map_ = rng.normal(size=(30, 40)).astype(np.float32)
    positions = np.array([[10.2, 12.0], [25.0, 14.4], [2.0, 1.0]])
    average = solve_defect_average(map_, positions, 9).kernel
    centred = map_ - map_.mean()
    for i in range(9):
        for j in range(9):
            places = [(round(y) + i - 4, round(x) + j - 4) for x, y in positions]
            seen = [centred[p] for p in places if p[0] >= 0 and p[1] >= 0]
            assert average[i, j] == pytest.approx(np.mean(seen), abs=1e-4)


def test_amplitude_fit_is_least_squares():
    rng = np.random.default_rng(2)
    prediction = rng.normal(size=(9, 9)).astype(np.float32)
    observation = (-2.5 * prediction + 4).astype(np.float32)
    observation[0, 0] = np.nan
    assert fit_amplitude(observation, prediction) == pytest.approx((-2.5, 4.0), rel=1e-5)
    assert fit_amplitude(observation, np.ones((9, 9), np.float32))[0] == 0.0


@pytest.mark.parametrize("solve", [solve_tikhonov, solve_defect_average])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kernel_size": 65}, "kernel_size"),
        ({"kernel_size": 2}, "kernel_size"),
        ({"kernel_size": 10.5}, "kernel_size"),
        ({"positions": [[64.0, 3.0]]}, "position"),
        ({"positions": np.zeros((2, 3))}, "position"),
        ({"observation": np.zeros((4, 64, 64))}, "observation"),
        ({"observation": np.full((64, 64), np.nan)}, "observation"),
        ({"observation": np.zeros((64, 64), dtype=complex)}, "observation"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [0.0, 0.0]}, "weights"),
    ],
)
def test_bad_input_gets_a_sentence(solve, change, word):
    arguments = {"observation": np.ones((64, 64)), "positions": [[3, 4], [30, 20]], "kernel_size": 32} | change
    with pytest.raises(InputError, match=word):
        solve(**arguments)


def test_average_of_crops_with_defects_of_no_amplitude():
    rng = np.random.default_rng(4)
    observation, positions = rng.normal(size=(30, 30)), np.array([[2.0, 3.0], [20.0, 15.0]])
    both = solve_defect_average(observation, positions, 25, weights=[0.0, 1.0])
    alone = solve_defect_average(observation, positions[1:], 25)
    np.testing.assert_allclose(both.kernel, alone.kernel, atol=1e-4)
