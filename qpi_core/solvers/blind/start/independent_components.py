"""Projections of whitened responses that are as skewed as they can be: activation maps are sparse and positive.

FastICA (Hyvarinen 1999) with the third moment: w <- mean of u (w u)^2, normalised. Skewness also fixes the sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

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


def skewed_directions(whitened: Image, rule: FixedPoint, rng: np.random.Generator) -> tuple[Image, Array]:
    """Return unit directions (starts, dimensions) of whitened data (dimensions, samples), and the skewness of each, positive."""
    directions = _normalised(rng.standard_normal((rule.starts, len(whitened))).astype(np.float32))
    for _ in range(rule.steps):
        projected = directions @ whitened
        shaped = np.maximum(projected, 0) ** 3 if rule.only_positive else projected**2
        directions = _normalised(np.asarray(shaped @ whitened.T, dtype=np.float32))
    skewness: Array = np.mean((directions @ whitened).astype(np.float64) ** 3, axis=1)
    return directions * np.where(skewness < 0, np.float32(-1), np.float32(1))[:, None], np.abs(skewness)


def distinct(components: Image, worth: Array, most: int) -> list[int]:
    """Return the numbers of the most worthy components (count, pixels) that are not the same as a better one."""
    centred = components - components.mean(axis=1, keepdims=True)
    centred = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-30)
    found: list[int] = []
    for number in np.argsort(-worth):
        if len(found) < most and all(float(centred[number] @ centred[other]) < _TWINS for other in found):
            found.append(int(number))
    return found


def _normalised(directions: Image) -> Image:
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True), dtype=np.float32)
