"""Sentences that say what the data cannot tell of several classes of defects."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from qpi_core.diagnostics.identifiability import SAME_PLACE_PX
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.estimate import KernelEstimate

FEW_DEFECTS = 3
"""Defects below which a class rests on single places of the map."""
HARD_TO_TELL = 1.5
"""Ratio of the error bars with and without the other kernels unknown, from which on the classes are called hard to tell apart."""
SAME_KERNEL = 2.0
"""Mean squared difference of two kernels, in units of their error bars, below which they are called the same."""


def warn_about_classes(estimates: Mapping[str, KernelEstimate]) -> list[Caution]:
    """Return what the classes leave open together.

    Args:
        estimates: class -> estimate.
    """
    sentences = []
    for one, other in combinations(estimates, 2):
        sentences += [*_same_places(one, other, estimates), *_same_kernel(one, other, estimates)]
    for name, estimate in estimates.items():
        count = len(estimate.positions)
        if count < FEW_DEFECTS:
            sentences.append(
                _unclear(
                    f"The class {name} has only {count} defect{'s' if count > 1 else ''}: whatever else is around "
                    f"{'them' if count > 1 else 'it'} and belongs to no other class is in its kernel."
                )
            )
        widening = estimate.provenance.get("solver", {}).get("widening_by_other_classes", 1.0)
        if widening > HARD_TO_TELL:
            sentences.append(
                _unclear(
                    f"The data hardly tell the class {name} from the others: its error bars are {widening:.1f} times as wide as they would "
                    "be if the other kernels were known."
                )
            )
    return sentences


def _same_places(one: str, other: str, estimates: Mapping[str, KernelEstimate]) -> list[Caution]:
    first, second = estimates[one].positions, estimates[other].positions
    close = cKDTree(second).query(first)[0] <= SAME_PLACE_PX
    if not close.any():
        return []
    x, y = first[close][0]
    return [
        _unclear(
            f"{int(close.sum())} of the {len(first)} defects of the class {one} are within {SAME_PLACE_PX} px of one of the class {other}, "
            f"the first at x = {x:.1f} px, y = {y:.1f} px: there the map shows the sum of both kernels only."
        )
    ]


def _same_kernel(one: str, other: str, estimates: Mapping[str, KernelEstimate]) -> list[Caution]:
    first, second = estimates[one], estimates[other]
    if first.uncertainty is None or second.uncertainty is None:
        return []
    variance = first.uncertainty.astype(np.float64) ** 2 + second.uncertainty.astype(np.float64) ** 2
    if not (variance > 0).all() or np.mean((first.kernel - second.kernel) ** 2 / variance) > SAME_KERNEL:
        return []
    same = f"The kernels of the classes {one} and {other} agree within their error bars: the map does not say that they are two classes."
    return [_unclear(same)]


def _unclear(sentence: str) -> Caution:
    return Caution(sentence, CautionKind.CLASSES_UNCLEAR)
