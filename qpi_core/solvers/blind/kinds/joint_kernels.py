"""The kernels of several kinds at once, for an activation map of each: one ridge regression in the filters of all,

y = sum_k X_k c_k + noise,   c_k ~ N(0, a s^2 K_k),   noise ~ N(0, s^2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep, most_likely
from qpi_core.solvers.blind.polishing.score import list_cost

Array = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of defects.

    Attributes:
        step: the symmetry in which its kernels lie, and the layers.
        activation: (height, width) float32; 0 and 1, or amplitudes while it is polished.
        fit: its kernels; residuals, variances and likelihood are those of all kinds together.
    """

    step: KernelStep
    activation: Image
    fit: KernelFit


Kinds = tuple[Kind, ...]


def solve_kinds(parts: Sequence[tuple[KernelStep, Image]]) -> Kinds:
    """Return the kinds with the kernels that their activation maps lead to, all on the same layers."""
    designs = [step.design(activation) for step, activation in parts]
    design = np.concatenate(designs)
    layers, data = parts[0][0].layers, parts[0][0].data
    gram, projected = design @ design.T, design @ data.T
    roots = [block_diag(*(step.widest_root for step, _ in parts))]
    found = [most_likely(gram, one, float(row @ row), row.size, roots) for one, row in zip(projected.T, data, strict=True)]
    coefficients = np.stack([one.coefficients for one in found])
    left = data - coefficients @ design
    residuals = np.zeros(layers.values.shape, dtype=np.float32)
    residuals[:, layers.measured] = left
    variances, likelihood = np.mean(left**2, axis=1), float(sum(one.likelihood for one in found))
    precisions = np.array([one.precision for one in found])
    kinds, first = [], 0
    for step, activation in parts:
        own = coefficients[:, first : first + step.bank.count]
        first += step.bank.count
        fit = KernelFit(
            step.bank.kernel(own).astype(np.float32), residuals, variances, likelihood, precisions, (step.widest_root,) * len(found)
        )
        kinds.append(Kind(step, activation, fit))
    return tuple(kinds)


def evidence_of(kinds: Kinds) -> float:
    """Return the log evidence of kinds whose activation maps are of 0 and 1, comparable with that of a list of one kind."""
    pixels = kinds[0].step.layers.pixels
    return kinds[0].fit.log_likelihood - sum(list_cost(float(kind.activation.sum()), pixels) for kind in kinds)


def unexplained_by(kinds: Kinds) -> float:
    """Return the share of the layers' variance that is left beyond their noise."""
    return float(np.mean(kinds[0].fit.variances - kinds[0].step.layers.noise))
