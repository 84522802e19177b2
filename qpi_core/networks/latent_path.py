"""A path between two latents: what the decoder draws on the way from one kernel to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError

PATHS = ("line", "slerp")
_PARALLEL = 1e-6


def latent_between(first: ArrayLike, second: ArrayLike, fraction: float, path: str = "line") -> NDArray[np.float32]:
    """Return the latent at a fraction of the way from one latent to another.

    "line" is the straight line (1 - t) a + t b, which passes nearer to the origin than both ends; "slerp" turns the direction at a
    constant rate along the great circle and the length linearly, so that the way stays as far out as the ends are.
    Source of slerp: Shoemake, SIGGRAPH 1985, here for the directions a / |a| and b / |b|.

    Args:
        first, second: latents of one shape.
        fraction: t from 0 to 1.
        path: one of PATHS.

    Raises:
        InputError: shapes that differ, values that are not finite, a fraction outside 0 to 1, or an unknown path.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(f"first and second must be finite latents of one shape, but their shapes are {a.shape} and {b.shape}.")
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction must be from 0 to 1, but it is {fraction!r}.")
    if path not in PATHS:
        raise InputError(f"path must be one of {', '.join(PATHS)}, but it is {path!r}.")
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    angle = float(np.arccos(np.clip(np.vdot(a, b) / max(lengths[0] * lengths[1], 1e-300), -1.0, 1.0)))
    # Along one direction, or through the origin, there is no great circle to follow.
    if path == "line" or min(lengths) == 0 or angle < _PARALLEL or angle > np.pi - _PARALLEL:
        return ((1 - fraction) * a + fraction * b).astype(np.float32)
    direction = (np.sin((1 - fraction) * angle) * a / lengths[0] + np.sin(fraction * angle) * b / lengths[1]) / np.sin(angle)
    return np.asarray(((1 - fraction) * lengths[0] + fraction * lengths[1]) * direction, dtype=np.float32)
