"""A free correction of a given kernel: how much of it held-out pixels justify, its solution and its uncertainty.

    minimise |residual - b - D*M|^2 / sigma^2 + |D / s|^2,   s = amplitude * exp(-r^2 / (2 width^2))

D is a whole window without any symmetry; its strength sigma^2 / amplitude^2 and its width are judged on pixels that its solve has
not seen, or with one defect by their marginal likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from qpi_core.operators.conjugate_gradients import multi_shift_cg
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.operators.linear import LinearOperator
from qpi_core.operators.stationary import StationaryNormal, is_large
from qpi_core.solvers.least_squares.regularised import centred, gaussian_envelope, noise_of, solve_shifted
from qpi_core.solvers.least_squares.single_defect import likeliest_envelope

ENVELOPE_WIDTHS = (0.08, 0.18)
"""Candidate widths, in units of the solved window's side."""
RELATIVE_STRENGTHS = tuple(float(10.0**e) for e in np.arange(-4.0, 2.1, 1.0))
"""Candidate strengths, in units of the sum of squared weights."""
HELD_OUT = 0.15
ITERATIONS = 40
FINAL_ITERATIONS = 100
TOLERANCE = 1e-4
SAMPLES = 12
DECISIVE_GAIN = 3.0
"""The held-out error must fall by this many standard errors of the difference, or there is no correction."""
DECISIVE_LOG_LIKELIHOOD = 10.0
"""With one defect the log likelihood must rise by this much, or there is no correction."""
_ONE = torch.tensor([1.0])
"""The strength of a solve whose envelope holds it."""


@dataclass(frozen=True)
class Judgement:
    """What held-out pixels say of a correction.

    Attributes:
        error: mean squared held-out residual with the best correction, or without one.
        strength: of the best correction, None where none is decisive.
        width: of its envelope in px.
    """

    error: float
    strength: float | None
    width: float


@dataclass(frozen=True)
class Corrections:
    """Solved corrections of the kernels of one class or several, on the scale of the residual that they were given.

    Attributes:
        changes: (k, k) each, what to add to the kernel.
        deviations: (k, k) each, one standard deviation a pixel.
        unsettled: (k, k) each, share of the prior's variance that the data left.
        noise: standard deviation of the noise.
        background: constant that is left beside them.
        predicted: mean squared error that this posterior expects of its prediction of a pixel, noise included; nan for a large map.
    """

    changes: list[NDArray[np.float32]]
    deviations: list[NDArray[np.float32]]
    unsettled: list[NDArray[np.float32]]
    noise: float
    background: float
    predicted: float


def judge_correction(residual: Tensor, mask: Tensor, operator: ForwardOperator, power: float) -> Judgement:
    """Return the best correction by its error on held-out pixels.

    Args:
        residual: (height, width), what the kernel leaves, mean 0 over the mask.
        mask: (height, width), 1 where measured.
        operator: for the window of the correction.
        power: sum of squared weights.
    """
    held = torch.from_numpy((np.random.default_rng(2).random(mask.shape) < HELD_OUT).astype(np.float32)) * mask
    kept, count = mask - held, held.sum().clamp_min(1)
    strengths = torch.tensor(RELATIVE_STRENGTHS) * power
    plain = float((residual.square() * held).sum() / count)
    best = Judgement(plain, None, 0.0)
    for fraction in ENVELOPE_WIDTHS:
        width = fraction * operator.kernel_size
        changes = solve_shifted(operator, residual, kept, gaussian_envelope(operator.kernel_size, width), strengths, ITERATIONS)
        left = residual - operator(changes)
        left = left - (left * kept).sum(dim=(-2, -1), keepdim=True) / kept.sum().clamp_min(1)
        gains = (residual.square() - left.square()) * held
        mean = gains.sum(dim=(-2, -1)) / count
        spread = ((gains - mean[:, None, None] * held).square().sum(dim=(-2, -1))).sqrt() / count
        errors = torch.where(mean > DECISIVE_GAIN * spread, plain - mean, torch.full_like(mean, torch.inf))
        index = int(errors.argmin())
        if float(errors[index]) < best.error:
            best = Judgement(float(errors[index]), float(strengths[index]), width)
    return best


def judge_single_correction(
    residual: Tensor, mask: Tensor, position: NDArray[np.float64], weights: NDArray[np.float64], window: int
) -> Judgement:
    """Return the most probable correction where all defects are at one place; arguments as for judge_correction."""
    widths = [fraction * window for fraction in ENVELOPE_WIDTHS]
    strengths = [strength * float((weights**2).sum()) for strength in RELATIVE_STRENGTHS]
    best = likeliest_envelope(residual.numpy(), mask.numpy(), position, float(weights.sum()), window, widths, strengths)
    if best.gain <= DECISIVE_LOG_LIKELIHOOD:
        return Judgement(float((residual.square() * mask).sum() / mask.sum()), None, 0.0)
    return Judgement(best.error, best.strength, best.width)


def solve_corrections(residual: Tensor, mask: Tensor, operator: JointOperator, judged: Sequence[Judgement]) -> Corrections:
    """Solve for the corrections of all classes together, on all pixels.

    The uncertainty is that of samples: a draw from the prior, seen through noise, minus its own estimate, is a draw from the
    posterior about its mean (perturb and optimise). A random probe estimates the degrees of freedom (Hutchinson's trace). On a map
    much larger than the window the samples of one class are those of a convolution, which takes a fraction of the time.

    Args:
        residual: (height, width), what the kernels leave, 0 where not measured.
        mask: (height, width), 1 where measured.
        operator: for the windows of the corrections, one a class.
        judged: of each class; every one has a strength.
    """
    parts = [prior_envelope(operator.kernel_size, one) for one in judged]
    envelope, generator = torch.cat(parts), torch.Generator().manual_seed(0)
    large = len(judged) == 1 and is_large(operator.operators[0])
    if large:
        solved, misses, freedom = _sample_window(residual, mask, operator.operators[0], envelope, generator)
    else:
        solved, misses, freedom = _sample_map(residual, mask, operator, envelope, generator)
    raw = residual - operator(solved)
    pixels, left = float(mask.sum()), centred(raw, mask)
    noise, predicted = noise_of(float(left.square().sum()), pixels, freedom), np.nan
    if not large:
        spread = (operator(misses).square() * mask).sum(dim=(-2, -1)).mean() / mask.sum()
        predicted = noise**2 * (1 + float(spread))
    # A dozen samples leave 20 % of scatter from pixel to pixel; the true variance is smooth.
    variances = [gaussian_filter(part.square().mean(dim=0).numpy(), 2.0) for part in operator.parts(misses)]
    return Corrections(
        changes=[part.numpy().copy() for part in operator.parts(solved)],
        deviations=[np.asarray(noise * np.sqrt(variance), dtype=np.float32) for variance in variances],
        unsettled=[np.clip(variance / one.numpy() ** 2, 0, 1) for variance, one in zip(variances, parts, strict=True)],
        noise=noise,
        background=float((raw * mask).sum() / mask.sum()),
        predicted=predicted,
    )


def prior_envelope(size: int, judgement: Judgement) -> Tensor:
    """Return the prior's standard deviation of a correction over that of the noise, (size, size)."""
    assert judgement.strength is not None, "there is nothing to solve without a strength"
    envelope: Tensor = gaussian_envelope(size, judgement.width) / judgement.strength**0.5
    return envelope


def _sample_map(
    residual: Tensor, mask: Tensor, operator: LinearOperator, envelope: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Return the corrections (C k, k), draws from the posterior about them (SAMPLES, C k, k) for noise 1, and the degrees of freedom."""
    draws = envelope * torch.randn((SAMPLES, *envelope.shape), generator=generator)
    seen = (operator(draws) + torch.randn((SAMPLES, *mask.shape), generator=generator)) * mask
    probe = (2.0 * torch.randint(0, 2, mask.shape, generator=generator) - 1.0) * mask
    stack = torch.cat([residual[None], probe[None], seen])
    solved = solve_shifted(operator, stack, mask, envelope, _ONE, FINAL_ITERATIONS, TOLERANCE)[0]
    freedom = float((probe * centred(operator(solved[1]), mask)).sum())
    return solved[0], solved[2:] - draws, freedom


def _sample_window(
    residual: Tensor, mask: Tensor, operator: ForwardOperator, envelope: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Return the same for a large map: the correction is solved as it is, the samples with the normal operator as a convolution."""
    solved = solve_shifted(operator, residual, mask, envelope, _ONE, FINAL_ITERATIONS, TOLERANCE)[0]
    stationary = StationaryNormal(operator, mask)

    def normal(scaled: Tensor) -> Tensor:
        return envelope * stationary(envelope * scaled)

    draws = torch.randn((SAMPLES, *envelope.shape), generator=generator)
    seen = normal(draws) + envelope * stationary.draw(SAMPLES, generator)
    probe = 2.0 * torch.randint(0, 2, envelope.shape, generator=generator) - 1.0
    stack = torch.cat([normal(probe)[None], seen])
    answers = multi_shift_cg(normal, stack, _ONE, FINAL_ITERATIONS, TOLERANCE)[0]
    return solved, envelope * (answers[1:] - draws), float((probe * answers[0]).sum())
