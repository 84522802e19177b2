"""What a map shows beyond a list of defects, and which of the list it does not show.

One more defect of amplitude w at p changes the log likelihood of the map by

    (w t.r - w^2 t.(1 - H) t / 2) / sigma^2

with r what kernel and list leave of the map, t the kernel's pattern at p, and H the smoother of the kernel's own solve: while the
defect is missing, the kernel takes over some of its pattern, and gives it back once the defect is there. Without H the last missing
defects of a crowded map never show at full amplitude; with it a kernel that is still wrong shows some that are not there. So the
clear ones are looked for without H, and with it only those that are then tried one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from qpi_core.solvers.harmonic.posterior import Renderer

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
    places = _candidates(values, model, weight)
    if not len(places):
        return places
    views = _views(model, places, kernel_gives_way)
    found: list[int] = []
    response, strongest = views.response.copy(), 0.0
    while len(found) < _MOST_A_ROUND:
        gains = (weight * response - 0.5 * weight**2 * views.overlap.diagonal()) / views.variance
        gains[found] = -np.inf
        best = int(np.argmax(gains))
        strongest = max(strongest, float(gains[best]))
        if gains[best] < max(least_gain, _BELIEVED * strongest):
            break
        found.append(best)
        # What this one explains is no evidence for its neighbours.
        response -= weight * views.overlap[:, best]
    return places[found]


def absent_defects(model: HarmonicModel, points: Array, weights: Array, least_gain: float) -> NDArray[np.bool_]:
    """Return (n,) which listed defects the map would rather do without, the clearest ones only; arguments as for missing_defects."""
    # Taking a defect out is adding one of minus its amplitude.
    views = _views(model, points, False)
    gains = (-weights * views.response - 0.5 * weights**2 * views.overlap.diagonal()) / views.variance
    return np.asarray(gains >= max(least_gain, _BELIEVED * float(gains.max())))


def _candidates(values: NDArray[np.float32], model: HarmonicModel, weight: float) -> Array:
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
class _Views:
    """How the map sees defects at some places.

    Attributes:
        response: (k,) t.r, product of each pattern with what is left of the map.
        overlap: (k, k) t.t' or t.(1 - H) t' of the patterns, without their means: the background is free.
        variance: of what is left, with the solver's floor.
    """

    response: Array
    overlap: Array
    variance: float


def _views(model: HarmonicModel, places: Array, kernel_gives_way: bool) -> _Views:
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
    return _Views(products.pull, overlap, products.variance)
