"""Bragg peaks of a layer: proposing them, refining a pick, and the regular lattice that comes nearest to them.

Wave vectors q = (q_x, q_y) in rad/nm, 2 pi included, x to the right and y downwards as the layer is shown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_pixel_size
from qpi_core.maps.preparation.levelling import subtract_plane

LATTICES = ("square", "hexagonal")

_SEARCH_BINS = 1.5
_LEAST_PERIODS = 4
_LEAST_STRENGTH = 5.0

Peaks = NDArray[np.float64]


def find_bragg_peaks(observation: ArrayLike, pixel_size_nm: float | tuple[float, float], count: int = 6) -> Peaks:
    """Return up to `count` peaks (n, 2) of |FFT|, the strongest first, one of each pair +q and -q (the one with q_x >= 0).

    They are a proposal: scattering features can be stronger than the lattice. Peaks with fewer than 4 periods in the field, or
    below 5 times the median of |FFT|, are left out.

    Args:
        observation: (height, width); NaN = not measured.
        pixel_size_nm: (dy, dx) in nm, or one number.
        count: largest number of peaks.

    Raises:
        InputError: not a 2-D layer, or no positive pixel size.
    """
    dy, dx = require_pixel_size(pixel_size_nm)
    windowed = _windowed(observation)
    strength = np.abs(np.fft.fft2(windowed))
    cycles_y, cycles_x = np.meshgrid(*(np.fft.fftfreq(side) * side for side in windowed.shape), indexing="ij")
    peak = (strength == ndimage.maximum_filter(strength, 5, mode="wrap")) & (strength > _LEAST_STRENGTH * np.median(strength))
    peak &= np.hypot(cycles_y, cycles_x) >= _LEAST_PERIODS
    peak &= (cycles_x > 0) | ((cycles_x == 0) & (cycles_y > 0))
    rows, columns = np.nonzero(peak)
    strongest = np.argsort(-strength[rows, columns])[:count]
    extent_y, extent_x = dy * windowed.shape[0], dx * windowed.shape[1]
    guesses = 2 * np.pi * np.stack([cycles_x[rows, columns] / extent_x, cycles_y[rows, columns] / extent_y], axis=1)[strongest]
    return np.array([_refined(windowed, (dy, dx), guess) for guess in guesses]).reshape(-1, 2)


def refine_bragg_peak(observation: ArrayLike, pixel_size_nm: float | tuple[float, float], q: ArrayLike) -> Peaks:
    """Return the maximum (2,) of |Fourier sum| within 1.5 bins of a pick, found between the bins of the FFT.

    Args:
        observation: (height, width); NaN = not measured.
        pixel_size_nm: (dy, dx) in nm, or one number.
        q: (2,) the pick in rad/nm.

    Raises:
        InputError: not a 2-D layer, no positive pixel size, or a pick beyond what the pixels resolve.
    """
    pitch = require_pixel_size(pixel_size_nm)
    guess = np.asarray(q, dtype=np.float64).reshape(-1)
    if guess.shape != (2,) or not (np.abs(guess) <= np.pi / np.array(pitch[::-1]) * (1 + 1e-9)).all():
        raise InputError(
            f"q must be (q_x, q_y) of at most {np.pi / pitch[1]:.4g} and {np.pi / pitch[0]:.4g} rad/nm for these pixels, but it is {q!r}."
        )
    return _refined(_windowed(observation), pitch, guess)


def regular_lattice(measured: ArrayLike, lattice: str = "square", lattice_constant_nm: float | None = None) -> Peaks:
    """Return the two ideal peaks (2, 2) of a regular lattice that lie nearest to two measured ones.

    The orientation is the mean one; without a lattice constant the area of the reciprocal unit cell is kept.

    Args:
        measured: (2, 2) two peaks in rad/nm that are no multiples of each other.
        lattice: "square" (90 degrees, |q| = 2 pi / a) or "hexagonal" (60 or 120 degrees, |q| = 4 pi / (sqrt(3) a)).
        lattice_constant_nm: a, or None where only the shape is known.

    Raises:
        InputError: no such lattice, peaks along one line, or a lattice constant that is not positive.
    """
    if lattice not in LATTICES:
        raise InputError(f"lattice must be one of {', '.join(map(repr, LATTICES))}, but it is {lattice!r}.")
    peaks = np.asarray(measured, dtype=np.float64)
    area = float(np.linalg.det(peaks)) if peaks.shape == (2, 2) else 0.0
    if abs(area) < 1e-6 * float((peaks**2).sum()) or not np.isfinite(area):
        raise InputError("measured must be two Bragg peaks (q_x, q_y) in different directions; choose two that are not on one line.")
    cosine = float(peaks[0] @ peaks[1]) / float(np.prod(np.linalg.norm(peaks, axis=1)))
    between = np.pi / 2 if lattice == "square" else (np.pi / 3 if cosine > 0 else 2 * np.pi / 3)
    if lattice_constant_nm is None:
        length = np.sqrt(abs(area) / np.sin(between))
    elif 0 < lattice_constant_nm < np.inf:
        length = 2 * np.pi / (lattice_constant_nm * (1.0 if lattice == "square" else np.sqrt(3) / 2))
    else:
        raise InputError(f"lattice_constant_nm must be positive, but it is {lattice_constant_nm!r}.")
    turn = between * np.sign(area)
    directions = np.arctan2(peaks[:, 1], peaks[:, 0]) - np.array([0.0, turn])
    mean = np.angle(np.exp(1j * directions).sum())
    angles = mean + np.array([0.0, turn])
    lattice_peaks: Peaks = length * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return lattice_peaks


def _windowed(observation: ArrayLike) -> NDArray[np.float64]:
    """Return the layer without its plane under a Hann window, 0 where nothing was measured."""
    layer = subtract_plane(require_observation(observation).astype(np.float64))
    window = np.outer(np.hanning(layer.shape[0] + 2)[1:-1], np.hanning(layer.shape[1] + 2)[1:-1])
    result: NDArray[np.float64] = np.where(np.isfinite(layer), layer, 0.0) * window
    scale = np.abs(result).max()
    return result / scale if scale > 0 else result


def _refined(windowed: NDArray[np.float64], pitch: tuple[float, float], guess: NDArray[np.float64]) -> Peaks:
    y, x = (np.arange(side) * step for side, step in zip(windowed.shape, pitch, strict=True))
    bins = 2 * np.pi / np.array([x.size * pitch[1], y.size * pitch[0]])
    single = windowed.astype(np.float32)  # only |sum| is compared, and real products of single precision take a tenth of the time

    def weakness(step: NDArray[np.float64]) -> float:
        q = guess + step * bins
        waves_y = np.stack([np.cos(q[1] * y), -np.sin(q[1] * y)]).astype(np.float32)
        rows = (waves_y @ single).astype(np.float64)
        return -float(np.abs((rows[0] + 1j * rows[1]) @ np.exp(-1j * q[0] * x)))

    limits = [(-_SEARCH_BINS, _SEARCH_BINS)] * 2
    found = optimize.minimize(weakness, np.zeros(2), method="Nelder-Mead", bounds=limits, options={"xatol": 1e-4, "fatol": 1e-9})
    peak: Peaks = guess + found.x * bins
    return peak
