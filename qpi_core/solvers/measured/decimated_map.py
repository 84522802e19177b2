"""The noise model of an oversampled map from every f-th pixel of every f-th line.

Where a pattern is many pixels wide, a square of some ten thousand pixels holds one defect and nothing else, and what is around it
cannot be told from background. A stationary Gaussian process on a coarser lattice is the same process: the pixels left out are
marginalised by leaving them out, so the variances stay as they are and lengths in pixels are divided by f (the step of a drift from
line to line has f times the variance). The lattice of every f-th pixel sees f times as far for the same algebra.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.row_drift import drift_columns
from qpi_core.noise.selection import NoiseFit, SelectionOptions
from qpi_core.noise.whitening import Whitener
from qpi_core.operators.coarsening import keeps_pattern
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.all_pixels import on_all_pixels, with_coarser_splines, without_outliers
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import DRIFT, LATTICE, Effects, NoisyStage, NoisyStart
from qpi_core.solvers.measured.noise_model.one_kernel import OneKernel

Array = NDArray[np.float64]

_STRIDES = (4, 2)
_LEAST_SIDE = 64
"""Px of the shorter side of the coarser lattice, below which it holds too little."""


def stride_of(begun: HarmonicStart, kernel_size: int, shape: tuple[int, int]) -> int:
    """Return the largest stride at which the kernel of a first stage loses next to nothing, 1 where there is none.

    Args:
        begun: the first stage under white noise.
        kernel_size: side of the kernel in px.
        shape: (height, width) of the map.
    """
    kernel = begun.kernel(kernel_size)
    return next((f for f in _STRIDES if min(shape) >= f * _LEAST_SIDE and keeps_pattern([kernel], f)), 1)


def decimated(problem: HarmonicProblem, stride: int) -> HarmonicProblem:
    """Return the problem on every stride-th pixel of every stride-th line, from the first on: positions are divided by the stride."""
    pitch = problem.pixel_size_nm
    coarser = None if pitch is None else (stride * pitch[0], stride * pitch[1])
    size = max(problem.kernel_size // stride, 1)
    return replace(problem, values=problem.values[::stride, ::stride], kernel_size=size, pixel_size_nm=coarser)


def find_noise_by_stride(
    square: HarmonicProblem, positions: Array, weights: Array, coarse: tuple[HarmonicProblem, Array, Array, int], options: SelectionOptions
) -> NoisyStart | None:
    """Return the first stage of a square of a map under the noise model of a coarser lattice; None where that finds none, or a lattice.

    Args:
        square: of the map, at its own pixels.
        positions, weights: of the defects that it sees, px of the square.
        coarse: the same map, or a square of it, on a coarser lattice, with its defects, their weights and the stride.
        options: numbers of the choice.
    """
    sparse, points, amplitudes, stride = coarse
    found = find_noise(sparse, points, amplitudes, sparse.start(points, amplitudes), options, unequal=False)
    # An atomic lattice beyond the coarser one's largest wave vector would come back as a long wave.
    if found is None or found.strength(LATTICE) > 0:
        return None
    return _at_every_pixel(square, positions, weights, found, stride)


def _at_every_pixel(square: HarmonicProblem, positions: Array, weights: Array, found: NoisyStart, stride: int) -> NoisyStart:
    """Return the first stage of a square under the noise model that a coarser lattice has shown."""
    begun = on_all_pixels(square, positions, weights, square.start(positions, weights))
    square, begun = without_outliers(square, positions, weights, begun)
    begun = with_coarser_splines(square, positions, weights, begun, stride)
    coarser = found.noise.parameters
    lengths = {name: stride * getattr(coarser, name) for name in ("background_length", "streak_length")}
    parameters, drift = replace(coarser, **lengths), found.strength(DRIFT) / stride
    shape = (square.values.shape[0], square.values.shape[1])
    effects = Effects((DRIFT,), (drift_columns(shape),)) if drift > 0 else Effects((), ())
    columns = [np.sqrt(drift) * group for group in effects.columns]
    kernels = OneKernel(square, begun)
    stage = kernels.solved(Whitener(np.isfinite(square.values), parameters, columns, begun.aspect))
    noise = NoiseFit(parameters, (found.noise.strengths[0], *(drift for _ in columns)), found.noise.components, found.noise.searched)
    return NoisyStage(square.values, stage, noise, effects, (), found.evidence, found.white, weights)
