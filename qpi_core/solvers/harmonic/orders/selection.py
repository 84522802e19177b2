"""Which angular orders a map carries: candidate sets compared by their marginal likelihood.

Every candidate set is first fitted on the grid (cheap); the full search runs only for those that can still win. A
hyperparameter that one set has and another has not costs half the logarithm of the number of pixels (Schwarz).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.search import Fit, GridPoint, refine, scan_grid, shared_start

Array = NDArray[np.float64]

_LEAST_GAIN = 6.0
"""Gain in log likelihood (six amplitudes more) below which an order cannot pay for its two hyperparameters at any map size in use."""
_MARGIN = 25.0
_NEGLIGIBLE = 0.01
"""An angular part below this share of the largest one is taken for the basis' own error, not for a symmetry."""


@dataclass(frozen=True)
class Selection:
    """The candidate sets, best first.

    Attributes:
        fits: refined candidates; the first is the answer.
        scores: log evidence of every candidate symmetry order up to a constant (estimated from the grid where it was far off).
    """

    fits: tuple[Fit, ...]
    scores: dict[int, float]

    @property
    def best(self) -> Fit:
        """The most probable candidate."""
        return self.fits[0]

    def probabilities(self) -> dict[int, float]:
        """Return the probability of every candidate symmetry order, all equally likely beforehand."""
        values = np.array(list(self.scores.values()))
        weights = np.exp(values - values.max())
        return dict(zip(self.scores, (weights / weights.sum()).tolist(), strict=True))


def log_evidence(fit: Fit, pixels: int) -> float:
    """Return the log evidence of a fit with the price of its hyperparameters taken off."""
    return -fit.cost - 0.5 * fit.hyperparameters.searched * float(np.log(pixels))


def select_orders(design: StoredDesign, nodes: Array, symmetry_orders: tuple[int, ...], floor: float) -> Selection:
    """Compare kernels with the angular orders {0, n} for every candidate n (0: isotropic)."""
    sets: dict[int, tuple[int, ...]] = {order: (0, order) if order else (0,) for order in symmetry_orders}
    equations = {order: design.equations(orders) for order, orders in sets.items()}
    grids = {order: scan_grid(eq, nodes, floor) for order, eq in equations.items()}
    pixels = next(iter(equations.values())).pixels
    quick = {order: _quick_score(points[0], pixels) for order, points in grids.items()}
    best_quick = max(quick.values())
    fits: dict[int, Fit] = {}
    for order in sorted(sets, key=lambda k: -quick[k]):
        if quick[order] < best_quick - _MARGIN or (order and 0 in sets and _gain(grids[0][0], grids[order][0], pixels) < _LEAST_GAIN):
            continue
        points = grids[order] if not fits else grids[order][:1]
        fit = _refined(equations[order], nodes, points, floor)
        if order and 0 in sets and _negligible(fit):
            continue
        fits[order] = fit
    if not fits:
        order = max(quick, key=lambda k: quick[k]) if 0 not in sets else 0
        fits[order] = _refined(equations[order], nodes, grids[order], floor)
    return _ranked(fits, quick, sets, pixels)


def _ranked(fits: dict[int, Fit], quick: dict[int, float], sets: dict[int, tuple[int, ...]], pixels: int) -> Selection:
    scores = {order: log_evidence(fit, pixels) for order, fit in fits.items()}
    winner = max(scores, key=lambda k: scores[k])
    for order in sets:
        if order not in scores:
            price = float(np.log(pixels)) if order else 0.0
            scores[order] = scores[winner] - max(price, quick[winner] - quick[order])
    ranked = sorted(fits, key=lambda k: -scores[k])
    return Selection(tuple(fits[k] for k in ranked), {k: scores[k] for k in sorted(scores, key=lambda k: -scores[k])})


def _refined(equations: NormalEquations, nodes: Array, points: list[GridPoint], floor: float) -> Fit:
    fits = [refine(equations, nodes, shared_start(equations, point), floor) for point in points]
    return min(fits, key=lambda fit: fit.cost)


def _gain(without: GridPoint, with_order: GridPoint, pixels: int) -> float:
    return 0.5 * pixels * float(np.log(without.misfit / with_order.misfit))


def _quick_score(point: GridPoint, pixels: int) -> float:
    """Return the Schwarz criterion of a grid fit."""
    return -0.5 * pixels * float(np.log(point.misfit)) - 0.5 * point.amplitudes.size * float(np.log(pixels))


def _negligible(fit: Fit) -> bool:
    """Tell whether all angular parts but the isotropic one are smaller than the basis' own error."""
    sizes = np.abs(fit.hyperparameters.mixing()).max(axis=1)
    return bool(sizes[1:].max() < _NEGLIGIBLE * sizes[0])
