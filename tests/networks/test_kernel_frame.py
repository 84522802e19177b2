"""Kernel-frame inputs and (Y, M) windows."""

import numpy as np
import pytest
import torch

from qpi_core.networks.kernel_frame import CHANNELS, FRAME_SIZE, START_CHANNEL, kernel_frame, network_window, turn, turn_back
from qpi_core.networks.map_windows import MAX_WINDOWS, map_windows
from qpi_core.solvers.least_squares.regularised import prepare_map
from qpi_core.synthesis.simulated_maps.scenes import draw_scene


def frame_of(observation, positions):
    prepared = prepare_map(observation)
    return kernel_frame(torch.from_numpy(prepared.values)[None], torch.from_numpy(prepared.mask)[None], [positions])


def test_the_start_channel_is_an_estimate_of_the_kernel():
    scene = draw_scene(4, 3, count=40)
    frame = frame_of(scene.observation, scene.positions)
    assert frame.inputs.shape == (1, CHANNELS, FRAME_SIZE, FRAME_SIZE)
    estimate = network_window(frame.inputs)[0, START_CHANNEL].numpy() * float(frame.scale[0])
    truth = scene.kernel / scene.observation.std()
    assert np.corrcoef(estimate.ravel(), truth.ravel())[0, 1] > 0.98


def test_coverage_counts_the_defects_that_show_an_offset():
    observation = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    positions = np.array([[5.0, 6.0], [45.0, 30.0]])
    coverage = frame_of(observation, positions).inputs[0, 5].numpy()
    for dy, dx in ((0, 0), (-10, 0), (-10, -10), (20, 20), (0, 10)):
        seen = np.mean([0 <= x + dx < 50 and 0 <= y + dy < 40 for x, y in positions])
        assert abs(coverage[dy + FRAME_SIZE // 2, dx + FRAME_SIZE // 2] - seen) < 1e-3


@pytest.mark.slow
def test_a_turned_map_gives_a_turned_frame():
    scene = draw_scene(4, 1, noise_level=0.1, count=30)
    odd = scene.observation[:63, :63]
    positions = scene.positions[(scene.positions < 63).all(axis=1)]
    upright = frame_of(odd, positions).inputs
    for orientation in range(1, 8):
        turned_map = np.rot90(odd, orientation % 4)
        angle = orientation % 4 * np.pi / 2
        centred = positions - 31
        # rot90 turns counter-clockwise as displayed; with y downwards that is (x, y) -> (y, -x).
        cos, sin = np.cos(angle), np.sin(angle)
        turned = np.stack([cos * centred[:, 0] + sin * centred[:, 1], -sin * centred[:, 0] + cos * centred[:, 1]], axis=1)
        if orientation >= 4:
            turned_map, turned = turned_map[:, ::-1], turned * [-1, 1]
        expected = turn(upright, orientation)
        found = frame_of(np.ascontiguousarray(turned_map), turned + 31).inputs
        torch.testing.assert_close(found[:, :7], expected[:, :7], atol=5e-3, rtol=5e-3)
        # The harmonic estimate comes from a search, which ends a little elsewhere.
        torch.testing.assert_close(found[:, 7], expected[:, 7], atol=6e-2, rtol=1e-2)
        torch.testing.assert_close(turn_back(turn(expected, orientation), orientation), expected)


def test_the_centre_stays_at_32_after_turning():
    frame = torch.zeros(1, FRAME_SIZE, FRAME_SIZE)
    frame[0, 32, 32] = 1
    assert all(network_window(turn(frame, o))[0, 32, 32] == 1 for o in range(8))


def test_windows_cover_every_pixel_once_at_least_and_hold_the_defects():
    rng = np.random.default_rng(1)
    observation = rng.normal(size=(100, 150)).astype(np.float32)
    positions = np.stack([rng.integers(0, 150, 80), rng.integers(0, 100, 80)], axis=1).astype(float)
    windows = map_windows(observation, positions)
    assert windows.shape[1:] == (2, 64, 64) and 6 <= len(windows) <= MAX_WINDOWS
    assert (windows[:, 1].sum(dim=(1, 2)) > 0).all()
    whole = map_windows(observation[:64, :64], positions[(positions < 64).all(axis=1)])
    assert len(whole) == 1


def test_a_small_map_is_surrounded_by_zeros():
    windows = map_windows(np.random.default_rng(2).normal(size=(30, 40)).astype(np.float32), np.array([[0.0, 0.0]]))
    assert windows.shape == (1, 2, 64, 64)
    assert windows[0, 1].argmax() == 17 * 64 + 12 and not windows[0, 0, :17].any()


def test_a_huge_map_is_sampled():
    rng = np.random.default_rng(3)
    windows = map_windows(rng.normal(size=(600, 600)).astype(np.float32), rng.uniform(0, 599, (900, 2)))
    assert len(windows) == MAX_WINDOWS


def test_amplitudes_of_another_size_or_sign_leave_average_and_coverage_alone():
    scene = draw_scene(4, 2, noise_level=0.1, count=20)
    prepared = prepare_map(scene.observation)
    values, mask = torch.from_numpy(prepared.values)[None], torch.from_numpy(prepared.mask)[None]
    plain = kernel_frame(values, mask, [scene.positions])
    turned = kernel_frame(values, mask, [scene.positions], [np.full(20, -2.0)])
    torch.testing.assert_close(turned.inputs[:, :5], -plain.inputs[:, :5], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(turned.inputs[:, 5:7], plain.inputs[:, 5:7], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(turned.inputs[:, 7], -plain.inputs[:, 7], atol=2e-2, rtol=2e-2)
