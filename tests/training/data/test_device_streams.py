"""Samples drawn on the device: Eq. 7 and its superposition against the formulas on the CPU, the mixture of families, repeatable."""

import numpy as np
import pytest
import torch

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.kernel_families.equation_7 import equation_7, phenomenological_kernel
from qpi_core.synthesis.simulated_maps.scenes import superpose
from qpi_core.training.data.device_streams import DeviceKernels, DevicePairs, batch_generator, draw_equation_7
from qpi_core.training.data.streams import KernelShares

CPU = torch.device("cpu")


def parameters(drawn, row):
    order = int(drawn.order[row])
    return order, *(float(value[row]) for value in (drawn.orientation, drawn.wavenumber, drawn.phase, drawn.decay))


def test_kernels_are_those_of_equation_7():
    drawn = draw_equation_7(torch.Generator().manual_seed(1), 12, CPU)
    kernels = drawn.on_window(64)
    for row in range(12):
        torch.testing.assert_close(kernels[row], torch.from_numpy(phenomenological_kernel(*parameters(drawn, row))), atol=2e-5, rtol=0)


def test_parameters_fill_the_training_ranges():
    drawn = draw_equation_7(torch.Generator().manual_seed(2), 5000, CPU)
    assert (torch.bincount(drawn.order, minlength=7)[[0, 2, 3, 4, 6]] / 5000).tolist() == pytest.approx([0.2] * 5, abs=0.03)
    assert (drawn.orientation[drawn.order == 0] == np.float32(np.pi / 2)).all()
    assert (float(drawn.wavenumber.min()), float(drawn.wavenumber.max())) == pytest.approx((1.25, 7.2), abs=0.02)
    assert (float(drawn.decay.min()), float(drawn.decay.max())) == pytest.approx((0.08 / 1.2, 0.72), rel=0.01)
    assert float(drawn.decay.log().mean()) == pytest.approx(np.log(0.08 * 0.6) / 2, abs=0.05), "log-uniform"


def test_maps_are_the_exact_superposition():
    inputs, kernels = DevicePairs(5, CPU)(30, 40)
    drawn = draw_equation_7(batch_generator(5, 30, CPU), 40, CPU)
    counts = inputs[:, 1].sum(dim=(1, 2))
    assert set(inputs[:, 1].unique().tolist()) == {0.0, 1.0} and float(counts.min()) >= 1 and float(counts.max()) <= 100
    agreements = []
    for row in range(40):
        y, x = np.nonzero(inputs[row, 1].numpy())
        order, orientation, b, phase, c = parameters(drawn, row)
        values = superpose(
            lambda dx, dy, p=(order, orientation, b, phase, c): equation_7(dx, dy, *p),
            np.stack([x, y], axis=1).astype(float),
            (64, 64),
            DEFAULT_PIXEL_SIZE_NM,
        )
        agreements.append(np.corrcoef(values.ravel(), inputs[row, 0].numpy().ravel())[0, 1])
        expected = phenomenological_kernel(order, orientation, b, phase, c)
        torch.testing.assert_close(kernels[row, 0], torch.from_numpy(expected / expected.max()), atol=3e-5, rtol=0)
    # A fifth has no noise; 1.5 times the map's spread leaves a correlation of 1 / sqrt(1 + 1.5^2) = 0.55.
    assert sum(value > 1 - 1e-5 for value in agreements) >= 3 and min(agreements) > 0.5
    torch.testing.assert_close(inputs[:, 0].std(dim=(1, 2), correction=0), torch.ones(40), atol=1e-4, rtol=0)


def test_the_stock_fills_the_share_of_the_other_families():
    source = DeviceKernels(3, KernelShares(equation_7=0.5, splines=0.3), CPU, stock=128)
    kernels, orders = source(0, 400)
    assert kernels.shape == (400, 1, 64, 64) and orders.shape == (400,)
    torch.testing.assert_close(kernels.abs().amax(dim=(1, 2, 3)), torch.ones(400))
    signed = (kernels.amin(dim=(1, 2, 3)) < -1e-4).float().mean()
    assert 0.25 < float(signed) < 0.65, "Eq. 7 is not negative, the signed families are"
    again, _ = source(0, 400)
    other, _ = source(400, 400)
    assert torch.equal(kernels, again) and not torch.equal(kernels, other)
    own = DeviceKernels(3, KernelShares(), CPU, stock=0)(0, 50)[0]
    assert float(own.min()) > -1e-5


@pytest.mark.slow
def test_processes_draw_the_same_stock():
    alone, together = (DeviceKernels(3, KernelShares(0.5, 0.5), CPU, 128, processes).stock for processes in (1, 2))
    assert torch.equal(alone, together)
