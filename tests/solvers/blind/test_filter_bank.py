"""Banks of filters against sums that are written out."""

import numpy as np
import pytest

from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

SHAPE = (13, 11)
BANK = FilterBank(BankShape(3, 3.0, 1.5, 1, spot=True), SHAPE)


def pasted(kernel, x, y):
    """Return a window with its centre put at a pixel of the map, cropped to it."""
    half, picture = len(kernel) // 2, np.zeros(SHAPE)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            dy, dx = row - y + half, column - x + half
            if 0 <= dy < len(kernel) and 0 <= dx < len(kernel):
                picture[row, column] = kernel[dy, dx]
    return picture


def test_superpositions_are_sums_over_the_defects():
    activation = np.zeros(SHAPE, dtype=np.float32)
    activation[0, 3], activation[12, 10], activation[6, 4] = 1, 0.5, 2
    found = BANK.superpositions(activation).reshape(-1, *SHAPE)
    for kernel, picture in zip(BANK.filters, found, strict=True):
        explicit = pasted(kernel, 3, 0) + 0.5 * pasted(kernel, 10, 12) + 2 * pasted(kernel, 4, 6)
        np.testing.assert_allclose(picture, explicit, atol=1e-5)


def test_defects_on_pixels_are_the_same_between_pixels():
    activation = np.zeros(SHAPE, dtype=np.float32)
    activation[2, 7], activation[11, 0] = 1, 0.7
    between = BANK.superpositions_at(np.array([[7.0, 2.0], [0.0, 11.0]]), np.array([1.0, 0.7]))
    np.testing.assert_allclose(between, BANK.superpositions(activation), atol=2e-5)


def test_responses_are_correlations_with_zero_beyond_the_map():
    layer = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    found = BANK.responses(layer).reshape(-1, *SHAPE)
    for row, column in ((0, 0), (6, 5), (12, 10)):
        explicit = [np.sum(layer * pasted(kernel, column, row)) for kernel in BANK.filters]
        np.testing.assert_allclose(found[:, row, column], explicit, atol=1e-4)


@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_kernels_of_a_bank_have_its_symmetry(order):
    bank = FilterBank(BankShape(order, 6.0, 1.0, 2), (32, 32))
    kernel = bank.kernel(np.random.default_rng(1).standard_normal(bank.count))
    if order in (2, 4, 6):
        np.testing.assert_allclose(kernel[::-1, ::-1], kernel, atol=1e-6)
    if order == 4:
        np.testing.assert_allclose(np.rot90(kernel), kernel, atol=1e-6)
    if order == 3:
        assert not np.allclose(kernel[::-1, ::-1], kernel, atol=1e-2)


def test_the_gram_matrix_is_that_of_the_responses_to_white_noise():
    bank = FilterBank(BankShape(0, 3.0, 1.5, 1), (64, 64))
    rng = np.random.default_rng(2)
    inner = slice(8, -8)
    responses = np.concatenate(
        [
            bank.responses(rng.standard_normal((64, 64)).astype(np.float32)).reshape(-1, 64, 64)[:, inner, inner].reshape(bank.count, -1)
            for _ in range(40)
        ],
        axis=1,
    )
    np.testing.assert_allclose(responses @ responses.T / responses.shape[1], bank.gram(), rtol=0.05, atol=0.02 * bank.gram().max())
