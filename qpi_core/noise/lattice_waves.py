"""Standing waves of the atomic lattice: sharp peaks in the spectrum of a map, found one after the other.

Scattering off randomly placed defects gives speckle, whose power at one wave vector is exponentially distributed about that of its
ring; a wave that runs through the whole map stands above it in a single, resolution-limited peak. Each is given as two columns, cosine
and sine, so that amplitude and phase are free, and the marginal likelihood decides whether the waves are background at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PeakOptions:
    """Numbers of the peak search.

    Attributes:
        padding: zero-padding of the spectrum.
        contrast: power of a peak over the mean of its ring; by chance exp(-contrast) for each independent wave vector.
        shortest: wave vector in rad/px below which a wave is no lattice but a slope or a background.
        most: number of waves.
        share: least amplitude in units of the map's standard deviation.
    """

    padding: int = 4
    contrast: float = 16.0
    shortest: float = 0.35
    most: int = 8
    share: float = 0.05


@dataclass(frozen=True)
class LatticeWave:
    """One wave, amplitude cos(q . r + phase).

    Attributes:
        wave_vector: (q_x, q_y) in rad/px.
        amplitude: units of the map.
    """

    wave_vector: tuple[float, float]
    amplitude: float

    def columns(self, shape: tuple[int, int]) -> Array:
        """Return cosine and sine on the pixels, (height, width, 2)."""
        y, x = np.indices(shape)
        phase = self.wave_vector[0] * x + self.wave_vector[1] * y
        return np.stack([np.cos(phase), np.sin(phase)], axis=-1)

    def period_px(self) -> float:
        """Return the distance of its crests in px."""
        return float(2 * np.pi / np.hypot(*self.wave_vector))


def find_lattice_waves(image: Array, options: PeakOptions | None = None) -> tuple[LatticeWave, ...]:
    """Return the sharp peaks of the spectrum of a map, (height, width) with NaN where not measured, strongest first."""
    chosen = options or PeakOptions()
    measured = np.isfinite(image)
    left = np.where(measured, image - np.nanmean(image), 0.0)
    spread = float(left[measured].std())
    found: list[LatticeWave] = []
    while len(found) < chosen.most and spread > 0:
        wave_vector = _strongest_peak(left, measured, chosen)
        if wave_vector is None:
            break
        wave = LatticeWave(wave_vector, 0.0)
        columns = wave.columns((image.shape[0], image.shape[1]))
        strength, *_ = np.linalg.lstsq(columns[measured], left[measured], rcond=None)
        amplitude = float(np.hypot(*strength))
        resolution = 2 * np.pi / max(image.shape)
        near = any(np.hypot(*np.subtract(wave_vector, other.wave_vector)) < 0.5 * resolution for other in found)
        if amplitude < chosen.share * spread or near:
            break
        left = np.where(measured, left - columns @ strength, 0.0)
        found.append(LatticeWave(wave_vector, amplitude))
    return tuple(found)


def _strongest_peak(left: Array, measured: NDArray[np.bool_], options: PeakOptions) -> tuple[float, float] | None:
    """Return the wave vector (x, y) of the sharpest peak that stands out of its ring; None without any."""
    height, width = left.shape
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1] * measured
    tapered = left * window
    rows, columns = options.padding * height, options.padding * width
    power = np.abs(np.fft.rfft2(tapered, (rows, columns))) ** 2
    q_y, q_x = 2 * np.pi * np.fft.fftfreq(rows)[:, None], 2 * np.pi * np.fft.rfftfreq(columns)
    radius = np.hypot(q_y, q_x)
    # Along the axes offsets of rows and columns have their power.
    allowed = (radius > options.shortest) & (np.abs(q_x) > 4 * np.pi / width) & (np.abs(q_y) < np.pi)
    if not allowed.any():
        return None
    peak = np.unravel_index(int(np.argmax(np.where(allowed, power, 0.0))), power.shape)
    at = np.array([q_x[peak[1]], q_y[peak[0], 0]])
    apart = np.hypot(q_x - at[0], q_y - at[1])
    resolution = 2 * np.pi / min(height, width)
    ring = allowed & (np.abs(radius - radius[peak]) < 3 * resolution) & (apart > 3 * resolution)
    if not ring.any() or power[peak] < options.contrast * float(power[ring].mean()):
        return None
    y, x = np.indices(left.shape)

    def minus_power(q: Array) -> float:
        return -float(np.abs(np.sum(tapered * np.exp(-1j * (q[0] * x + q[1] * y)))) ** 2)

    step = 0.25 * resolution
    simplex = np.array([at, at + [step, 0], at + [0, step]])
    refined = minimize(minus_power, at, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-4, "fatol": 0.0, "maxiter": 80})
    return float(refined.x[0]), float(refined.x[1])
