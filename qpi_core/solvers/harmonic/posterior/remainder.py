"""What a kernel may hold beyond its model, and how much of it the map leaves open.

The prior of the profiles has one envelope for all radii, and the model holds only the angular orders that the evidence pays for. Beyond
them its error bars are those of a statement, not of the map: a Gaussian envelope says that nothing is left at 40 px, and an order
that was left out is zero for certain. Kernels of band structures have tails of their own and ever higher orders, weak ones, that no
single map shows. So the kernel is A = A_1 + A_2, A_1 that of the model with its hyperparameters, and A_2 a weak pattern without
a shape of its own: independent profiles of the same waves that soon lose their phase, under one wide envelope, of the model's orders
and the next ones, all of one strength tau. Nothing but tau is new, and it is integrated over:

    p(tau | Y) ~ p(Y | tau) on 0 <= tau <= strength of A_1  (uniform: A. Gelman, Bayesian Analysis 1, 515 (2006)).

With A_1 marginalised, W = (I + B_1 K_1 B_1^T)^-1, the information on A_2 = E c, c ~ N(0, tau^2), is E^T B^T W B E = U diag(l) U^T, and

    log p(Y | tau) = -1/2 sum log(1 + tau^2 l) - f/2 log(Q - sum d x^2),   d = tau^2 / (1 + tau^2 l),   x = U^T E^T B^T W Y,

in closed form for every tau, f degrees of freedom and Q = f sigma^2 the misfit of the model. Mean and covariance follow as averages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import cKDTree

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines
from qpi_core.solvers.harmonic.equations.evidence import RadialPrior, low_rank_factor, posterior_factor
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations, functions_of, in_subspace
from qpi_core.solvers.harmonic.equations.whitened_equations import whitened_equations
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.orders.next_orders import next_order
from qpi_core.solvers.harmonic.search import SHARED, Fit

Array = NDArray[np.float64]

_REACH = 1 / 3
"""Radius where the wide envelope, an exponential, has fallen to 1 / e, in units of the largest radius."""
_COHERENCE_PX = 8.0
_RANK = 1e-4
"""Variance, in units of the largest one, below which a direction of the profiles is left out."""
_BEYOND_ISOTROPIC = (2, 3, 4, 6)
_MOST_PIXELS = 32_768
_STRENGTHS = 60
_WEAKEST, _STRONGEST = 1e-3, 30.0
"""Strengths between which is integrated, in units of that at which the map tells the best seen tenth of the patterns from none."""


@dataclass(frozen=True)
class Remainder:
    """What a kernel holds beyond its model.

    Attributes:
        orders: angular orders.
        profiles: (a, nodes) mean, to be added to those of the model.
        factor: (a, nodes, k) whose rows' products are the covariance that is added to the posterior's.
        offset: what the constant background gains by the profiles.
        strength: posterior mean of tau over the strength of the model's own pattern.
    """

    orders: tuple[int, ...]
    profiles: Array
    factor: Array
    offset: float
    strength: float

    def total(self, orders: tuple[int, ...], profiles: Array) -> Array:
        """Return the profiles, (a, nodes), of a model's orders, which are among those here, with the remainder."""
        whole = self.profiles.copy()
        whole[_places(orders, self.orders)] += profiles
        return whole


def find_remainder(
    samples: MapSamples, splines: RadialSplines, equations: NormalEquations, fit: Fit, frame: SolverFrame, whitener: Whitener | None
) -> Remainder | None:
    """Return what the kernel of a fit may hold beyond it; None for a single endless wave, which leaves nothing.

    Args:
        samples, splines: those of the fit.
        equations: of the fit; their misfit is that of the whole map.
        fit: the model of A_1.
        frame: coordinates of the samples.
        whitener: of a map whose noise is coloured; the equations are whitened then.
    """
    point = fit.hyperparameters
    if point.mixing_kind == SHARED and point.periodic:
        return None
    orders = orders_beyond(point.orders)
    seen = _equations(samples, splines, orders, frame, whitener)
    return _integrated(seen, equations, splines.nodes, fit, _places(point.orders, orders))


def orders_beyond(orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the orders of a fit and the next ones that its symmetry allows; of an isotropic one those of every symmetry."""
    following = next_order(orders)
    further = _BEYOND_ISOTROPIC if len(orders) == 1 else () if following is None else (following,)
    return tuple(sorted({*orders, *further}))


def _places(orders: tuple[int, ...], among: tuple[int, ...]) -> list[int]:
    """Return where the angular functions of some orders stand among those of more."""
    return [place for place, order in enumerate(functions_of(among)) if order in orders]


def _equations(
    samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...], frame: SolverFrame, whitener: Whitener | None
) -> NormalEquations:
    """Return the equations of these orders, on a part of the pixels of a large map."""
    if whitener is not None:
        tiles = _nearest_tiles(whitener, frame.pixels(samples.positions)) if samples.values.size > _MOST_PIXELS else None
        return whitened_equations(samples, *samples.places, splines, orders, whitener, tiles=tiles)
    if samples.values.size > _MOST_PIXELS:
        chosen = np.zeros(samples.values.size, dtype=bool)
        chosen[np.random.default_rng(0).permutation(chosen.size)[:_MOST_PIXELS]] = True
        samples = samples.restricted(chosen)
    return accumulate([ClassBasis(samples, splines, orders)]).alone()


def _nearest_tiles(whitener: Whitener, positions: Array) -> list[int]:
    """Return the numbers of the tiles whose middles lie nearest to defects, (n, 2) in px, as many as hold the pixels that suffice."""
    middles = np.array([[(across.start + across.stop - 1) / 2, (down.start + down.stop - 1) / 2] for down, across in whitener.tiles])
    distances = cKDTree(positions).query(middles)[0]
    chosen: list[int] = []
    for number in np.argsort(distances, kind="stable"):
        chosen.append(int(number))
        if sum(whitener.pixels_of(one) for one in chosen) >= _MOST_PIXELS:
            break
    return chosen


def _integrated(seen: NormalEquations, own: NormalEquations, nodes: Array, fit: Fit, places: list[int]) -> Remainder | None:
    """Return the remainder, tau integrated over; seen are the equations of its orders, own those of the model."""
    size, count, point, freedom = len(seen.projection), nodes.size, fit.hyperparameters, seen.pixels - 1
    known = _posterior_factor(seen, own, nodes, fit, places)
    factor = low_rank_factor(_shapeless(point.radial, nodes).covariance(nodes), _RANK)
    patterns, projection = np.kron(np.eye(size), factor), seen.projection.ravel()
    # Every function has the same patterns: block by block, G E and E^T G E take a fraction of the whole products.
    reached = np.ascontiguousarray((seen.gram @ factor).transpose(0, 2, 1, 3)).reshape(size * count, -1)
    whole = (factor.T @ reached.reshape(size, count, -1)).reshape(reached.shape[1], -1)
    taken = known.T @ reached
    information, turned = eigh(whole - taken.T @ taken, check_finite=False)
    if not information[-1] > 0:
        # No pixel sees any of them.
        return None
    information, strength = np.maximum(information, 0.0), float(np.linalg.norm(point.mixing(), axis=1).max())
    pull = turned.T @ (patterns.T @ projection - taken.T @ (known.T @ projection))
    weights, shrunk, mean = _by_strength(information, pull, freedom * fit.evidence.variance, freedom, strength)
    # A_1 gives way to A_2: what the posterior of A_1 takes up of it goes off again.
    directions = (patterns - known @ taken) @ turned
    average = weights @ shrunk
    by_strength = np.sqrt(weights)[:, None] * (shrunk - average) * pull
    columns = np.concatenate([np.sqrt(fit.evidence.variance * average) * directions, directions @ by_strength.T], axis=1)
    profiles = (directions @ (average * pull)).reshape(size, count)
    offset = -float(np.sum(seen.mean_design * profiles))
    return Remainder(seen.orders, profiles, columns.reshape(size, count, -1), offset, mean / strength)


def _posterior_factor(seen: NormalEquations, own: NormalEquations, nodes: Array, fit: Fit, places: list[int]) -> Array:
    """Return P, (functions x nodes, k), with P P^T the posterior covariance of A_1 in units of the noise variance."""
    inner = replace(seen, gram=seen.gram[np.ix_(places, places)], projection=seen.projection[places], mean_design=seen.mean_design[places])
    subspace, point = own.subspace, fit.hyperparameters
    factor = posterior_factor(inner if subspace is None else in_subspace(inner, subspace), nodes, point.radial, point.mixing())
    if subspace is not None:
        factor = subspace @ (subspace.T @ factor)
    known = np.zeros((*seen.projection.shape, factor.shape[-1]))
    known[places] = factor
    return known.reshape(-1, factor.shape[-1])


def _by_strength(information: Array, pull: Array, misfit: float, freedom: int, most: float) -> tuple[Array, Array, float]:
    """Return the weights of a grid of strengths tau, (t,), their d, (t, k), and the mean of tau."""
    unit = 1 / np.sqrt(np.percentile(information, 90))
    strengths = np.concatenate([[0.0], np.geomspace(_WEAKEST, _STRONGEST, _STRENGTHS) * unit])
    strengths = strengths[strengths <= max(most, strengths[1])]
    power = strengths[:, None] ** 2
    shrunk = power / (1 + power * information)
    left = np.maximum(misfit - shrunk @ pull**2, 1e-3 * misfit)
    evidence = -0.5 * np.log1p(power * information).sum(axis=1) - 0.5 * freedom * np.log(left)
    weights = np.exp(evidence - evidence.max()) * np.gradient(strengths)
    weights /= weights.sum()
    return weights, shrunk, float(weights @ strengths)


def _shapeless(radial: RadialPrior, nodes: Array) -> RadialPrior:
    """Return the prior of the same waves that soon lose their phase, under the wide envelope."""
    coherence = min(radial.log_coherence, float(np.log(_COHERENCE_PX)))
    return replace(radial, log_decay=-2 * float(np.log(_REACH * nodes[-1])), log_power=0.0, log_coherence=coherence)
