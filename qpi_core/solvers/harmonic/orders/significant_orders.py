"""Which angular orders a class of defects carries: the simple choice, and the richer one where its residual asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.orders.extension import extend, symmetry_scores
from qpi_core.solvers.harmonic.orders.radial_prior import shape_profiles
from qpi_core.solvers.harmonic.orders.residual_test import DOUBTFUL, unexplained_orders
from qpi_core.solvers.harmonic.orders.selection import Selection, log_evidence
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.harmonic.start import HarmonicStart

_EXPLAINED_FLOORS = 10
"""Noise variance, in units of the least one, from which on there may be something left to explain."""


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


def is_explained(fit: Fit, floor: float) -> bool:
    """Say whether a fit leaves no more than the error of the radial splines, floor being the least noise variance."""
    return fit.evidence.variance <= _EXPLAINED_FLOORS * floor


def doubtful_orders(begun: HarmonicStart, symmetry_orders: tuple[int, ...], probability: float = DOUBTFUL) -> dict[int, float]:
    """Return the orders that make the start's own choice doubtful, as unexplained_orders does, strongest first."""
    fit = begun.selection.best
    if is_explained(fit, begun.floor):
        return {}
    return unexplained_orders(begun.design, begun.splines.nodes, fit, _checked(begun, symmetry_orders), probability)


def choose_orders(begun: HarmonicStart, symmetry_orders: tuple[int, ...], doubtful: bool | None = None) -> ChosenOrders:
    """Return the start's own choice, or where its residual makes it doubtful one with more orders and profiles.

    Whether it is doubtful is found out here unless the caller knows.
    """
    splines, design, selection, floor = begun.splines, begun.design, begun.selection, begun.floor
    fit, equations = selection.best, None
    structure: dict[int, float] = {}
    if doubtful is None:
        doubtful = bool(doubtful_orders(begun, symmetry_orders))
    if doubtful:
        fit = shape_profiles(design.equations(fit.hyperparameters.orders), splines.nodes, fit, floor)
        longer = extend(design, splines.nodes, fit, symmetry_orders, floor)
        if longer is not None and log_evidence(longer[1], fit_pixels := longer[0].pixels) > log_evidence(fit, fit_pixels):
            wider, candidate = longer
            scores = symmetry_scores(wider, splines.nodes, candidate, symmetry_orders, floor)
            ranked = dict(sorted(scores.items(), key=lambda item: -item[1]))
            fit, equations, selection = candidate, wider, Selection((candidate,), ranked)
        checked = tuple(sorted({*_checked(begun, symmetry_orders), *fit.hyperparameters.orders}))
        structure = unexplained_orders(design, splines.nodes, fit, checked)
    return ChosenOrders(fit, equations, selection, max([1.0, *structure.values()]))


def _checked(begun: HarmonicStart, symmetry_orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the orders that a residual is projected onto."""
    return tuple(sorted({0, *symmetry_orders, 2 * begun.selection.best.hyperparameters.orders[-1]}))
