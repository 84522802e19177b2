"""Every linear operator: its adjoint, its normal operator, its composition, and an explicit sum over defects and pixels."""

import numpy as np
import pytest
import torch

from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.operators.linear import Composition, LinearOperator, Multiplication
from qpi_core.operators.stationary import StationaryNormal

SHAPE, SIZE = (13, 16), 7
RNG = np.random.default_rng(2)
ON_PIXELS = np.stack([RNG.integers(0, SHAPE[1], 6), RNG.integers(0, SHAPE[0], 6)], axis=1).astype(float)
BETWEEN = RNG.uniform(0, 12, (5, 2))
WEIGHTS = RNG.uniform(0.5, 1.5, 6)
MASK = (RNG.random(SHAPE) > 0.3).astype(np.float32)
ON, OFF = ForwardOperator(ON_PIXELS, SHAPE, SIZE, WEIGHTS), ForwardOperator(BETWEEN, SHAPE, SIZE)
ENVELOPE = torch.from_numpy(RNG.uniform(0.2, 1, (SIZE, SIZE)).astype(np.float32))


def superposition(kernel, positions=ON_PIXELS, weights=WEIGHTS):
    """sum_j w_j A(p - r_j) by two loops, cropped to the map."""
    image = np.zeros(SHAPE)
    for (x, y), weight in zip(positions.astype(int), weights, strict=True):
        for row in range(SIZE):
            for column in range(SIZE):
                there = y + row - SIZE // 2, x + column - SIZE // 2
                if 0 <= there[0] < SHAPE[0] and 0 <= there[1] < SHAPE[1]:
                    image[there] += weight * kernel[row, column]
    return image


OTHERS = ON_PIXELS[:3] + [1.0, 0.0]
SECOND = ForwardOperator(np.clip(OTHERS, 0, 12), SHAPE, SIZE)
CASES = {
    "convolution": (ON, (SIZE, SIZE), superposition),
    "convolution between pixels": (OFF, (SIZE, SIZE), None),
    "convolution with a mask": (ForwardOperator(ON_PIXELS, SHAPE, SIZE, WEIGHTS, MASK), (SIZE, SIZE), lambda k: MASK * superposition(k)),
    "batch of maps": (
        ForwardOperator([ON_PIXELS, ON_PIXELS[:4]], SHAPE, SIZE, [WEIGHTS, WEIGHTS[:4]]),
        (2, SIZE, SIZE),
        lambda k: np.stack([superposition(k[0]), superposition(k[1], ON_PIXELS[:4], WEIGHTS[:4])]),
    ),
    "several classes": (
        JointOperator([ON, SECOND]),
        (2 * SIZE, SIZE),
        lambda k: superposition(k[:SIZE]) + superposition(k[SIZE:], np.clip(OTHERS, 0, 12), np.ones(3)),
    ),
    "mask": (Multiplication(torch.from_numpy(MASK)), SHAPE, lambda image: MASK * image),
    "mask of a convolution of an enveloped kernel": (
        Multiplication(torch.from_numpy(MASK)) @ ON @ Multiplication(ENVELOPE),
        (SIZE, SIZE),
        lambda k: MASK * superposition(ENVELOPE.numpy() * k),
    ),
    "stationary normal operator": (StationaryNormal(ON, torch.ones(SHAPE)), (SIZE, SIZE), None),
}


def draw(shape):
    return torch.from_numpy(RNG.standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("name", CASES)
def test_the_adjoint_is_one(name):
    operator, shape, _ = CASES[name]
    values = draw(shape)
    image = operator(values)
    other = draw(tuple(image.shape))
    assert float((image * other).sum()) == pytest.approx(float((values * operator.adjoint(other)).sum()), rel=2e-4, abs=1e-4)
    torch.testing.assert_close(operator.normal(values), operator.adjoint(image), rtol=1e-4, atol=1e-5)
    assert float((values * operator.normal(values)).sum()) > -1e-5
    twice = operator(2 * values - draw(shape) * 0)
    torch.testing.assert_close(twice, 2 * image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] is not None])
def test_it_is_the_explicit_sum(name):
    operator, shape, explicit = CASES[name]
    values = draw(shape)
    np.testing.assert_allclose(operator(values).numpy(), explicit(values.numpy()), atol=2e-5)


def test_every_operator_takes_part():
    kinds = {type(case[0]) for case in CASES.values()}
    waiting, known = [LinearOperator], set()
    while waiting:
        for kind in waiting.pop().__subclasses__():
            known.add(kind)
            waiting.append(kind)
    assert {kind for kind in known if kind.__module__.startswith("qpi_core")} <= kinds
    assert isinstance(ON @ Multiplication(ENVELOPE), Composition)
