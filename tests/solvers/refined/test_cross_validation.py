"""The competition of candidates on tiles that none has seen."""

import numpy as np
import torch

from qpi_core.operators.convolution import ForwardOperator
from qpi_core.solvers.refined.cross_validation import TILE_PX, held_out_tiles, judge_candidates
from qpi_core.synthesis.simulated_maps.scenes import draw_scene

SCENE = draw_scene(seed=32, index=3, noise_level=0.3, count=30)


def judge(*kernels):
    mask = np.ones((64, 64), np.float32)
    held, label = held_out_tiles(mask)
    fitted = ForwardOperator(SCENE.positions, (64, 64), 64)(torch.from_numpy(np.stack(kernels).astype(np.float32)))
    residuals = (torch.from_numpy(SCENE.observation) - fitted) / float(SCENE.observation.std())
    operator = ForwardOperator(SCENE.positions, (64, 64), 127)
    return judge_candidates(residuals, mask, held, label, operator, 30.0)


def test_tiles_are_whole_and_measured():
    mask = np.ones((40, 56), np.float32)
    mask[:5, :5] = 0
    held, label = held_out_tiles(mask)
    assert 0.1 < held.mean() < 0.3 and not held[:5, :5].any()
    for tile in np.unique(label[held]):
        assert held[(label == tile) & (mask > 0)].all()
        assert (label == tile).sum() == TILE_PX**2


def test_the_better_kernel_wins_and_is_left_alone():
    verdict = judge(0.3 * SCENE.kernel, SCENE.kernel)
    assert verdict.index == 1 and verdict.strength is None
    noise = SCENE.noise_sigma**2 / SCENE.observation.var()
    assert 0.7 * noise < verdict.errors[1] < 1.3 * noise


def test_equals_go_to_the_most_trusted():
    assert judge(SCENE.kernel, SCENE.kernel * 1.0001).index == 0


def test_a_bad_kernel_is_corrected():
    verdict = judge(0.3 * SCENE.kernel)
    assert verdict.strength is not None and verdict.width > 0
