"""Wave vectors that do not disperse: what a set point, a lattice or a static pattern leaves in kernels at every energy.

A map taken at a stabilising current divides by what the tip's height took out: the pattern of other energies is mixed in at the same wave
vector everywhere. So a peak of the ring-averaged |FFT| of the dI/dV kernels that stays at one q over most energies is named, and looked for
in the kernels of the current and of the height, where those were given. A band's wave passes a wave vector at few energies.

Peaks: local maxima above the outer rings' noise. Chance: the binomial probability that as many layers have one there, if every layer
scattered its peaks over its rings at random, times the number of rings.
Source: Macdonald et al., Nanotechnology 27, 414004 (2016) (set-point effects in interference maps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import argrelmax
from scipy.stats import binom

from qpi_core.base.errors import InputError
from qpi_core.qspace.dispersion.energy_map import energy_map

Array = NDArray[np.float64]

LEAST_LAYERS = 4
LEAST_SHARE = 0.7
MOST_CHANCE = 1e-3
_LEAST_HEIGHT = 4.0
_FIRST_RING = 2
_OUTER = 0.6


@dataclass(frozen=True)
class StandingWaveVector:
    """A wave vector at which many layers have a peak.

    Attributes:
        q: rad/nm, 2 pi included; mean over the layers.
        deviation: half of the width of a ring, rad/nm.
        share: of the layers.
        chance: that peaks without order do so, somewhere.
        elsewhere: names of the other channels that have a peak there as well.
    """

    q: float
    deviation: float
    share: float
    chance: float
    elsewhere: tuple[str, ...]


@dataclass(frozen=True)
class SetPointFindings:
    """What the check says.

    Attributes:
        found: wave vectors that do not disperse, ascending.
        layers: that took part.
        compared: names of the other channels.
    """

    found: tuple[StandingWaveVector, ...]
    layers: int
    compared: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return it in words."""
        if not self.found:
            return (f"No wave vector stays where it is over the {self.layers} energies.",)
        return tuple(self._told(one) for one in self.found)

    def _told(self, one: StandingWaveVector) -> str:
        where = f"q = {one.q:.2f} ± {one.deviation:.2f} rad/nm does not disperse: {one.share:.0%} of {self.layers} layers have a peak there"
        if one.elsewhere:
            return f"{where}, and so have the kernels of {' and '.join(one.elsewhere)}: a set-point effect or a static pattern, no band."
        if self.compared:
            return (
                f"{where}, but those of {' and '.join(self.compared)} have none: a static order of the electrons, or a flat part of a band."
            )
        return f"{where}: a set-point effect, a static pattern or a flat part of a band; kernels of current and height would tell."


def check_set_point(
    kernels: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    others: Mapping[str, ArrayLike] | None = None,
) -> SetPointFindings:
    """Return the wave vectors that dI/dV kernels share over energy, and whether other channels have them.

    Args:
        kernels: (energies, k, k) of dI/dV, layers without a kernel NaN.
        bias_mv: (energies,).
        pixel_size_nm: pitch, one number or (dy, dx).
        others: name of a channel (current, height) -> kernels at the same defects, (layers, k, k), of the same size.

    Raises:
        InputError: fewer than four layers with a kernel, kernels of other sizes, or as energy_map.
    """
    spectra = energy_map(kernels, bias_mv, pixel_size_nm)
    peaks = [_peaks(row) for row in spectra.magnitude if np.isfinite(row).all()]
    if len(peaks) < LEAST_LAYERS:
        raise InputError(f"kernels must hold at least {LEAST_LAYERS} layers to tell what disperses, but {len(peaks)} of them have one.")
    rings, step = spectra.q.size, float(spectra.q[1])
    count = np.zeros(rings)
    for one in peaks:
        count += _near(one, rings)
    chance_each = float(np.mean([_near(one, rings)[_FIRST_RING:].mean() for one in peaks]))
    chance = np.minimum(1.0, (rings - _FIRST_RING) * binom.sf(count - 1, len(peaks), chance_each))
    there = {name: _channel_peaks(values, pixel_size_nm, rings) for name, values in (others or {}).items()}
    found: list[StandingWaveVector] = []
    for ring in np.flatnonzero((count >= LEAST_SHARE * len(peaks)) & (chance < MOST_CHANCE)):
        # Neighbouring rings hold the same peak: the one that most layers have stands for it.
        if count[max(ring - 2, 0) : ring + 3].max() > count[ring] or (found and spectra.q[ring] - found[-1].q < 2.5 * step):
            continue
        close = np.concatenate([one[np.abs(one - ring) <= 1] for one in peaks])
        elsewhere = tuple(name for name, flags in there.items() if flags[ring])
        share = float(count[ring] / len(peaks))
        found.append(StandingWaveVector(float(close.mean() * step), step / 2, share, float(chance[ring]), elsewhere))
    return SetPointFindings(tuple(found), len(peaks), tuple(there))


def _channel_peaks(values: ArrayLike, pixel_size_nm: float | tuple[float, float], rings: int) -> NDArray[np.bool_]:
    """Return (rings,) where at least half of the layers of a channel have a peak."""
    rows = energy_map(values, None, pixel_size_nm).magnitude
    if rows.shape[1] != rings:
        raise InputError(f"kernels of other channels must have as many rings as those of dI/dV, {rings}, but they have {rows.shape[1]}.")
    flags = [_near(_peaks(row), rings) for row in rows if np.isfinite(row).all()]
    return np.asarray(np.mean(flags, axis=0) >= 0.5) if flags else np.zeros(rings, dtype=bool)


def _peaks(row: Array) -> NDArray[np.intp]:
    """Return the rings of local maxima of |FFT| that stand out of the outer rings, where pixels see little but noise."""
    outer = row[int(_OUTER * row.size) :]
    middle = float(np.median(outer))
    spread = 1.4826 * float(np.median(np.abs(outer - middle)))
    found = argrelmax(row, mode="clip")[0]
    return np.asarray(found[(found >= _FIRST_RING) & (row[found] > middle + _LEAST_HEIGHT * spread)])


def _near(peaks: NDArray[np.intp], rings: int) -> Array:
    """Return (rings,) 1 where a peak lies on a ring or beside it."""
    flags = np.zeros(rings)
    for shift in (-1, 0, 1):
        flags[np.clip(peaks + shift, 0, rings - 1)] = 1.0
    return flags
