"""Noise of the scan lines: streaks along them, and a level that drifts from the first to the last.

Streaks are 1/f noise along the fast axis of the scan, and an offset of every row:

    n(x, y) = sqrt(1 - s) f_y(x) + sqrt(s) o_y,   o_y ~ N(0, 1),   <f_y(x) f_y'(x')> = delta_yy' C(x - x')
    C(k) = sum_j S_j cos(2 pi j k / P),   S_j ~ 1 / j for j = 1 ... P / 2,   sum_j S_j = 1

Rows are independent of each other. The period P is twice the row, so that its end knows nothing of its start. Drift is a random walk
from row to row, the same along a whole row:

    d(y) = sum_{i <= y} u_i,   u_i ~ N(0, 1),   less its mean, at unit standard deviation over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class Streaks:
    """Noise of the scan lines.

    Attributes:
        level: standard deviation relative to that of the clean map.
        offset_share: s, the share of the variance that is constant along a row, 0 to 1.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 0.3
    offset_share: float = 0.5

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")
        require_in_range("offset_share", self.offset_share, 0.0, 1.0, "")


@dataclass(frozen=True)
class RowDrift:
    """A level of the scan lines that walks at random along the slow axis.

    Attributes:
        level: standard deviation over the rows relative to that of the clean map.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 1.0

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")


def draw_row_drift(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a drift of unit standard deviation over the rows, (height, width); of a single row it is zero."""
    walk = np.cumsum(rng.standard_normal(shape[0]))
    walk -= walk.mean()
    spread = float(walk.std())
    return np.broadcast_to((walk / spread if spread > 0 else walk)[:, None], shape).copy()


def streak_spectrum(width: int) -> NDArray[np.float64]:
    """Return S_j for j = 0 ... width: the variance of each wave of the period 2 width; S_0 = 0, the sum is 1."""
    waves = np.arange(width + 1, dtype=np.float64)
    power = np.divide(1.0, waves, out=np.zeros_like(waves), where=waves > 0)
    return np.asarray(power / power.sum())


def draw_streaks(streaks: Streaks, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return streaks of unit standard deviation on a (height, width) map; the fast axis is x."""
    height, width = shape
    offsets = rng.standard_normal((height, 1))
    power = streak_spectrum(width)
    cosines, sines = rng.standard_normal((2, height, width + 1))
    # irfft divides by the period and counts every wave but the last twice, once for each sign of its frequency.
    amplitudes = width * np.sqrt(power) * (cosines - 1j * sines)
    amplitudes[:, -1] = 2 * width * np.sqrt(power[-1]) * cosines[:, -1]
    along = np.fft.irfft(amplitudes, n=2 * width, axis=1)[:, :width]
    return np.asarray(np.sqrt(1 - streaks.offset_share) * along + np.sqrt(streaks.offset_share) * offsets)
