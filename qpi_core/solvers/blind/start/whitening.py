"""The directions in which the responses of a filter bank vary more than noise would make them, each to variance 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Array = NDArray[np.float64]

_RIDGE = 1e-6
_ABOVE_NOISE = 3.0
_LOWEST_SHARE = 8
_LEAST = 4


@dataclass(frozen=True)
class WhiteningRule:
    """How many directions are kept.

    Attributes:
        most: at most so many.
        floor: smallest ratio of signal to noise, as a share of the largest one.
    """

    most: int = 60
    floor: float = 1e-7


def whitening_matrix(covariance: Array, noise: Array, rule: WhiteningRule) -> Array:
    """Return W, (responses, kept): W^T z has covariance 1 for responses z.

    Args:
        covariance: (responses, responses) of the responses to the map.
        noise: the same of the responses to white noise.
        rule: which of the generalised eigenvectors C v = lambda N v are kept: those whose ratio lambda is well above the
            smallest ones, which are noise.
    """
    regular = noise + _RIDGE * np.trace(noise) / len(noise) * np.eye(len(noise))
    ratios, vectors = eigh(covariance, regular)
    ratios, vectors = ratios[::-1], vectors[:, ::-1]
    lowest = float(np.median(ratios[-max(3, len(ratios) // _LOWEST_SHARE) :]))
    above = int(np.sum(ratios > max(_ABOVE_NOISE * lowest, rule.floor * ratios[0])))
    kept = vectors[:, : max(_LEAST, min(rule.most, above))]
    return np.asarray(kept / np.sqrt(np.sum(kept * (covariance @ kept), axis=0)))
