"""Do the rings of a stack say that there is a band? The evidence of one against that of rings without order, and of a standing pattern.

With rings q_i at energies E_i, found within the searched range of length W, three explanations compete by their marginal likelihoods:

- scatter: every q_i is uniform on the range: p = W^-n. Noise does that.
- standing: one q for all energies, uniform on the range: a lattice, a step, whatever else the map holds at every energy.
- band: q at the lowest and at the highest energy are each uniform on the range; between them q^2 (parabola) or q (line) runs straight.

Given the curve, a ring is Gaussian around it with its own error, widened by a factor that is averaged over, or it is an outlier, uniform
on the range. Layers of neighbouring energies share what is in the map, so the evidence alone is not enough: most rings have to lie on the
band, at least a third of the layers have to show one, and q has to move by more than the window can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from qpi_core.qspace.dispersion.rings import RingTrack

Array = NDArray[np.float64]

DECISIVE = 5.0
"""Natural logarithm of the ratio of evidences from which on it is called decisive (Jeffreys: 4.6)."""
LEAST_GAIN_PER_RING = 1.0
"""Evidence that each ring has to bring on average: noise and what else the map holds reach into neighbouring layers, so that many rings
that say next to nothing must not add up. On a measured grid without a band, 0.1 to 0.35; on simulated surface states, 2.6 and more."""
LEAST_LAYERS = 5
LEAST_SHARE = 1 / 3
"""Share of the layers with a kernel that have to show a ring."""
LEAST_ON_BAND = 2 / 3
"""Share of the rings that have to lie on the band rather than anywhere."""
LEAST_STEPS = 0.5
"""Change of q over the energies, in units of the window's own resolution 2 pi / side."""
_OUTLIERS = (0.05, 0.3)
_WIDENINGS = (1.0, 2.0, 4.0)
_GRID = 160


class Shape(StrEnum):
    """How q runs with energy."""

    PARABOLA = "parabola"
    LINE = "line"


@dataclass(frozen=True)
class DispersionEvidence:
    """What speaks for a band.

    Attributes:
        gain: natural logarithm of the evidence of each shape of band over that of the better one of scatter and standing pattern.
        rings, layers: layers that show a ring, out of those that have a kernel.
        on_band: number of rings that lie on the most probable band rather than anywhere.
        change: of q from the lowest to the highest energy along the most probable band, rad/nm.
        resolution: of the kernel's window, rad/nm.
        missing: what would be needed to claim a band, a plain sentence; "" where it may be claimed.
    """

    gain: dict[Shape, float]
    rings: int
    layers: int
    on_band: int
    change: float
    resolution: float
    missing: str

    @property
    def decisive(self) -> bool:
        """Whether a band may be claimed."""
        return not self.missing

    @property
    def shape(self) -> Shape:
        """The shape of band that the rings prefer."""
        return max(self.gain, key=lambda shape: self.gain[shape])


def weigh_dispersion(track: RingTrack, layers: int) -> DispersionEvidence:
    """Return what the rings of a stack say for a band.

    Args:
        track: rings over energy, as `track_rings` gives them.
        layers: how many have a kernel, and could show a ring.
    """
    use = np.isfinite(track.q) & (track.q_deviation > 0)
    q, energy, deviation = track.q[use], track.bias_mv[use], track.q_deviation[use]
    resolution, count = 2 * np.pi / track.side_nm, int(use.sum())
    if count < LEAST_LAYERS or np.ptp(energy) == 0:
        return DispersionEvidence(dict.fromkeys(Shape, -np.inf), count, layers, 0, 0.0, resolution, _too_few(count, layers))
    low, high = track.q_range
    # No ring is better than a tenth of the typical one, nor than the form of the wave near the defect is known.
    deviation = np.sqrt(deviation**2 + (0.3 * np.median(deviation)) ** 2 + track.q_systematic**2)
    ends = np.linspace(low, high, _GRID)
    place = (energy - energy.min()) / np.ptp(energy)
    nothing = -count * np.log(high - low)
    standing = _log_evidence(np.broadcast_to(ends[:, None], (_GRID, count)), q, deviation, high - low)
    gain, changes, members = {}, {}, {}
    for shape in Shape:
        power = 2 if shape is Shape.PARABOLA else 1
        first, last = (grid.ravel() for grid in np.meshgrid(ends, ends, indexing="ij"))
        curves = (first[:, None] ** power * (1 - place) + last[:, None] ** power * place) ** (1 / power)
        gain[shape] = _log_evidence(curves, q, deviation, high - low) - max(nothing, standing)
        best = int(np.argmax(_log_likelihood(curves, q, deviation, high - low, _WIDENINGS[1], _OUTLIERS[1])))
        changes[shape] = float(abs(last[best] - first[best]))
        sigma = _WIDENINGS[1] * deviation
        near = (1 - _OUTLIERS[1]) / (np.sqrt(2 * np.pi) * sigma) * np.exp(-0.5 * ((q - curves[best]) / sigma) ** 2)
        members[shape] = int((near > _OUTLIERS[1] / (high - low)).sum())
    likely = max(gain, key=lambda shape: gain[shape])
    standing_of = DispersionEvidence(gain, count, layers, members[likely], changes[likely], resolution, "")
    return replace(standing_of, missing=_missing(standing_of))


def _log_likelihood(curves: Array, q: Array, deviation: Array, width: float, widening: float, outliers: float) -> Array:
    """Return the log likelihood of curves (m, n), (m,)."""
    sigma = widening * deviation
    inside = (1 - outliers) / (np.sqrt(2 * np.pi) * sigma) * np.exp(-0.5 * ((q - curves) / sigma) ** 2)
    return np.asarray(np.log(inside + outliers / width).sum(axis=1))


def _log_evidence(curves: Array, q: Array, deviation: Array, width: float) -> float:
    """Return the log of the likelihood's mean over curves (m, n), widenings and shares of outliers, all equally probable before."""
    terms = [_log_likelihood(curves, q, deviation, width, wide, share) for wide in _WIDENINGS for share in _OUTLIERS]
    return float(logsumexp(np.concatenate(terms)) - np.log(len(terms) * len(curves)))


def _too_few(count: int, layers: int) -> str:
    return f"Only {count} of {layers} layers show a ring; a band needs rings in at least {LEAST_LAYERS} layers of different energies."


def _missing(found: DispersionEvidence) -> str:
    count, layers, change, resolution = found.rings, found.layers, found.change, found.resolution
    if count < LEAST_SHARE * layers:
        return (
            f"Only {count} of {layers} layers show a ring, and so few may be chance: a band needs rings in at least a third of the layers. "
            "Fewer energies that are measured longer, or more defects, would show them."
        )
    if found.gain[found.shape] < max(DECISIVE, LEAST_GAIN_PER_RING * count):
        return (
            "The rings do not follow a band: their wave vectors are explained as well by chance, or by a pattern that stays at one wave "
            "vector. A band needs rings that move with the energy by more than their error bars: less noise, more defects, or a wider "
            "range of energies."
        )
    if found.on_band < LEAST_ON_BAND * count:
        return (
            f"Only {found.on_band} of {count} rings lie on one band, and the others anywhere: a band needs two thirds of them. Less noise, "
            "more defects of one kind, or only those energies at which the defects show a pattern would help."
        )
    if change < LEAST_STEPS * resolution:
        return (
            f"Over these energies q moves by {change:.2g} rad/nm, less than the kernel's window can tell apart "
            f"(half of 2π / side = {resolution:.2g} rad/nm): a larger kernel, or a wider range of energies, is needed."
        )
    return ""
