"""The kernels that a search for several kinds itself came to, as answers: for lists that are wrong, and where time is up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import central_crop
from qpi_core.base.validation import is_constant
from qpi_core.estimates.solution import KernelSolution
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.extraction.answers.request import Answer, Request
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.blind.kinds.joint_kernels import Kind, Kinds, solve_kinds
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep

_FROM = {"prior": "blind search", "correction": "none"}


def kernel_window(kernel: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return a window of the size with its centre at size // 2: a crop of the kernel, zeros around it where it is smaller."""
    missing = max(0, size + 1 - len(kernel))
    return np.ascontiguousarray(central_crop(np.pad(kernel, (missing + 1) // 2), size))


def kernels_of(kind: Kind, size: int) -> NDArray[np.float32]:
    """Return the kernels of a kind, (energies, size, size), in the units of the observation."""
    scales = kind.step.layers.scales[:, None, None]
    return np.stack([kernel_window(kernel, size) for kernel in (kind.fit.kernels * scales).astype(np.float32)])


def searched_solve(kinds: Kinds) -> Callable[[Sequence[Request]], list[Answer]]:
    """Return what solves for the kernels of kinds of a single map in no time: those of the search, one request a kind, in their order."""

    def solve(requests: Sequence[Request]) -> list[Answer]:
        image = requests[0].observation
        kernels = [kernels_of(kind, request.kernel_size)[0] for kind, request in zip(kinds, requests, strict=True)]
        pairs = zip(kernels, requests, strict=True)
        patterns = [reconstruct(kernel, 0.0, request.positions, request.weights, image.shape) for kernel, request in pairs]
        left = image - np.sum(patterns, axis=0, dtype=np.float32)
        background, noise = float(np.nanmean(left, dtype=np.float64)), float(np.nanstd(left, dtype=np.float64))
        orders = [kind.step.bank.bank.symmetry_order for kind in kinds]
        return [
            Answer(KernelSolution(kernel, kernel, background, noise, symmetry_order=order, details=dict(_FROM)))
            for kernel, order in zip(kernels, orders, strict=True)
        ]

    return solve


def searched_layers(kinds: Kinds, names: Sequence[str], stack: NDArray[np.float32], size: int) -> dict[int, Mapping[str, LayerKernel]]:
    """Return index -> name -> kernel for all layers of a stack (energies, height, width), at the defects of kinds.

    The search has looked at some of the layers; the kernels of the others follow from the same ridge regression.
    """
    measured = np.isfinite(stack).all(axis=0)
    shown = [index for index, layer in enumerate(stack) if not is_constant(np.where(measured, layer, np.nan))]
    layers = prepare_layers(stack[shown])
    steps = {id(kind.step): KernelStep(kind.step.bank, layers) for kind in kinds}
    solved = solve_kinds([(steps[id(kind.step)], kind.activation) for kind in kinds])
    blank = np.full((size, size), np.nan, dtype=np.float32)
    zeros = np.zeros((size, size), dtype=np.float32)
    backgrounds: NDArray[np.float64] = np.asarray(np.nanmean(stack[:, measured], axis=1, dtype=np.float64))
    constant = LayerKernel(zeros, blank, 0.0, 0.0)
    found: dict[int, Mapping[str, LayerKernel]] = {
        index: dict.fromkeys(names, replace(constant, background=float(value))) for index, value in enumerate(backgrounds)
    }
    kernels = [kernels_of(kind, size) for kind in solved]
    noise = np.sqrt(solved[0].fit.variances) * layers.scales
    for place, index in enumerate(shown):
        found[index] = {
            name: LayerKernel(own[place], blank, float(backgrounds[index]), float(noise[place]), kind.step.bank.bank.symmetry_order)
            for name, own, kind in zip(names, kernels, solved, strict=True)
        }
    return found
