"""More angular orders and independent profiles, where one shared profile times {0, n} leaves structure in the residual.

The residual is projected onto every order and compared with white noise. Only where it stands out, the orders in question join,
each with a profile and an amplitude of its own, all fitted together by the marginal likelihood: what the data do not carry
falls to zero. The symmetry order is then the greatest common divisor of the orders that stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, evaluate
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations, functions_of
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.orders.next_orders import HIGHEST_ORDER
from qpi_core.solvers.harmonic.orders.residual_test import unexplained_orders
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.search import INDEPENDENT, SHARED, Fit, Hyperparameters, cost_and_gradient, refine

Array = NDArray[np.float64]

_LOW_ORDERS = (0, 1, 2, 3, 4, 5, 6, 8, 12)
_ROUNDS = 3
_WORTH_TRYING = 1e-2
"""Probability under white noise below which an order is tried once the simple model is in doubt."""
_TRUNCATION, _LEAST_TRUNCATION, _MOST_TRUNCATION = 1e-2, 1e-9, 1e-5
_SUBSPACE_RENEWALS = 2
_ROOM = float(np.log(1.5))
"""How much looser than the prior a subspace is made, as a logarithm."""
_LONGEST_LOG_COHERENCE = float(np.log(6.0))
_SEARCH_ROUNDS = 1
_OTHER_PROFILE = 0.3
"""Ratio of the second to the first singular value from which on profiles are not worth trying as multiples of one."""
_ORDERS_A_ROUND = 4
_MOST_ORDERS = 9
_RELEVANT_POWER = 12.0
"""Sum of squares in the map, in units of the noise variance, below which an order is left out again."""
_SYMMETRY_BREAKING = 0.25
_UNSEEN, _STRENGTH_ROOM = 1e-3, 2.0
"""Variance that the prior gives a direction of the profiles in the map, in units of the noise, below which a search does without it; and
by how much the amplitudes may grow during the search."""
_HOPELESS = 100.0
"""Log evidence that one profile for all may be behind after one round of its search; further rounds gain less."""
_RENEWED_UNKNOWNS = 600
"""Unknowns above which a subspace is renewed once only: each renewal is another search."""


def extend(design: StoredDesign, nodes: Array, fit: Fit, candidates: tuple[int, ...], floor: float) -> tuple[NormalEquations, Fit] | None:
    """Return the equations and the best fit with profiles of their own and further orders; None where they predict no better.

    Wrong positions or missing defects leave structure too, and the likelihood, which takes what is left for white noise, would
    have it as kernel. So every step must also predict the quarters of the map that it has not seen better than the step before.
    candidates are the symmetry orders that are allowed.
    """
    found, errors = None, held_out_errors(design, nodes, fit, floor)
    start, free = _independent_start(fit.hyperparameters, fit.hyperparameters.orders), fit
    for attempt in range(_ROUNDS + 1):
        equations, free = _fit_in_subspace(design, nodes, start, _truncation(design, free), floor)
        free_errors = held_out_errors(design, nodes, free, floor)
        if _predicts_better(free_errors, errors):
            found, errors = (equations, free), free_errors
        elif found is not None or attempt > 0:
            break
        orders = free.hyperparameters.orders
        surprising = unexplained_orders(design, nodes, free, _worth_checking(orders), _WORTH_TRYING)
        missing = _joinable(surprising, orders, candidates)[: min(_ORDERS_A_ROUND, _MOST_ORDERS - len(orders))]
        if not missing:
            break
        start = _independent_start(free.hyperparameters, tuple(sorted({*orders, *missing})))
    if found is None:
        return None
    return _tidied(design, nodes, *found, floor)


def _fit_in_subspace(
    design: StoredDesign, nodes: Array, start: Hyperparameters, truncation: float, floor: float
) -> tuple[NormalEquations, Fit]:
    """Return the fit from start, the subspace of the profiles renewed where the search left what it had room for."""
    equations = _equations_from(design, nodes, start, truncation)
    free = refine(equations, nodes, start, floor, _SEARCH_ROUNDS)
    for renewal in range(_SUBSPACE_RENEWALS):
        tighter = _truncation(design, free)
        settled = not _outgrown(free.hyperparameters.radial, start.radial) and tighter > 0.03 * truncation
        if settled or (renewal and equations.projection.size > _RENEWED_UNKNOWNS):
            break
        start, truncation = free.hyperparameters, tighter
        equations = _equations_from(design, nodes, start, truncation)
        free = refine(equations, nodes, start, floor, _SEARCH_ROUNDS)
    return equations, free


def _equations_from(design: StoredDesign, nodes: Array, start: Hyperparameters, truncation: float) -> NormalEquations:
    """Return the equations that a search from start takes: in the directions of the profiles that the map can tell from nothing."""
    radial, strength = _looser(start.radial), _STRENGTH_ROOM * float(np.abs(start.mixing()).max())
    return design.equations_in(start.orders, seen_subspace(design, radial, nodes, strength, truncation))


def _tidied(design: StoredDesign, nodes: Array, equations: NormalEquations, free: Fit, floor: float) -> tuple[NormalEquations, Fit]:
    """Return the fit without the orders that carry nothing, and with one profile for all where that is more probable."""
    kept = _relevant(equations, free)
    if kept != free.hyperparameters.orders:
        equations = equations.restricted(kept)
        free = refine(equations, nodes, _without(free.hyperparameters, kept), floor, _SEARCH_ROUNDS)
    best = free
    if not _unlike_one_profile(free):
        shared, pixels = refine(equations, nodes, _shared_start(free), floor, rounds=1), equations.pixels
        if log_evidence(shared, pixels) > log_evidence(free, pixels) - _HOPELESS:
            shared = refine(equations, nodes, shared.hyperparameters, floor)
        best = max((free, shared), key=lambda candidate: log_evidence(candidate, pixels))
    # What the map does not see is needed for error bars, not for the search.
    point = best.hyperparameters
    whole = design.equations_in(point.orders, profile_subspace(_looser(point.radial), nodes, _truncation(design, best)))
    return whole, refine(whole, nodes, point, floor, _SEARCH_ROUNDS)


def _unlike_one_profile(fit: Fit) -> bool:
    """Tell whether the profiles are far from being multiples of one."""
    singular = np.linalg.svd(fit.evidence.profiles, compute_uv=False)
    return bool(singular[1:].size and singular[1] > _OTHER_PROFILE * singular[0])


def _truncation(design: StoredDesign, fit: Fit) -> float:
    """Return the share of the prior's largest variance below which a direction of the profiles is left out: well below the noise."""
    return float(np.clip(_TRUNCATION * fit.evidence.variance / design.variance, _LEAST_TRUNCATION, _MOST_TRUNCATION))


def _outgrown(radial: RadialPrior, start: RadialPrior) -> bool:
    """Tell whether a prior reaches further out, or varies faster, than the subspace of _looser(start) has room for."""
    return bool(
        radial.log_decay < start.log_decay - 1.5 * _ROOM
        or radial.log_coherence < min(start.log_coherence, _LONGEST_LOG_COHERENCE) - _ROOM
        or radial.log_power < start.log_power - 0.2
        or float(radial.wavenumbers.max()) > float(start.wavenumbers.max()) + 0.1
    )


def held_out_errors(design: StoredDesign, nodes: Array, fit: Fit, floor: float) -> Array:
    """Return the sum of squared errors in each quarter of the map, predicted from the other three with fixed hyperparameters."""
    point = fit.hyperparameters
    subspace = seen_subspace(design, point.radial, nodes, float(np.abs(point.mixing()).max()))
    equations = design.equations_in(point.orders, subspace)
    errors = []
    for rest, rows, values in design.split(equations):
        profiles = evaluate(rest, nodes, point.radial, point.mixing(), floor).profiles
        errors.append(float(np.sum((values - rows @ rest.reduced(profiles).ravel()) ** 2)))
    return np.array(errors)


def _predicts_better(errors: Array, than: Array) -> bool:
    """Tell whether errors are lower in total and in at least three of the four quarters."""
    return bool(errors.sum() < than.sum() and np.sum(errors < than) >= 3)


def _looser(radial: RadialPrior) -> RadialPrior:
    """Return a prior that leaves room for a decay found with too few orders."""
    return replace(radial, log_decay=radial.log_decay - _ROOM)


def _joinable(surprising: Mapping[int, float], orders: tuple[int, ...], candidates: tuple[int, ...]) -> list[int]:
    """Return the orders that may join without breaking every symmetry that is allowed, strongest first.

    An order that lowers the symmetry has to stand out among the others: a few weak ones always do by leakage.
    """
    own, strongest = reduce(gcd, orders, 0), max(surprising.values(), default=0.0)
    joined: list[int] = []
    for order, excess in surprising.items():
        step = reduce(gcd, (*orders, *joined, order), 0)
        weak = order % own != 0 and excess - 1 < _SYMMETRY_BREAKING * (strongest - 1) if own else False
        if order not in orders and not weak and any(allowed and step % allowed == 0 for allowed in candidates):
            joined.append(order)
    return joined


def _worth_checking(orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the low orders and, up to twice the highest order in use, the multiples of their greatest common divisor."""
    step = reduce(gcd, orders, 0)
    multiples = range(step, min(2 * max(orders), HIGHEST_ORDER) + 1, step) if step else ()
    return tuple(sorted({*_LOW_ORDERS, *multiples}))


def profile_subspace(radial: RadialPrior, nodes: Array, truncation: float = _MOST_TRUNCATION) -> Array:
    """Return orthonormal columns, (nodes, k), that span the profiles of a prior somewhat looser than the given one.

    Directions with less than the share `truncation` of the largest prior variance are left out.
    """
    return _main_directions(radial, nodes, truncation)[1]


def _main_directions(radial: RadialPrior, nodes: Array, truncation: float) -> tuple[Array, Array]:
    """Return the prior variances, (k,), and the directions, (nodes, k), of profile_subspace."""
    coherence = min(radial.log_coherence - _ROOM, _LONGEST_LOG_COHERENCE)
    looser = replace(radial, log_decay=radial.log_decay - _ROOM, log_coherence=coherence)
    values, vectors = np.linalg.eigh(looser.covariance(nodes))
    kept = values > truncation * values[-1]
    return values[kept], np.ascontiguousarray(vectors[:, kept])


def seen_subspace(design: StoredDesign, radial: RadialPrior, nodes: Array, strength: float, truncation: float = _MOST_TRUNCATION) -> Array:
    """Return the part of profile_subspace, (nodes, k), in which a map tells a profile of this strength (in units of the noise) from none.

    The isotropic order speaks for all: the Gram matrices of the others are about half of its own.
    """
    values, vectors = _main_directions(radial, nodes, truncation)
    scaled = vectors * np.sqrt(values)
    information, turned = np.linalg.eigh(strength**2 * design.gram_in(0, scaled))
    kept = information > _UNSEEN
    if not kept.any():
        return vectors
    return np.ascontiguousarray(np.linalg.qr(scaled @ turned[:, kept])[0])


def symmetry_scores(equations: NormalEquations, nodes: Array, fit: Fit, candidates: tuple[int, ...], floor: float) -> dict[int, float]:
    """Return the log evidence of every candidate symmetry: the fit's own with only the orders that the symmetry allows."""
    point = fit.hyperparameters
    scores = {}
    for candidate in candidates:
        allowed = tuple(order for order in point.orders if order == 0 or (candidate and order % candidate == 0))
        if allowed == point.orders:
            # The same orders: the data carry more symmetry than this candidate asks for, which its evidence pays with a share.
            own = reduce(gcd, point.orders, 0)
            scores[candidate] = log_evidence(fit, equations.pixels) - (0.0 if candidate == own else 0.5 * float(np.log(equations.pixels)))
            continue
        part = _without(point, allowed)
        cost, _, _ = cost_and_gradient(equations.restricted(allowed), nodes, part, floor)
        scores[candidate] = -cost - 0.5 * part.searched * float(np.log(equations.pixels))
    return scores


def _independent_start(point: Hyperparameters, pool: tuple[int, ...]) -> Hyperparameters:
    sizes = np.abs(point.mixing()).max(axis=1)
    of_order = {order: max(sizes[k] for k, o in enumerate(functions_of(point.orders)) if o == order) for order in point.orders}
    least = 0.1 * max(of_order.values())
    amplitudes = np.log([max(of_order.get(order, 0.0), least) for order in pool])
    vector = np.concatenate([point.vector[: point.head], amplitudes])
    vector[1] = min(vector[1], np.log(8.0))
    return Hyperparameters(vector, point.waves, pool, INDEPENDENT, gaussian=point.gaussian)


def _relevant(equations: NormalEquations, fit: Fit) -> tuple[int, ...]:
    """Return the orders whose part of the map stands above the noise; 0 always stays."""
    orders, of_function = fit.hyperparameters.orders, fit.hyperparameters.order_of_function
    inner = equations.reduced(fit.evidence.profiles)
    power = [float(profile @ equations.gram[k, k] @ profile) for k, profile in enumerate(inner)]
    by_order = np.bincount(of_function, weights=power) / fit.evidence.variance
    return tuple(order for order, p in zip(orders, by_order, strict=True) if order == 0 or p > _RELEVANT_POWER)


def _without(point: Hyperparameters, kept: tuple[int, ...]) -> Hyperparameters:
    """Return the same hyperparameters for fewer orders."""
    if point.mixing_kind == INDEPENDENT:
        tail = point.vector[point.head :][[order in kept for order in point.orders]]
        return replace(point, vector=np.concatenate([point.vector[: point.head], tail]), orders=kept)
    mixing = point.mixing()[[order in kept for order in functions_of(point.orders)], 0]
    return _shared_from(replace(point, orders=kept), mixing)


def _shared_start(free: Fit) -> Hyperparameters:
    """Return a start with one profile for all parts: the leading singular vector of the independent profiles."""
    left, singular, _ = np.linalg.svd(free.evidence.profiles, full_matrices=False)
    point = free.hyperparameters
    size = float(np.linalg.norm(free.hyperparameters.mixing().diagonal()))
    return _shared_from(point, left[:, 0] * size)


def _shared_from(point: Hyperparameters, mixing: Array) -> Hyperparameters:
    """Return the point with one profile for all parts, in the given proportions."""
    pivot = int(np.argmax(np.abs(mixing)))
    ratios = np.delete(mixing / mixing[pivot], pivot)
    scale = float(np.log(np.abs(mixing[pivot]) + 1e-12))
    vector = np.concatenate([point.vector[: point.head], [scale], ratios])
    return replace(point, vector=vector, mixing_kind=SHARED, pivot=pivot)
