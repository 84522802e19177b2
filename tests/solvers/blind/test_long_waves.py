"""Long waves and the lines' offsets: taken out of maps and of patterns alike, with and without gaps."""

import numpy as np
import pytest

from qpi_core.solvers.blind import long_waves
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.long_waves import LONGEST_WAVE, LongWaves
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank


def cosines(shape):
    """Return every cosine of at most LONGEST_WAVE and every line's constant as images, by their definition."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    images = [(y == row).astype(float) for row in range(height)]
    for down in range(height):
        for across in range(1, width):
            if np.hypot(np.pi * down / height, np.pi * across / width) <= LONGEST_WAVE:
                images.append(np.cos(np.pi * down * (y + 0.5) / height) * np.cos(np.pi * across * (x + 0.5) / width))
    return np.array(images)


@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_left_is_what_least_squares_leaves(gaps):
    rng = np.random.default_rng(2)
    measured = np.ones((50, 44), dtype=bool)
    if gaps:
        measured[5:12, 20:30] = measured[40] = False
    images = rng.standard_normal((2, 50, 44)) * measured
    design = (cosines((50, 44)) * measured)[:, measured].T
    for image, left in zip(images, LongWaves(measured).removed(images), strict=True):
        fitted = design @ np.linalg.lstsq(design, image[measured], rcond=None)[0]
        np.testing.assert_allclose(left[measured], image[measured] - fitted, atol=1e-9)
        assert not left[~measured].any()


@pytest.mark.parametrize("gaps", [False, True])
def test_the_functions_are_orthonormal_and_all_that_is_removed(gaps):
    rng = np.random.default_rng(5)
    measured = rng.random((46, 44)) > 0.1 if gaps else np.ones((46, 44), dtype=bool)
    waves = LongWaves(measured)
    functions = waves.functions().reshape(-1, measured.size)
    np.testing.assert_allclose(functions @ functions.T, np.eye(len(functions)), atol=1e-9)
    image = rng.standard_normal((1, 46, 44)) * measured
    expected = image.ravel() - functions.T @ (functions @ image.ravel())
    np.testing.assert_allclose(waves.removed(image).ravel(), expected, atol=1e-9)


def test_large_maps_with_gaps_lose_their_constant_only(monkeypatch):
    monkeypatch.setattr(long_waves, "_MOST_VALUES", 100)
    measured = np.ones((30, 30), dtype=bool)
    measured[3, 4] = False
    image = np.random.default_rng(3).standard_normal((1, 30, 30)) * measured
    np.testing.assert_allclose(LongWaves(measured).removed(image)[0][measured], image[0][measured] - image[0][measured].mean(), atol=1e-12)


def test_a_background_does_not_change_the_kernel():
    rng = np.random.default_rng(4)
    bank = FilterBank(BankShape(0, 8.0, 1.0, 1), (48, 48))
    activation = np.zeros((48, 48), dtype=np.float32)
    activation.ravel()[rng.choice(48 * 48, 15, replace=False)] = 1
    weights = np.exp(-0.3 * bank.radii) * np.cos(bank.radii)
    clean = (weights @ bank.superpositions(activation)).reshape(48, 48)
    layer = clean + 0.05 * rng.standard_normal((48, 48))
    y, x = np.mgrid[:48, :48]
    background = 3 * np.cos(np.pi * (x + 0.5) / 48) * np.cos(np.pi * (y + 0.5) / 48) + rng.standard_normal((48, 1))
    plain, hidden = (prepare_layers(one[None].astype(np.float32)) for one in (layer, layer + background))
    np.testing.assert_allclose(hidden.values, plain.values, atol=1e-4)
    fit = KernelStep(bank, hidden).solve(activation)
    kernel = fit.kernels[0] * hidden.scales[0]
    truth = np.tensordot(weights, bank.filters, axes=1)
    assert np.linalg.norm(kernel - truth) < 0.1 * np.linalg.norm(truth)
