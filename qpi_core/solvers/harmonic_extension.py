"""More angular orders and independent profiles, where one shared profile times {0, n} leaves structure in the residual.

The residual is projected onto every order and compared with white noise. Only where it stands out, the orders in question join,
each with a profile and an amplitude of its own, all fitted together by the marginal likelihood: what the data do not carry
falls to zero. The symmetry order is then the greatest common divisor of the orders that stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic_evidence import RadialPrior, evaluate, low_rank_factor
from qpi_core.solvers.harmonic_search import INDEPENDENT, SHARED, Fit, Hyperparameters, cost_and_gradient, refine
from qpi_core.solvers.harmonic_selection import log_evidence
from qpi_core.solvers.normal_equations import NormalEquations, StoredDesign, functions_of

Array = NDArray[np.float64]

_LOW_ORDERS = (0, 1, 2, 3, 4, 5, 6, 8, 12)
_HIGHEST_ORDER = 24
_ROUNDS = 3
_REPLICATES = 12
_SUSPICIOUS, _WORTH_TRYING = 6.0, 3.0
"""Standard deviations beyond white noise: to doubt the simple model at all, and to try an order once it is in doubt."""
_LEAST_SPREAD = 0.4
"""Relative deviation of a projection's power under white noise: at least that of some twelve degrees of freedom."""
_SUBSPACE_TOLERANCE = 1e-5
_SEARCH_ROUNDS = 2
_ORDERS_A_ROUND = 4
_MOST_ORDERS = 9
_RELEVANT_POWER = 1e-4


def unexplained_orders(
    design: StoredDesign, nodes: Array, fit: Fit, checked: tuple[int, ...], threshold: float = _SUSPICIOUS
) -> dict[int, float]:
    """Return the orders onto which the residual projects more strongly than white noise would, by so many standard deviations.

    The values are the power over its expectation under white noise; strongest first.
    """
    point = fit.hyperparameters
    design.add_orders(checked)
    residual = design.residual(point.orders, fit.evidence.profiles) / np.sqrt(fit.evidence.variance)
    noise = np.random.default_rng(0).standard_normal((residual.size, _REPLICATES))
    images = np.concatenate([residual[:, None], noise - noise.mean(axis=0)], axis=1)
    short = replace(point.radial, log_coherence=min(point.radial.log_coherence, float(np.log(4.0))))
    factor = low_rank_factor(short.covariance(nodes))
    excess = {}
    for order in checked:
        power = np.sum((factor.T @ design.adjoint(order, images)) ** 2, axis=(0, 1))
        expected = power[1:].mean()
        spread = max(power[1:].std(), _LEAST_SPREAD * expected)
        if power[0] > expected + threshold * spread:
            excess[order] = float(power[0] / expected)
    return dict(sorted(excess.items(), key=lambda item: -item[1]))


def extend(design: StoredDesign, nodes: Array, fit: Fit, candidates: tuple[int, ...], floor: float) -> tuple[NormalEquations, Fit] | None:
    """Return the equations and the best fit with profiles of their own and further orders; None where they predict no better.

    Wrong positions or missing defects leave structure too, and the likelihood, which takes what is left for white noise, would
    have it as kernel. So every step must also predict the quarters of the map that it has not seen better than the step before.
    candidates are the symmetry orders that are allowed.
    """
    found, errors = None, held_out_errors(design, nodes, fit, floor)
    start = _independent_start(fit.hyperparameters, fit.hyperparameters.orders)
    for attempt in range(_ROUNDS + 1):
        equations = design.equations_in(start.orders, profile_subspace(_looser(start.radial), nodes))
        free = refine(equations, nodes, start, floor, _SEARCH_ROUNDS)
        free_errors = held_out_errors(design, nodes, free, floor)
        if _predicts_better(free_errors, errors):
            found, errors = free, free_errors
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
    kept = _relevant(found)
    equations = design.equations_in(kept, profile_subspace(found.hyperparameters.radial, nodes))
    free = refine(equations, nodes, _without(found.hyperparameters, kept), floor, _SEARCH_ROUNDS)
    shared = refine(equations, nodes, _shared_start(free), floor)
    return equations, max((free, shared), key=lambda candidate: log_evidence(candidate, equations.pixels))


def held_out_errors(design: StoredDesign, nodes: Array, fit: Fit, floor: float) -> Array:
    """Return the sum of squared errors in each quarter of the map, predicted from the other three with fixed hyperparameters."""
    point = fit.hyperparameters
    equations = design.equations_in(point.orders, profile_subspace(point.radial, nodes))
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
    return replace(radial, log_decay=radial.log_decay - float(np.log(1.5)))


def _joinable(surprising: Iterable[int], orders: tuple[int, ...], candidates: tuple[int, ...]) -> list[int]:
    """Return the orders that may join without breaking every symmetry that is allowed."""
    joined: list[int] = []
    for order in surprising:
        step = reduce(gcd, (*orders, *joined, order), 0)
        if order not in orders and any(allowed and step % allowed == 0 for allowed in candidates):
            joined.append(order)
    return joined


def _worth_checking(orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the low orders and, up to twice the highest order in use, the multiples of their greatest common divisor."""
    step = reduce(gcd, orders, 0)
    multiples = range(step, min(2 * max(orders), _HIGHEST_ORDER) + 1, step) if step else ()
    return tuple(sorted({*_LOW_ORDERS, *multiples}))


def profile_subspace(radial: RadialPrior, nodes: Array) -> Array:
    """Return orthonormal columns, (nodes, k), that span the profiles of a prior somewhat looser than the given one."""
    coherence = min(radial.log_coherence - float(np.log(1.5)), float(np.log(6.0)))
    looser = replace(radial, log_decay=radial.log_decay - float(np.log(1.5)), log_coherence=coherence)
    values, vectors = np.linalg.eigh(looser.covariance(nodes))
    return np.ascontiguousarray(vectors[:, values > _SUBSPACE_TOLERANCE * values[-1]])


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
    vector = np.concatenate([point.vector[: 2 + 2 * point.waves], amplitudes])
    vector[1] = min(vector[1], np.log(8.0))
    return Hyperparameters(vector, point.waves, pool, INDEPENDENT)


def _relevant(fit: Fit) -> tuple[int, ...]:
    """Return the orders whose profile carries more than a ten-thousandth of the strongest one's power; 0 always stays."""
    orders = fit.hyperparameters.orders
    power = np.bincount(fit.hyperparameters.order_of_function, weights=np.sum(fit.evidence.profiles**2, axis=1))
    return tuple(order for order, p in zip(orders, power, strict=True) if order == 0 or p > _RELEVANT_POWER * power.max())


def _without(point: Hyperparameters, kept: tuple[int, ...]) -> Hyperparameters:
    """Return the same hyperparameters for fewer orders."""
    head = point.vector[: 2 + 2 * point.waves]
    if point.mixing_kind == INDEPENDENT:
        tail = point.vector[2 + 2 * point.waves :][[order in kept for order in point.orders]]
        return Hyperparameters(np.concatenate([head, tail]), point.waves, kept, INDEPENDENT)
    mixing = point.mixing()[[order in kept for order in functions_of(point.orders)], 0]
    return _shared_from(head, mixing, point.waves, kept)


def _shared_start(free: Fit) -> Hyperparameters:
    """Return a start with one profile for all parts: the leading singular vector of the independent profiles."""
    left, singular, _ = np.linalg.svd(free.evidence.profiles, full_matrices=False)
    point = free.hyperparameters
    size = float(np.linalg.norm(free.hyperparameters.mixing().diagonal()))
    return _shared_from(point.vector[: 2 + 2 * point.waves], left[:, 0] * size, point.waves, point.orders)


def _shared_from(head: Array, mixing: Array, waves: int, orders: tuple[int, ...]) -> Hyperparameters:
    pivot = int(np.argmax(np.abs(mixing)))
    ratios = np.delete(mixing / mixing[pivot], pivot)
    scale = float(np.log(np.abs(mixing[pivot]) + 1e-12))
    return Hyperparameters(np.concatenate([head, [scale], ratios]), waves, orders, SHARED, pivot)
