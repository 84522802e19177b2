"""Places where a map shows patterns that neither its kernel at the listed defects nor its background and noise explain.

What a defect of another kind leaves is gathered around a place: its energy in a local basis of rings and low angular orders, centred there,
is several times that of the rest of the map. Long backgrounds, streaks, steps and unequal defects leave nothing like it once they
are modelled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PatternOptions:
    """Numbers of the search.

    Attributes:
        radius: of the basis in px.
        ring: distance of its rings in px.
        orders: angular orders.
        energy: mean energy of a basis function, in units of white noise, from which on there is a pattern.
        contrast: the same in units of the map's median (measured on eleven maps: 5.9 to 9.0 with a second kind that is not listed, at most
            3.9 with steps, backgrounds, unequal strengths, signs or cores).
        share: of the strongest energy, down to which places are named.
        apart: least distance of two places in px.
    """

    radius: float = 10.0
    ring: float = 1.5
    orders: tuple[int, ...] = (0, 2, 3, 4)
    energy: float = 2.7
    contrast: float = 5.0
    share: float = 0.85
    apart: int = 7


def unlisted_patterns(residual: Array, options: PatternOptions | None = None) -> Array:
    """Return (n, 2) places (x, y) in px around which a residual in units of its noise holds a pattern, the strongest first.

    Args:
        residual: (height, width), 0 where not measured.
        options: numbers of the search.
    """
    chosen = options or PatternOptions()
    spread = float(residual[residual != 0].std()) if residual.any() else 0.0
    if spread == 0:
        return np.empty((0, 2))
    basis = _basis(chosen)
    energy = sum(fftconvolve(residual / spread, part[::-1, ::-1], mode="same") ** 2 for part in basis) / len(basis)
    # What the noise model has taken up is missing from the whole map, so that the rest of the map is the measure.
    strongest, usual = float(energy.max()), float(np.median(energy))
    if strongest < max(chosen.energy, chosen.contrast * usual):
        return np.empty((0, 2))
    peaks = (energy == maximum_filter(energy, chosen.apart)) & (energy >= chosen.share * strongest)
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-energy[rows, columns], kind="stable")
    return np.stack([columns, rows], axis=1)[order].astype(np.float64)


def _basis(options: PatternOptions) -> list[Array]:
    """Return windows with rings times cosine and sine of every order, each of norm 1."""
    half = int(options.radius) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    radii, angle = np.hypot(x, y), np.arctan2(y, x)
    envelope = np.exp(-0.5 * (1.5 * radii / options.radius) ** 2)
    found = []
    for place in np.arange(0.0, options.radius + 1e-9, options.ring):
        ring = np.maximum(1 - np.abs(radii - place) / options.ring, 0.0) * envelope
        for order in options.orders:
            if order == 0:
                found.append(ring)
            elif order <= 3 * place:
                found += [ring * np.cos(order * angle), ring * np.sin(order * angle)]
    return [part / np.linalg.norm(part) for part in found]
