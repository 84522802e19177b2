"""What a map shows beyond a list of defects, and which of the list it does not show.

One more defect of amplitude w at p changes the log likelihood of the map by

    (w t.r - w^2 t.(1 - H) t / 2) / sigma^2

with r what kernel and list leave of the map, t the kernel's pattern at p, and H the smoother of the kernel's own solve: while the
defect is missing, the kernel takes over some of its pattern, and gives it back once the defect is there. Without H the last missing
defects of a crowded map never show at full amplitude; with it a kernel that is still wrong shows some that are not there. So the
clear ones are looked for without H, and with it only those that are then tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from qpi_core.operators.correlation import correlate_with_kernel
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.equations.evidence import posterior_factor
from qpi_core.solvers.harmonic.equations.map_products import map_products
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.posterior.kernel import Renderer

Array = NDArray[np.float64]

_NEAREST_PX = 1.0
"""A second defect closer than this to a listed one is more likely the first one's error."""
_CANDIDATES = 24
_BELIEVED = 0.6
"""Share of the strongest gain down to which places are believed before the kernel is solved again."""
_MOST_A_ROUND = 3


def missing_defects(
    values: NDArray[np.float32], model: HarmonicModel, weight: float, least_gain: float, kernel_gives_way: bool = False
) -> Array:
    """Return (k, 2) pixels (x, y) where one more defect gains most in log likelihood, the strongest first.

    Args:
        values: (height, width) map, NaN where not measured.
        model: of this map; its samples hold the list.
        weight: amplitude of a missing defect.
        least_gain: in log likelihood.
        kernel_gives_way: count what the kernel's own solve can take over (H above).
    """
    places = candidate_places(values, model, weight)
    return places[strongest(views_of(model, places, kernel_gives_way), weight, least_gain)] if len(places) else places


def strongest(views: Views, weight: float, least_gain: float) -> list[int]:
    """Return which few places gain most in log likelihood by a defect of this amplitude, the strongest first, least_gain at least."""
    found: list[int] = []
    most = 0.0
    for place, gain in _one_by_one(views, weight):
        most = max(most, gain)
        if len(found) == _MOST_A_ROUND or gain < max(least_gain, _BELIEVED * most):
            break
        found.append(place)
    return found


def _one_by_one(views: Views, weight: float) -> Iterator[tuple[int, float]]:
    """Yield the place where one more defect gains most beside those before it, and that gain, until there are no more places."""
    response, own = views.response.copy(), 0.5 * weight**2 * views.overlap.diagonal()
    taken = np.zeros(len(response), dtype=bool)
    for _ in range(len(response)):
        gains = np.where(taken, -np.inf, weight * response - own)
        best = int(np.argmax(gains))
        yield best, float(gains[best])
        taken[best] = True
        # What this one explains is no evidence for its neighbours.
        response -= weight * views.overlap[:, best]


def gain_of_missing(values: NDArray[np.float32], model: HarmonicModel, weight: float, least_gain: float) -> float:
    """Return the log likelihood that all clear missing defects gain together, the kernel as it is; arguments as for missing_defects."""
    places = candidate_places(values, model, weight)
    if not len(places):
        return 0.0
    gains = (gain for _, gain in _one_by_one(views_of(model, places), weight))
    return sum(takewhile(lambda gain: gain >= least_gain, gains), start=0.0)


def absent_defects(model: HarmonicModel, points: Array, weights: Array, least_gain: float) -> NDArray[np.bool_]:
    """Return (n,) which listed defects the map would rather do without, the clearest ones only; arguments as for missing_defects."""
    return better_without(views_of(model, points), weights, least_gain)


def better_without(views: Views, weights: Array, least_gain: float) -> NDArray[np.bool_]:
    """Return (n,) which of the defects that the views are of explain so little that leaving them out gains least_gain at least."""
    gains = gains_without(views, weights)
    return np.asarray(gains >= max(least_gain, _BELIEVED * float(gains.max())))


def gains_without(views: Views, weights: Array) -> Array:
    """Return (n,) what leaving out each of the defects that the views are of gains in log likelihood."""
    # Taking a defect out is adding one of minus its amplitude.
    return np.asarray(-weights * views.response - 0.5 * weights**2 * views.overlap.diagonal())


def candidate_places(values: NDArray[np.float32], model: HarmonicModel, weight: float) -> Array:
    """Return (k, 2) pixels with the strongest response to the kernel's pattern, away from listed defects."""
    frame, profiles = model.frame, model.fit.evidence.profiles
    window = frame.grid(2 * frame.reach(model.splines.radius) + 1)
    kernel = Renderer(window, model.splines, model.fit.hyperparameters.orders)(profiles)
    points = frame.pixels(model.samples.positions)
    background = model.equations.background(profiles)
    fitted = reconstruct(kernel.astype(np.float32), background, points, model.samples.weights, values.shape)
    measured = np.isfinite(values).astype(np.float64)
    residual = np.where(measured > 0, values - fitted, 0.0).astype(np.float64)
    energy = np.maximum(correlate_with_kernel(measured, kernel**2), 0.1 * float((kernel**2).sum()))
    response = np.sign(weight) * correlate_with_kernel(residual, kernel) / np.sqrt(energy)
    rows, columns = np.nonzero((response == maximum_filter(response, 3)) & (response > 0))
    strongest = np.argsort(-response[rows, columns], kind="stable")[:_CANDIDATES]
    places = np.stack([columns, rows], axis=1)[strongest].astype(np.float64)
    return np.asarray(places[cKDTree(points).query(places)[0] > _NEAREST_PX])


@dataclass(frozen=True)
class Views:
    """How a map sees defects at some places, in units of its noise; those of several maps with the same defects add up.

    Attributes:
        response: (k,) t.r / sigma^2, product of each pattern with what is left of the map.
        overlap: (k, k) t.t' / sigma^2 or t.(1 - H) t' / sigma^2 of the patterns, without their means: the background is free. sigma^2 is
            the variance of what is left, with the solver's floor.
    """

    response: Array
    overlap: Array

    def __add__(self, other: Views) -> Views:
        """Return what both maps see."""
        return Views(self.response + other.response, self.overlap + other.overlap)


def views_of(model: HarmonicModel, places: Array, kernel_gives_way: bool = False) -> Views:
    """Return the views of defects at places (k, 2); with kernel_gives_way what the kernel's own solve can take over counts not."""
    samples, splines, point = model.samples, model.splines, model.fit.hyperparameters
    x, y = model.frame.coordinates(places).T

    def patterns(part: slice) -> tuple[None, Array]:
        offsets = samples.x[part, None] - x, samples.y[part, None] - y
        return None, kernel_with_slopes(splines, point.orders, model.fit.evidence.profiles, *offsets)[0]

    products = map_products(model, len(places), patterns)
    overlap = products.gram
    if kernel_gives_way:
        factor = posterior_factor(model.equations, splines.nodes, point.radial, point.mixing())
        taken_over = np.einsum("ank,anc->kc", factor, products.onto, optimize=True)
        overlap = overlap - taken_over.T @ taken_over
    return Views(products.pull / products.variance, overlap / products.variance)
