"""Two Bragg peaks that a step is given."""

from __future__ import annotations

import numpy as np

from qpi_core.base.errors import InputError

LARGEST_Q = 1e4
"""rad/nm, far beyond any lattice."""

Pair = tuple[tuple[float, float], tuple[float, float]]


def require_independent(step: str, name: str, pair: Pair) -> None:
    """Raise InputError where two peaks lie in one direction."""
    matrix = np.array(pair)
    if abs(np.linalg.det(matrix)) < 1e-3 * float((matrix**2).sum()):
        raise InputError(f"{name} of the step {step!r} must be two peaks in different directions, but they are {pair}.")
