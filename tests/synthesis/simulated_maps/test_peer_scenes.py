"""Scenes of the peers' protocol: ratios as asked for, circular sums against an explicit loop, lattice kernels."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.simulated_maps.peer_scenes import (
    DENSITIES,
    KERNEL_RATIOS,
    SIGNALS_TO_NOISE,
    PeerRecipe,
    circular_superposition,
    draw_lattice_kernel,
    draw_peer_scene,
)


def test_circular_superposition_by_an_explicit_loop():
    rng = np.random.default_rng(0)
    kernel, positions = rng.normal(size=(5, 5)), np.array([[0.0, 1.0], [10.0, 9.0], [3.0, 3.0]])
    expected = np.zeros((11, 11))
    for x, y in positions.astype(int):
        for row in range(5):
            for column in range(5):
                expected[(y + row - 2) % 11, (x + column - 2) % 11] += kernel[row, column]
    np.testing.assert_allclose(circular_superposition(kernel, positions, 11), expected, atol=1e-12)


@pytest.mark.parametrize("ratio", KERNEL_RATIOS)
def test_scenes_have_the_ratios_that_are_asked_for(ratio):
    for density, signal in ((DENSITIES[0], SIGNALS_TO_NOISE[0]), (DENSITIES[-1], SIGNALS_TO_NOISE[-1])):
        recipe = PeerRecipe(ratio, density, signal)
        scene = draw_peer_scene(recipe, 3, 1)
        assert scene.observation.shape == (150, 150)
        assert len(scene.kernels[0]) % 2 == 1 and abs(len(scene.kernels[0]) / 150 - ratio) <= 1.01 / 150
        assert len(scene.positions[0]) == pytest.approx(density * 2500, rel=0.2)
        assert (scene.positions[0] % 3 == 1).all() and len(np.unique(scene.positions[0], axis=0)) == len(scene.positions[0])
        clean = circular_superposition(scene.kernels[0].astype(float), scene.positions[0], 150)
        noise = scene.observation - clean
        assert clean.var() / noise.var() == pytest.approx(signal, rel=0.1)
        assert scene.noise_sigma == pytest.approx(noise.std(), rel=0.03)


def test_kernels_are_four_fold_gone_at_the_edge_and_differ():
    recipe = PeerRecipe(0.2)
    kernels = [draw_lattice_kernel(recipe, np.random.default_rng(seed)) for seed in range(5)]
    for kernel in kernels:
        assert np.linalg.norm(kernel) == pytest.approx(1.0)
        np.testing.assert_allclose(np.rot90(kernel), kernel, atol=1e-3 * np.abs(kernel).max())
        edge = np.abs(np.concatenate([kernel[0], kernel[-1], kernel[:, 0], kernel[:, -1]])).max()
        assert edge < 0.03 * np.abs(kernel).max()
    assert abs(np.vdot(kernels[0], kernels[1])) < 0.999


def test_kinds_and_seeds():
    two = draw_peer_scene(PeerRecipe(0.1, 0.02, 4.0, kinds=2), 1, 0)
    one = draw_peer_scene(PeerRecipe(0.1, 0.02, 4.0), 1, 0)
    np.testing.assert_array_equal(two.kernels[0], one.kernels[0])
    np.testing.assert_array_equal(two.positions[0], one.positions[0])
    assert len(two.kernels) == len(two.positions) == 2 and not np.allclose(two.kernels[0], two.kernels[1])
    quiet = draw_peer_scene(PeerRecipe(0.1, 0.02, 400.0), 1, 0)
    clean = circular_superposition(one.kernels[0].astype(float), one.positions[0], 150)
    np.testing.assert_allclose(one.observation - clean, 10 * (quiet.observation - clean), atol=1e-4)
    assert not np.array_equal(draw_peer_scene(PeerRecipe(), 1, 1).observation, draw_peer_scene(PeerRecipe(), 2, 1).observation)


@pytest.mark.parametrize(
    ("values", "word"),
    [({"kernel_ratio": 0.9}, "kernel_ratio"), ({"density": 0.0}, "density"), ({"kernel_ratio": 0.01, "sites": 20}, "5 are needed")],
)
def test_impossible_scenes_are_refused(values, word):
    with pytest.raises(InputError, match=word):
        PeerRecipe(**values)
