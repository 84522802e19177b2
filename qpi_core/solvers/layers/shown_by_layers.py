"""What several layers of a stack together show beyond a list of defects, and which of the list they do not show.

Every layer shows the same defects, so the log likelihoods that one more or one less would gain add up (positions.catalogue.candidates).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.positions.catalogue.candidates import Views, better_without, candidate_places, gains_without, strongest, views_of
from qpi_core.solvers.positions.catalogue.check import ABSENT_GAIN, PEAK_GAIN
from qpi_core.solvers.positions.score_test import MovesScore

Array = NDArray[np.float64]

_PEAK_OVER_SCORE = 7.0
"""Least gain of a missing defect over the score per unknown of moved defects. One map asks for 10 before it moves the listed ones too
(score_test); here what is wrong is caught by the evidence, and three missing of sixteen were seen at 8.7 (tests/extraction/stacks)."""
_NEAR_PX = 1.0
"""Two layers that see a missing defect within this distance see the same one."""


def beyond_the_list(
    models: Sequence[HarmonicModel], values: Sequence[NDArray[np.float32]], one: DefectClass, scores: Sequence[MovesScore]
) -> tuple[Array, float]:
    """Return (k, 2) places px where the layers together clearly show defects beyond a class's list, and what the strongest one gains.

    Args:
        models: of the class, one a layer.
        values: (height, width) of each layer, without the patterns of the other classes.
        one: the class.
        scores: of the models.
    """
    weight = float(np.median(one.weights))
    places = _distinct(np.concatenate([candidate_places(left, model, weight) for model, left in zip(models, values, strict=True)]))
    if not len(places):
        return places, 0.0
    views = _summed(models, places)
    found = strongest(views, weight, _least_gain(scores, PEAK_GAIN))
    if not found:
        return places[:0], 0.0
    return places[found], float(weight * views.response[found[0]] - 0.5 * weight**2 * views.overlap[found[0], found[0]])


def not_shown(models: Sequence[HarmonicModel], one: DefectClass, scores: Sequence[MovesScore]) -> tuple[NDArray[np.bool_], Array]:
    """Return which of a class's defects the layers together do not show, and what leaving out each would gain; arguments as above."""
    views = _summed(models, one.positions)
    return better_without(views, one.weights, _least_gain(scores, ABSENT_GAIN)), gains_without(views, one.weights)


def _summed(models: Sequence[HarmonicModel], places: Array) -> Views:
    """Return how the layers together see defects at places, (k, 2) px."""
    return reduce(add, [views_of(model, places) for model in models])


def _least_gain(scores: Sequence[MovesScore], least: float) -> float:
    """Return what a missing or absent defect must gain over all layers to be one, and no sign of others that are off."""
    beyond_chance = 1 + sum(max(score.per_unknown - 1, 0.0) for score in scores)
    return max(least, _PEAK_OVER_SCORE * beyond_chance)


def _distinct(places: Array) -> Array:
    """Return places, (k, 2) px, without those within reach of an earlier one."""
    tree = cKDTree(places)
    kept = [k for k, near in enumerate(tree.query_ball_point(places, _NEAR_PX)) if min(near) == k] if len(places) else []
    return places[kept]
