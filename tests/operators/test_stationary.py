"""The normal operator of a large map as a convolution: against the normal operator itself, and what is sampled with it."""

import numpy as np
import pytest
import torch

from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.stationary import StationaryNormal, is_large
from qpi_core.solvers.least_squares.regularised import gaussian_envelope
from qpi_core.solvers.refined.correction import _sample_map, _sample_window

RNG = np.random.default_rng(4)
SHAPE, WINDOW = (150, 170), 21
POSITIONS = RNG.uniform(0, 1, (200, 2)) * (169, 149)
WEIGHTS = RNG.uniform(0.5, 1.5, 200)


def test_it_is_the_normal_operator_up_to_the_border():
    mask = torch.ones(SHAPE)
    mask[40:60] = 0
    operator = ForwardOperator(POSITIONS, SHAPE, WINDOW, WEIGHTS)
    stationary = StationaryNormal(operator, mask)
    y, x = np.mgrid[:WINDOW, :WINDOW] - WINDOW // 2
    kernel = torch.from_numpy((np.cos(0.9 * np.hypot(x, y)) * np.exp(-(x**2 + y**2) / 60)).astype(np.float32))
    exact = operator.adjoint(mask * operator(kernel))
    assert float((stationary(kernel) - exact).norm() / exact.norm()) < 0.12
    assert is_large(operator) and not is_large(ForwardOperator(POSITIONS, SHAPE, 63))


def test_it_is_symmetric_and_draws_have_it_as_covariance():
    operator = ForwardOperator(POSITIONS, SHAPE, WINDOW, WEIGHTS)
    stationary = StationaryNormal(operator, torch.ones(SHAPE))
    one, other = torch.randn((2, WINDOW, WINDOW), generator=torch.Generator().manual_seed(1))
    assert float((one * stationary(other)).sum()) == pytest.approx(float((other * stationary(one)).sum()), rel=1e-3)
    draws = stationary.draw(4000, torch.Generator().manual_seed(2))
    variance = float((draws * one).sum(dim=(-2, -1)).square().mean())
    assert variance == pytest.approx(float((one * stationary(one)).sum()), rel=0.1)


def test_samples_of_the_window_are_as_wide_as_those_of_the_map():
    operator = ForwardOperator(POSITIONS, SHAPE, WINDOW, WEIGHTS)
    mask, envelope = torch.ones(SHAPE), gaussian_envelope(WINDOW, 6.0) / 20.0**0.5
    residual = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    found = [sample(residual, mask, operator, envelope, torch.Generator().manual_seed(5)) for sample in (_sample_map, _sample_window)]
    (kernel, exact, freedom), (same, quick, quick_freedom) = found
    torch.testing.assert_close(same, kernel, rtol=1e-2, atol=1e-4)
    assert float(quick.std()) == pytest.approx(float(exact.std()), rel=0.1)
    assert quick_freedom == pytest.approx(freedom, rel=0.2)
