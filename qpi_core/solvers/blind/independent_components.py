"""Projections of whitened responses that are as skewed as they can be: activation maps are sparse and positive.

FastICA (Hyvarinen 1999) with the third moment: w <- mean of u (w u)^2, normalised. Skewness also fixes the sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TWINS = 0.9
"""Correlation from which on two components are the same one."""


@dataclass(frozen=True)
class FixedPoint:
    """How the fixed points are looked for.

    Attributes:
        starts: random directions, followed at once.
        steps: of the iteration.
        only_positive: raise the positive values to the third power, in place of the square of all.
    """

    starts: int = 16
    steps: int = 30
    only_positive: bool = False


def skewed_directions(whitened: NDArray[np.float32], rule: FixedPoint, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return unit directions (starts, dimensions) of whitened data (dimensions, samples), and the skewness of each, positive."""
    directions = rng.standard_normal((rule.starts, len(whitened))).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for _ in range(rule.steps):
        projected = directions @ whitened
        shaped = np.maximum(projected, 0) ** 3 if rule.only_positive else projected**2
        directions = shaped @ whitened.T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    skewness = np.mean((directions @ whitened).astype(np.float64) ** 3, axis=1)
    return directions * np.where(skewness < 0, -1.0, 1.0)[:, None], np.abs(skewness)


def distinct(components: Array, worth: Array, most: int) -> list[int]:
    """Return the numbers of the most worthy components (count, pixels) that are not the same as a better one."""
    centred = components - components.mean(axis=1, keepdims=True)
    centred = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-30)
    found: list[int] = []
    for number in np.argsort(-worth):
        if len(found) < most and all(float(centred[number] @ centred[other]) < _TWINS for other in found):
            found.append(int(number))
    return found
