"""The next angular order of a symmetry, as soon as all pixels of a map together pay for it.

Angular orders are chosen on a part of the pixels of a larger map. The high ones of a lattice-like kernel are weak, so that this part
does not show them at a low signal to noise, while the whole map does: of two classes of 60 defects on 185 x 185 px at a signal to noise of
1 the kernels' error fell from .0440 to .0394 in one of three scenes, from .0414 to .0401 and not at all in the others
(benchmarks/classes/class_stacks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.search import INDEPENDENT, Fit, Hyperparameters, refine

HIGHEST_ORDER = 24
_WEAKER = 0.5
"""How much weaker than the weakest order the next one begins, as a logarithm."""
_LEAST_GAIN = 3.0
"""Log evidence that the next order has to bring."""


def next_order(orders: tuple[int, ...]) -> int | None:
    """Return the next order of the symmetry that ascending angular orders, 0 first, have; None where there is none."""
    following = orders[-1] + orders[1] if len(orders) > 1 else HIGHEST_ORDER + 1
    return following if following <= HIGHEST_ORDER else None


def with_next_orders(
    equations_of: Callable[[tuple[int, ...]], NormalEquations],
    equations: NormalEquations,
    nodes: NDArray[np.float64],
    fit: Fit,
    floor: float,
) -> tuple[NormalEquations, Fit]:
    """Return the equations and the fit with further orders, one after the other as long as the log evidence grows by 3.

    Only fits with a profile of its own for every order have further ones.

    Args:
        equations_of: from angular orders to the normal equations of all pixels, in the subspace of those of the fit.
        equations: of the fit.
        nodes: of the radial basis.
        fit: with the orders chosen so far.
        floor: least noise variance.
    """
    while fit.hyperparameters.mixing_kind == INDEPENDENT:
        following = next_order(fit.hyperparameters.orders)
        if following is None:
            break
        wider = equations_of((*fit.hyperparameters.orders, following))
        grown = refine(wider, nodes, _grown(fit.hyperparameters, following), floor)
        if log_evidence(grown, wider.pixels) < log_evidence(fit, wider.pixels) + _LEAST_GAIN:
            break
        equations, fit = wider, grown
    return equations, fit


def _grown(point: Hyperparameters, order: int) -> Hyperparameters:
    """Return independent hyperparameters with an order more, weaker than all others."""
    weakest = float(point.vector[point.head :].min()) - _WEAKER
    return replace(point, vector=np.append(point.vector, weakest), orders=(*point.orders, order))
