"""A parabola or a line through the rings of a stack: band edge and mass, or Dirac point and velocity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2, MEV_NM_IN_KM_PER_S
from qpi_core.base.errors import InputError
from qpi_core.qspace.dispersion.rings import RingTrack

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ParabolaFit:
    """E = band_edge + hbar^2 (q / 2)^2 / (2 m): values with one standard deviation.

    Attributes:
        band_edge_mev: (value, deviation).
        effective_mass: (value, deviation) in electron masses; negative for a hole-like band.
        chi_square_per_freedom: of the fit; error bars are widened by its root where it exceeds 1.
        layers: number of layers used.
    """

    band_edge_mev: tuple[float, float]
    effective_mass: tuple[float, float]
    chi_square_per_freedom: float
    layers: int


@dataclass(frozen=True, eq=False)
class LineFit:
    """E = crossing + hbar v q / 2: values with one standard deviation.

    Attributes:
        crossing_mev: (value, deviation), the Dirac point where both branches meet at q = 0.
        velocity_km_per_s: (value, deviation).
        chi_square_per_freedom, layers: as in ParabolaFit.
    """

    crossing_mev: tuple[float, float]
    velocity_km_per_s: tuple[float, float]
    chi_square_per_freedom: float
    layers: int


def fit_parabola(track: RingTrack) -> ParabolaFit:
    """Fit a parabolic band by weighted least squares; q = 2 k, layers without a ring are left out, a few outliers weigh little.

    Raises:
        InputError: fewer than three layers with a ring.
    """
    values, covariance, chi, count = _straight_line(track, 2)
    mass = HBAR2_OVER_2M_MEV_NM2 / (4 * values[1])
    deviation = np.sqrt(covariance.diagonal())
    return ParabolaFit((float(values[0]), float(deviation[0])), (float(mass), float(abs(mass / values[1]) * deviation[1])), chi, count)


def fit_line(track: RingTrack) -> LineFit:
    """Fit a linear band, q = 2 k; arguments and errors as fit_parabola."""
    values, covariance, chi, count = _straight_line(track, 1)
    to_velocity = 2 * MEV_NM_IN_KM_PER_S  # the slope dE/dq is hbar v / 2
    deviation = np.sqrt(covariance.diagonal())
    velocity = (float(values[1] * to_velocity), float(deviation[1] * to_velocity))
    return LineFit((float(values[0]), float(deviation[0])), velocity, chi, count)


def _straight_line(track: RingTrack, power: int) -> tuple[Array, Array, float, int]:
    """Fit E = c + s q^power; returns values, covariance (with the shift of all q together), chi^2 per freedom and layers."""
    values, covariance, chi, count = _weighted_line(track, power)
    moved = _weighted_line(replace(track, q=track.q + track.q_systematic), power)[0] - values
    return values, covariance + np.outer(moved, moved), chi, count


def _weighted_line(track: RingTrack, power: int) -> tuple[Array, Array, float, int]:
    """Fit E = c + s q^power with the errors of q carried to E, each layer's for itself."""
    use = np.isfinite(track.q) & (track.q_deviation > 0)
    if use.sum() < 3:
        raise InputError(f"only {int(use.sum())} layers show a ring; a dispersion needs at least three.")
    q, energy, spread = track.q[use], track.bias_mv[use], track.q_deviation[use]
    # No layer is better than a tenth of the typical one: a lucky small residual must not decide.
    spread = np.hypot(spread, 0.3 * np.median(spread))
    design = np.stack([np.ones_like(q), q**power], axis=1)
    values, trust = np.polyfit(q**power, energy, 1)[::-1], np.ones_like(q)
    for _ in range(30):
        sigma = np.maximum(np.abs(values[1]) * power * q ** (power - 1) * spread, 1e-9)
        weight = trust / sigma
        values = np.linalg.lstsq(design * weight[:, None], energy * weight, rcond=None)[0]
        misfit = (energy - design @ values) / sigma
        typical = max(1.4826 * float(np.median(np.abs(misfit))), 1e-12)
        # Huber: beyond 2 robust deviations the weight falls.
        trust = np.sqrt(np.minimum(1.0, 2 * typical / np.maximum(np.abs(misfit), 1e-12)))
    weighted = design * weight[:, None]
    chi = float(np.sum((trust * misfit) ** 2) / max(len(q) - 2, 1))
    return values, np.linalg.inv(weighted.T @ weighted) * max(chi, 1.0), chi, int(use.sum())
