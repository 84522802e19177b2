"""Patterns of a square lattice: two stars of plane waves and a ring under a Gaussian, as band structures make them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lattice_pattern(turn: float = 0.4, length: float = 1.0, width: float = 8.0, phase: float = 0.7) -> Callable[[Array, Array], Array]:
    """Return a function of offsets in px; length in rad/px is that of the longer star and of the ring."""
    angles = turn + np.arange(4) * np.pi / 2

    def evaluate(x: Array, y: Array) -> Array:
        radius = np.hypot(x, y)
        waves = [
            weight * np.cos(scale * length * (np.cos(a) * x + np.sin(a) * y)) for scale, weight in ((0.5, 0.7), (1.0, 0.9)) for a in angles
        ]
        return (sum(waves) + 0.6 * np.cos(length * radius + phase)) * np.exp(-(radius**2) / (2 * width**2))

    return evaluate
