"""What the hyperparameters of a harmonic kernel say about it, in the units of the map, with standard deviations to first order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.posterior.kernel import with_deviation
from qpi_core.solvers.harmonic.search import SHARED, Hyperparameters
from qpi_core.solvers.harmonic.stretch import Stretch

Array = NDArray[np.float64]


def solver_pixel(pitch: tuple[float, float]) -> float:
    """Return the side in nm of a solver's pixel, a square of the same area as one of (dy, dx) nm."""
    return float(np.sqrt(pitch[0] * pitch[1]))


def kernel_parameters(
    point: Hyperparameters,
    covariance: Array,
    pitch: tuple[float, float] | None,
    stretch: Stretch | None = None,
    decisive: Sequence[bool] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return wave vector (2 B of Eq. 7), decay (c of Eq. 7), coherence length, orientation and contrast with deviations.

    Args:
        point: hyperparameters at the optimum.
        covariance: of their vector (Laplace approximation).
        pitch: (dy, dx) in nm, None for values in pixels of a square of the same area.
        stretch: of the kernel, where it has one; the angles of a stretched pattern are not those on the map.
        decisive: of each wave, whether its wave vector may be stated (see wave_evidence); None: all of them.
    """
    unit = 1.0 if pitch is None else solver_pixel(pitch)
    length = "px" if pitch is None else "nm"
    found = {}
    if stretch is not None:
        found["stretch_ratio"], found["stretch_direction_rad"] = stretch.ratio, stretch.direction
    stated = range(point.waves) if decisive is None else map(int, np.flatnonzero(decisive))
    for number, wave in enumerate(stated):
        name = f"wave_vector_rad_per_{length}" if number == 0 else f"wave_vector_{number + 1}_rad_per_{length}"
        found[name] = with_deviation(lambda v, k=2 + wave: float(v[k]) / unit, point, covariance)  # type: ignore[misc]
    found[f"decay_per_{length}2"] = with_deviation(lambda v: float(np.exp(v[0])) / unit**2, point, covariance)
    if not point.periodic:
        found[f"coherence_length_{length}"] = with_deviation(lambda v: float(np.exp(v[1])) * unit, point, covariance)
    # Angles of a stretched pattern are not those on the map.
    if len(point.orders) > 1 and point.mixing_kind == SHARED and stretch is None:
        order = point.orders[1]
        reference = _angle(point.mixing()[:, 0])

        def orientation(vector: Array) -> float:
            turn = _angle(replace(point, vector=vector).mixing()[:, 0]) - reference
            return float(reference + np.angle(np.exp(1j * turn))) / order

        value, deviation = with_deviation(orientation, point, covariance)
        found["orientation_rad"] = (value % (2 * np.pi / order), deviation)

        def contrast(vector: Array) -> float:
            mixing = replace(point, vector=vector).mixing()[:, 0]
            return float(np.hypot(mixing[1], mixing[2]) / abs(mixing[0]))

        found["angular_contrast"] = with_deviation(contrast, point, covariance)
    return found


def _angle(mixing: Array) -> float:
    """Return the phase of the first anisotropic order relative to the isotropic part."""
    sign = -1.0 if mixing[0] < 0 else 1.0
    return float(np.arctan2(sign * mixing[2], sign * mixing[1]))
