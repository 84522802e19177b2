"""`tikhonov`: boundary-correct least squares with a decay prior, by conjugate gradients.

    minimise |Y - b - A*M|^2 + strength |A / envelope|^2,   envelope = exp(-r^2 / (2 width^2))

The unknown is a window wider than the kernel that is asked for, so that tails do not have to be explained by the inside.
Strength and width are those that predict held-out pixels best (with one defect: the most probable ones, see single_defect): the data
choose them, never the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qpi_core.base.grid import central_crop, kernel_offsets
from qpi_core.base.validation import require_problem
from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.conjugate_gradients import multi_shift_cg
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.linear import LinearOperator
from qpi_core.solvers.single_defect import is_one_place, likeliest_envelope

ENVELOPE_WIDTHS = (0.07, 0.12, 0.3)
"""Candidate widths, in units of the solved window's side."""
RELATIVE_STRENGTHS = tuple(float(10.0**e) for e in np.arange(-5.0, 1.01, 0.5))
"""Candidate strengths, in units of the sum of squared weights (the operator's mean eigenvalue)."""
HELD_OUT = 0.1
SELECTION_SIDE = 160
SELECTION_ITERATIONS = 40
ITERATIONS = 150
TOLERANCE = 1e-3


@dataclass(frozen=True)
class PreparedMap:
    """A map on the solver's scale: mean 0 and standard deviation 1 over the measured pixels, which `mask` marks."""

    values: NDArray[np.float32]
    mask: NDArray[np.float32]
    mean: float
    scale: float


def prepare_map(observation: NDArray[np.float32]) -> PreparedMap:
    """Standardise a map over its measured pixels; a constant map gets scale 1."""
    measured = np.isfinite(observation)
    mean = float(observation[measured].mean(dtype=np.float64))
    scale = float(observation[measured].std(dtype=np.float64))
    if scale <= 1e-6 * abs(mean) or scale == 0.0:
        scale = 1.0
    values = np.where(measured, (observation - mean) / scale, 0.0).astype(np.float32)
    return PreparedMap(values, measured.astype(np.float32), mean, scale)


def gaussian_envelope(size: int, width: float) -> Tensor:
    """Return exp(-r^2 / (2 width^2)) on a (size, size) window, width in pixels."""
    squared = kernel_offsets(size).astype(np.float64) ** 2
    return torch.from_numpy(np.exp(-(squared[:, None] + squared[None, :]) / (2 * width**2)).astype(np.float32))


def centred(image: Tensor, mask: Tensor) -> Tensor:
    """Return the image without its mean over the mask, zero outside: this projects the unknown background out."""
    mean = (image * mask).sum(dim=(-2, -1), keepdim=True) / mask.sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    return (image - mean) * mask


def solve_shifted(
    operator: LinearOperator, values: Tensor, mask: Tensor, envelope: Tensor, strengths: Tensor, iterations: int, tolerance: float = 0.0
) -> Tensor:
    """Return kernels (s, ..., k, k) for every strength, the background projected out.

    Args:
        operator: without a mask.
        values: (..., height, width).
        mask: (..., height, width), 1 where measured.
        envelope: (k, k), positive.
        strengths: (s,) or (s, ...), ascending.
        iterations, tolerance: of the conjugate gradients.
    """

    def normal(scaled: Tensor) -> Tensor:
        return envelope * operator.adjoint(centred(operator(envelope * scaled), mask))

    right = envelope * operator.adjoint(centred(values, mask))
    return envelope * multi_shift_cg(normal, right, strengths, iterations, tolerance)


def solved_window(kernel_size: int, shape: tuple[int, int]) -> int:
    """Return the odd side of the window that is solved: twice the kernel, as far as the map can see."""
    return min(2 * kernel_size - 1, 2 * max(shape) - 1) | 1


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
    shape = (map_.shape[0], map_.shape[1])
    prepared = prepare_map(map_)
    window = solved_window(size, shape)
    with torch.inference_mode():
        choose = likeliest_regularisation if is_one_place(points) else select_regularisation
        strength, width = choose(prepared, points, amplitudes, window)
        operator = ForwardOperator(points, shape, window, amplitudes)
        values, mask = torch.from_numpy(prepared.values), torch.from_numpy(prepared.mask)
        # The second problem is a random probe: its fit estimates the degrees of freedom (Hutchinson's trace).
        probe = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], shape).astype(np.float32)) * mask
        both = torch.stack([values, probe])
        kernels = solve_shifted(operator, both, mask, gaussian_envelope(window, width), torch.tensor([strength]), ITERATIONS, TOLERANCE)[0]
        fits = centred(operator(kernels), mask)
        residual = centred(values, mask) - fits[0]
        freedom = float((probe * fits[1]).sum())
        count = float(mask.sum())
        noise = float(residual.square().sum() / max(count - freedom - 1, 0.02 * count)) ** 0.5
        wide = (kernels[0].numpy() * prepared.scale).astype(np.float32)
        background = float(np.nanmean(map_ - operator(torch.from_numpy(wide)).numpy(), dtype=np.float64))
    return KernelSolution(
        kernel=central_crop(wide, size).copy(),
        wide_kernel=wide,
        background=background,
        noise_sigma=noise * prepared.scale,
        details={"strength": strength, "envelope_width_px": width, "degrees_of_freedom": round(freedom, 1), "solved_window_px": window},
    )


def held_out(shape: tuple[int, ...]) -> Tensor:
    """Return 1 at the pixels of a map that no candidate is fitted to, a fixed random choice, 0 elsewhere."""
    return torch.from_numpy((np.random.default_rng(1).random(shape) < HELD_OUT).astype(np.float32))


def select_regularisation(
    prepared: PreparedMap, positions: NDArray[np.float64], weights: NDArray[np.float64], window: int
) -> tuple[float, float]:
    """Return (strength, envelope width in px) with the smallest error on held-out pixels.

    Large maps are judged on a square part of them: the strength is absolute, so it holds for the whole.
    """
    part, points, amplitudes = representative_part(prepared, positions, weights, window)
    mask = torch.from_numpy(part.mask)
    held = held_out(part.mask.shape) * mask
    values, kept = torch.from_numpy(part.values), mask - held
    operator = ForwardOperator(points, part.mask.shape, window, amplitudes)
    strengths = torch.tensor(RELATIVE_STRENGTHS) * float((weights**2).sum()) * part.mask.size / prepared.mask.size
    best = (np.inf, float(strengths[-1]), window * ENVELOPE_WIDTHS[0])
    for fraction in ENVELOPE_WIDTHS:
        width = fraction * window
        kernels = solve_shifted(operator, values, kept, gaussian_envelope(window, width), strengths, SELECTION_ITERATIONS)
        difference = values - operator(kernels)
        offset = (difference * kept).sum(dim=(-2, -1), keepdim=True) / kept.sum().clamp_min(1)
        errors = ((difference - offset).square() * held).sum(dim=(-2, -1)) / held.sum().clamp_min(1)
        errors = torch.where(torch.isfinite(errors), errors, torch.full_like(errors, np.inf))
        index = int(errors.argmin())
        if float(errors[index]) < best[0]:
            best = (float(errors[index]), float(strengths[index]), width)
    return best[1], best[2]


def likeliest_regularisation(
    prepared: PreparedMap, positions: NDArray[np.float64], weights: NDArray[np.float64], window: int
) -> tuple[float, float]:
    """Return (strength, envelope width in px) with the largest marginal likelihood, for defects that are all at one place."""
    widths = [fraction * window for fraction in ENVELOPE_WIDTHS]
    strengths = [strength * float((weights**2).sum()) for strength in RELATIVE_STRENGTHS]
    best = likeliest_envelope(prepared.values, prepared.mask, positions[0], float(weights.sum()), window, widths, strengths)
    return best.strength, best.width


def representative_part(
    prepared: PreparedMap, positions: NDArray[np.float64], weights: NDArray[np.float64], window: int, most: int = SELECTION_SIDE
) -> tuple[PreparedMap, NDArray[np.float64], NDArray[np.float64]]:
    """Return a part of at most so many pixels a side around the median defect, with every defect that reaches into it."""
    starts, stops = [], []
    for axis, side in ((1, prepared.mask.shape[0]), (0, prepared.mask.shape[1])):
        extent = min(side, most)
        start = int(np.clip(round(float(np.median(positions[:, axis]))) - extent // 2, 0, side - extent))
        starts.append(start)
        stops.append(start + extent)
    rows, columns = slice(starts[0], stops[0]), slice(starts[1], stops[1])
    moved = positions - np.array([starts[1], starts[0]])
    reach = window // 2
    near = ((moved > -reach) & (moved < np.array([stops[1] - starts[1], stops[0] - starts[0]]) - 1 + reach)).all(axis=1)
    part = PreparedMap(prepared.values[rows, columns], prepared.mask[rows, columns], prepared.mean, prepared.scale)
    return part, moved[near], weights[near]
