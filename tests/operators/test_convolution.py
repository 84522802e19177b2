"""The forward operator against independent definitions."""

import numpy as np
import pytest
import torch

from qpi_core.operators.convolution import ForwardOperator, fft_length
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate, phenomenological_kernel
from qpi_core.synthesis.simulated_maps.scenes import draw_scene, superpose

SHAPES = [((12, 9), 5), ((9, 14), 6), ((16, 16), 16), ((8, 11), 21)]


def explicit_sum(kernel, positions, weights, shape):
    """Y(p) = sum_j w_j A(p - r_j), one pixel and one defect at a time; A is zero outside its window."""
    k = len(kernel)
    out = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            for (x, y), weight in zip(positions, weights, strict=True):
                i, j = row - y + k // 2, column - x + k // 2
                if 0 <= i < k and 0 <= j < k:
                    out[row, column] += weight * kernel[i, j]
    return out


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_equals_the_explicit_double_loop(shape, size):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(size, size)).astype(np.float32)
    positions = np.stack([rng.integers(0, shape[1], 7), rng.integers(0, shape[0], 7)], axis=1)
    weights = rng.normal(size=7)
    image = ForwardOperator(positions, shape, size, weights)(torch.from_numpy(kernel))
    np.testing.assert_allclose(image.numpy(), explicit_sum(kernel, positions, weights, shape), atol=2e-5)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("masked", [False, True])
def test_adjoint_identity(shape, size, masked):
    rng = np.random.default_rng(1)
    positions = rng.uniform(0, 1, (6, 2)) * [shape[1] - 1, shape[0] - 1]
    mask = rng.random(shape) > 0.3 if masked else None
    operator = ForwardOperator(positions, shape, size, rng.normal(size=6), mask)
    kernel, image = torch.randn(size, size, generator=torch.Generator().manual_seed(0)), torch.from_numpy(rng.normal(size=shape))
    left = float((operator(kernel) * image).sum())
    right = float((kernel * operator.adjoint(image)).sum())
    assert left == pytest.approx(right, rel=1e-4, abs=1e-4)


def test_equals_the_analytic_sum_with_tails():
    scene = draw_scene(seed=3, index=4)
    kernel = phenomenological_kernel(**scene.parameters.as_dict(), size=127)
    image = ForwardOperator(scene.positions, (64, 64), 127)(torch.from_numpy(kernel))
    np.testing.assert_allclose(image.numpy(), scene.clean, atol=1e-4)


def test_fractional_positions_shift_a_smooth_kernel_exactly():
    rng = np.random.default_rng(2)
    positions = rng.uniform(12, 30, (5, 2))
    gaussian = lambda dx, dy: np.exp(-(dx**2 + dy**2) / (2 * 3.0**2))  # noqa: E731
    offsets = np.arange(41) - 20.0
    kernel = gaussian(offsets[None, :], offsets[:, None]).astype(np.float32)
    image = ForwardOperator(positions, (44, 40), 41)(torch.from_numpy(kernel)).numpy()
    np.testing.assert_allclose(image, superpose(gaussian, positions, (44, 40), 1.0), atol=1e-4)


def test_a_batch_of_maps_equals_one_by_one():
    rng = np.random.default_rng(3)
    maps = [rng.uniform(0, 19, (n, 2)) for n in (1, 4, 9)]
    kernels = torch.from_numpy(rng.normal(size=(3, 11, 11)).astype(np.float32))
    together = ForwardOperator(maps, (20, 20), 11)(kernels)
    for index, positions in enumerate(maps):
        torch.testing.assert_close(together[index], ForwardOperator(positions, (20, 20), 11)(kernels[index]), atol=1e-5, rtol=1e-5)


def test_one_map_takes_a_stack_of_kernels_of_any_precision():
    operator = ForwardOperator(np.array([[3.0, 4.0]]), (10, 12), 5)
    stack = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    image = operator(stack)
    assert image.shape == (2, 3, 10, 12) and image.dtype == torch.float32


def test_gradient_is_the_adjoint():
    rng = np.random.default_rng(4)
    operator = ForwardOperator(rng.uniform(0, 9, (4, 2)), (10, 10), 7)
    kernel = torch.zeros(7, 7, requires_grad=True)
    image = torch.from_numpy(rng.normal(size=(10, 10)).astype(np.float32))
    (operator(kernel) * image).sum().backward()
    torch.testing.assert_close(kernel.grad, operator.adjoint(image), atol=1e-4, rtol=1e-4)


def test_a_masked_pixel_says_nothing():
    positions = np.array([[4.0, 4.0]])
    mask = np.ones((9, 9))
    mask[4, 4] = 0
    image = ForwardOperator(positions, (9, 9), 5, mask=mask)(torch.ones(5, 5))
    assert image[4, 4] == 0 and image[3, 3] == pytest.approx(1, abs=1e-5)


def test_a_kernel_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="kernel"):
        ForwardOperator(np.zeros((1, 2)), (8, 8), 5)(torch.zeros(6, 6))


def test_transform_lengths_are_long_enough_and_have_small_factors():
    for minimum in (1, 2, 64, 127, 190, 1150):
        length = fft_length(minimum)
        assert minimum <= length < 1.3 * minimum + 4 and length % 4 == 0 and 7**9 * 5**9 * 3**9 * 2**12 % length == 0


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_nothing_wraps_around_from_defects_at_the_border_or_beyond_it(shape, size):
    height, width = shape
    positions = np.array([[0, 0], [width - 1, height - 1], [width - 1, 0], [-size // 2 + 1, 2], [width + size // 2 - 1, height + 1]])
    kernel = np.random.default_rng(5).normal(size=(size, size)).astype(np.float32)
    image = ForwardOperator(positions, shape, size)(torch.from_numpy(kernel))
    np.testing.assert_allclose(image.numpy(), explicit_sum(kernel, positions, np.ones(5), shape), atol=2e-5)


def test_lags_count_pairs_of_defects():
    positions = np.array([[0.0, 0.0], [11.0, 2.0], [3.0, 8.0], [4.0, 6.0]])
    lags = ForwardOperator(positions, (9, 12), 5, [1.0, 2.0, 3.0, 4.0]).autocorrelation(4)
    expected = np.zeros((9, 9))
    for (x, y), weight in zip(positions.astype(int), (1, 2, 3, 4), strict=True):
        for (other_x, other_y), other in zip(positions.astype(int), (1, 2, 3, 4), strict=True):
            if max(abs(x - other_x), abs(y - other_y)) <= 4:
                expected[4 + y - other_y, 4 + x - other_x] += weight * other
    np.testing.assert_allclose(lags.numpy(), expected, atol=1e-4)


def test_the_defect_sits_where_the_kernel_has_its_centre():
    kernel = phenomenological_kernel(0, np.pi / 2, 3.0, np.pi / 2, 0.3, size=15)
    image = ForwardOperator(np.array([[6.0, 3.0]]), (10, 12), 15)(torch.from_numpy(kernel)).numpy()
    assert np.unravel_index(image.argmax(), image.shape) == (3, 6)
    assert image[3, 6] == pytest.approx(evaluate(KernelParameters(0, np.pi / 2, 3.0, np.pi / 2, 0.3), 0, 0), abs=1e-5)
