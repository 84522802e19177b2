"""Which angular orders a class of defects carries: the simple choice, and the richer one where its residual asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from qpi_core.solvers.harmonic_extension import extend, symmetry_scores
from qpi_core.solvers.harmonic_search import Fit
from qpi_core.solvers.harmonic_selection import Selection, log_evidence
from qpi_core.solvers.harmonic_shape import shape_profiles
from qpi_core.solvers.harmonic_start import HarmonicStart
from qpi_core.solvers.harmonic_surprise import DOUBTFUL, unexplained_orders
from qpi_core.solvers.normal_equations import NormalEquations


@dataclass(frozen=True)
class ChosenOrders:
    """The angular orders that the pixels of a start carry.

    Attributes:
        fit: hyperparameters there.
        equations: those of a fit in a subspace of the profiles; None where the start's design gives them.
        selection: comparison of the symmetry orders.
        excess: as in HarmonicModel.
    """

    fit: Fit
    equations: NormalEquations | None
    selection: Selection
    excess: float


def choose_orders(begun: HarmonicStart, symmetry_orders: tuple[int, ...], extended: bool = True) -> ChosenOrders:
    """Return the start's own choice, or with extended one with more orders and profiles where its residual asks for them."""
    splines, design, selection, floor = begun.splines, begun.design, begun.selection, begun.floor
    orders = tuple(sorted({0, *symmetry_orders}))
    fit, equations = selection.best, None
    checked = tuple(sorted({*orders, 2 * fit.hyperparameters.orders[-1]}))
    doubtful = extended and fit.evidence.variance > 10 * floor and unexplained_orders(design, splines.nodes, fit, checked, DOUBTFUL)
    structure: dict[int, float] = {}
    if doubtful:
        fit = shape_profiles(design.equations(fit.hyperparameters.orders), splines.nodes, fit, floor)
        longer = extend(design, splines.nodes, fit, symmetry_orders, floor)
        if longer is not None and log_evidence(longer[1], fit_pixels := longer[0].pixels) > log_evidence(fit, fit_pixels):
            wider, candidate = longer
            scores = symmetry_scores(wider, splines.nodes, candidate, symmetry_orders, floor)
            ranked = dict(sorted(scores.items(), key=lambda item: -item[1]))
            fit, equations, selection = candidate, wider, Selection((candidate,), ranked)
        structure = unexplained_orders(design, splines.nodes, fit, tuple(sorted({*checked, *fit.hyperparameters.orders})))
    return ChosenOrders(fit, equations, selection, max([1.0, *structure.values()]))
