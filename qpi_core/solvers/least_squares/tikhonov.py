"""`tikhonov`: boundary-correct least squares with a decay prior, by conjugate gradients, for one class of defects or several together.

    minimise |Y - b - sum_c A_c*M_c|^2 + sum_c strength_c |A_c / envelope_c|^2,   envelope = exp(-r^2 / (2 width^2))

The unknowns are windows wider than the kernels that are asked for, so that tails do not have to be explained by the inside.
Strengths and widths are those whose solve predicts held-out pixels best (with one defect: the most probable ones, see single_defect):
the data choose them, never the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qpi_core.base.grid import central_crop
from qpi_core.base.validation import require_problem
from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.least_squares.regularised import (
    PreparedMap,
    centred,
    gaussian_envelope,
    noise_of,
    prepare_map,
    representative_part,
    solve_shifted,
    solved_window,
)
from qpi_core.solvers.least_squares.single_defect import is_one_place, likeliest_envelope

ENVELOPE_WIDTHS = (0.07, 0.12, 0.3)
"""Candidate widths, in units of the solved window's side."""
RELATIVE_STRENGTHS = tuple(float(10.0**e) for e in np.arange(-5.0, 1.01, 0.5))
"""Candidate strengths, in units of the sum of squared weights (the operator's mean eigenvalue)."""
HELD_OUT = 0.1
SELECTION_SIDE = 160
"""Larger maps are judged on a square part of this side: the strength is absolute, so it holds for the whole."""
SELECTION_ITERATIONS = 40
ITERATIONS = 150
TOLERANCE = 1e-3
_RATIOS = (0.1, 10.0)
"""What is tried for the strength of one class relative to the others, in units of the sums of squared weights."""

Regularisation = tuple[float, float]
"""Strength, and width of the envelope in px."""


def solve_tikhonov(observation: ArrayLike, positions: ArrayLike, kernel_size: int, *, weights: ArrayLike | None = None) -> KernelSolution:
    """Solve for the kernel by regularised least squares with the linear, cropped convolution.

    Args:
        observation: (height, width), any units, NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels, fractions allowed.
        kernel_size: side of the kernel in pixels, at most the map's shorter side.
        weights: amplitude of each defect; None is 1.

    Raises:
        InputError: bad observation, positions, kernel_size or weights.
    """
    map_, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    return solve_tikhonov_classes(map_, [DefectClass(points, amplitudes)], size)[0]


def solve_tikhonov_classes(map_: NDArray[np.float32], classes: Sequence[DefectClass], kernel_size: int) -> list[KernelSolution]:
    """Return one solution a class, all solved together; the arguments are checked already."""
    shape = (map_.shape[0], map_.shape[1])
    prepared, window = prepare_map(map_), solved_window(kernel_size, shape)
    with torch.inference_mode():
        operator = JointOperator([ForwardOperator(one.positions, shape, window, one.weights) for one in classes])
        mask = torch.from_numpy(prepared.mask)
        chosen = _choose(prepared, classes, operator)
        values, count = torch.from_numpy(prepared.values), float(mask.sum())
        # The second problem is a random probe: its fit estimates the degrees of freedom (Hutchinson's trace).
        probe = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], shape).astype(np.float32)) * mask
        kernels = _solve(operator, torch.stack([values, probe]), mask, chosen)
        fits = centred(operator(kernels), mask)
        residual = centred(values, mask) - fits[0]
        freedom = float((probe * fits[1]).sum())
        noise = noise_of(float(residual.square().sum()), count, freedom)
        wide = kernels[0] * prepared.scale
        background = float(np.nanmean(map_ - operator(wide).numpy(), dtype=np.float64))
    counted = "degrees_of_freedom" if len(classes) == 1 else "joint_degrees_of_freedom"
    return [
        KernelSolution(
            kernel=central_crop(part.numpy(), kernel_size).copy(),
            wide_kernel=part.numpy().copy(),
            background=background,
            noise_sigma=noise * prepared.scale,
            details={
                "strength": strength,
                "envelope_width_px": width,
                counted: round(freedom, 1),
                "solved_window_px": window,
            },
        )
        for part, (strength, width) in zip(operator.parts(wide), chosen, strict=True)
    ]


def _choose(prepared: PreparedMap, classes: Sequence[DefectClass], operator: JointOperator) -> list[Regularisation]:
    """Return strength and envelope width of every class."""
    if len(classes) == 1 and is_one_place(classes[0].positions):
        return [_likeliest(prepared, classes[0], operator.kernel_size)]
    chosen = _by_held_out_pixels(prepared, classes, operator.kernel_size)
    values, mask = torch.from_numpy(prepared.values), torch.from_numpy(prepared.mask)
    for index, one in enumerate(classes):
        if is_one_place(one.positions):
            kernels = operator.parts(_solve(operator, values, mask, chosen))
            others = [forward(part) for k, (forward, part) in enumerate(zip(operator.operators, kernels, strict=True)) if k != index]
            left = centred(values - torch.stack(others).sum(dim=0), mask)
            rest = PreparedMap(left.numpy(), prepared.mask, prepared.mean, prepared.scale)
            chosen[index] = _likeliest(rest, one, operator.kernel_size)
    return chosen


def _likeliest(prepared: PreparedMap, one: DefectClass, window: int) -> Regularisation:
    """Return what has the largest marginal likelihood, for defects that are all at one place."""
    widths = [fraction * window for fraction in ENVELOPE_WIDTHS]
    strengths = [strength * float((one.weights**2).sum()) for strength in RELATIVE_STRENGTHS]
    best = likeliest_envelope(prepared.values, prepared.mask, one.positions[0], float(one.weights.sum()), window, widths, strengths)
    return best.strength, best.width


def _by_held_out_pixels(prepared: PreparedMap, classes: Sequence[DefectClass], window: int) -> list[Regularisation]:
    """Return the regularisation whose solve predicts held-out pixels best, with several classes by one change at a time.

    Conjugate gradients give all common strengths at once, so only the widths and the ratios of the strengths are tried in turn.
    """
    everywhere = np.concatenate([one.positions for one in classes])
    weights = np.concatenate([one.weights for one in classes])
    # The numbers of the defects in the place of their weights say which of them are in the part.
    numbered = np.arange(len(everywhere), dtype=np.float64)
    part, points, numbers = representative_part(prepared, everywhere, numbered, window, SELECTION_SIDE)
    label = np.repeat(np.arange(len(classes)), [len(one.positions) for one in classes])
    near, shape = numbers.astype(int), (part.mask.shape[0], part.mask.shape[1])
    members = [label[near] == index for index in range(len(classes))]
    operator = JointOperator([ForwardOperator(points[own], shape, window, weights[near][own]) for own in members])
    held = torch.from_numpy((np.random.default_rng(1).random(shape) < HELD_OUT).astype(np.float32))
    trial = _Trial(operator, torch.from_numpy(part.values), torch.from_numpy(part.mask), held)
    power = [float((one.weights**2).sum()) * part.mask.size / prepared.mask.size for one in classes]

    def started(width: float) -> tuple[float, float, list[Regularisation]]:
        candidate = [(strength, width * window) for strength in power]
        return *trial.best(candidate), candidate

    error, factor, best = min((started(width) for width in ENVELOPE_WIDTHS), key=lambda found: found[0])
    # Of one class alone every width was tried with every strength by now.
    for index in range(len(classes) if len(classes) > 1 else 0):
        for change in _changes(best[index], window):
            candidate = [*best[:index], change, *best[index + 1 :]]
            tried, its_factor = trial.best(candidate)
            if tried < error:
                error, factor, best = tried, its_factor, candidate
    return [(strength * factor, width) for strength, width in best]


def _changes(one: Regularisation, window: int) -> list[Regularisation]:
    """Return what is tried for one class: the other widths, then a weaker and a stronger pull."""
    strength, width = one
    others = [fraction * window for fraction in ENVELOPE_WIDTHS if not np.isclose(fraction * window, width)]
    return [*((strength, other) for other in others), *((strength * ratio, width) for ratio in _RATIOS)]


@dataclass(frozen=True)
class _Trial:
    """A map some of whose pixels are held out."""

    operator: JointOperator
    values: Tensor
    mask: Tensor
    chosen: Tensor

    def best(self, regularisation: Sequence[Regularisation]) -> tuple[float, float]:
        """Return the least held-out error over factors on all strengths, and that factor."""
        held, factors = self.chosen * self.mask, torch.tensor(RELATIVE_STRENGTHS)
        kept = self.mask - held
        envelopes = _envelopes(self.operator, regularisation)
        difference = self.values - self.operator(solve_shifted(self.operator, self.values, kept, envelopes, factors, SELECTION_ITERATIONS))
        offset = (difference * kept).sum(dim=(-2, -1), keepdim=True) / kept.sum().clamp_min(1)
        errors = ((difference - offset).square() * held).sum(dim=(-2, -1))
        errors = torch.where(torch.isfinite(errors), errors, torch.inf)
        # Where no strength gives a number, the strongest one.
        index = int(errors.argmin()) if bool(torch.isfinite(errors).any()) else len(factors) - 1
        return float(errors[index]), float(factors[index])


def _solve(operator: JointOperator, values: Tensor, mask: Tensor, chosen: Sequence[Regularisation]) -> Tensor:
    """Return the kernels of all classes, (..., C k, k)."""
    return solve_shifted(operator, values, mask, _envelopes(operator, chosen), torch.tensor([1.0]), ITERATIONS, TOLERANCE)[0]


def _envelopes(operator: JointOperator, chosen: Sequence[Regularisation]) -> Tensor:
    """Return the envelopes below each other, the strengths in them."""
    return torch.cat([gaussian_envelope(operator.kernel_size, width) / strength**0.5 for strength, width in chosen])
