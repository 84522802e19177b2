"""|FFT| of a whole map, what is usually looked at where there is no kernel, scaled so that it can be laid beside a kernel's.

A map of N equal defects has F_Y(q) = F_A(q) S(q) + noise with the sum S(q) = sum_j w_j exp(-i q r_j) over the defects. At random
positions |S|^2 is exponentially distributed about sum w^2: the spectrum is that of the kernel under speckle ("phase noise"), which
neither more defects nor less noise takes away; only an average over q does, at the cost of resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_pixel_size, require_weights
from qpi_core.qspace.spectra import kernel_window

Spectrum = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapSpectrum:
    """Power of a map in q-space, per defect.

    Attributes:
        power: (height, width) |F(q)|^2 / (sum w^2 x mean of the window's square), squared units of the map, q = 0 at index n // 2. Its mean
            over positions is the kernel's |F_A|^2 where nothing is lost at the edges; the mean of the map is taken out.
        noise_power_per_variance: what white noise of variance 1 a pixel adds to every q: the number of measured pixels / sum w^2.
        q_step: (q_y, q_x) rad/nm (rad/px without a pixel size), 2 pi included.
    """

    power: Spectrum
    noise_power_per_variance: float
    q_step: tuple[float, float]


def map_spectrum(
    observation: ArrayLike,
    weights: ArrayLike,
    pixel_size_nm: float | tuple[float, float] | None = None,
    window: str = "none",
) -> MapSpectrum:
    """Return the power spectrum of a map, per defect.

    Pixels that were not measured (NaN) count as the map's mean; their edges then spread over q as those of the map do.

    Args:
        observation: (height, width).
        weights: (n,) amplitude of each defect.
        pixel_size_nm: pitch, one number or (dy, dx); None gives q in rad/px.
        window: one of qpi_core.qspace.spectra.WINDOWS, multiplied in before the transform.

    Raises:
        InputError: not a map, no weights, or a bad pixel size or window.
    """
    values = require_observation(observation).astype(np.float64)
    dy, dx = require_pixel_size(1.0 if pixel_size_nm is None else pixel_size_nm)
    amplitudes = require_weights(weights, np.size(weights))
    taper = kernel_window((values.shape[0], values.shape[1]), window) * np.isfinite(values)
    total = float(taper.sum())
    if total <= 0:
        raise InputError("observation has no measured pixel under the window; choose another one.")
    filled = np.nan_to_num(values)
    spectrum = scipy.fft.fftshift(scipy.fft.fft2(taper * (filled - float((taper * filled).sum()) / total)))
    defects = float((amplitudes**2).sum())
    kept = float((taper**2).sum())
    measured = int(np.isfinite(values).sum())
    height, width = values.shape
    return MapSpectrum(
        np.abs(spectrum) ** 2 * (measured / (kept * defects)), measured / defects, (2 * np.pi / (height * dy), 2 * np.pi / (width * dx))
    )


def structure_factor(positions: ArrayLike, weights: ArrayLike, q: ArrayLike) -> Spectrum:
    """Return |sum_j w_j exp(-i q r_j)|^2 / sum w^2: 1 on average over random positions, with a standard deviation of nearly 1.

    Args:
        positions: (n, 2) columns (x, y), pixels or nm.
        weights: (n,) amplitude of each defect.
        q: (m, 2) columns (q_x, q_y), rad per the positions' unit.

    Raises:
        InputError: positions or wave vectors that are no pairs of finite numbers.
    """
    points, waves = np.asarray(positions, dtype=np.float64), np.asarray(q, dtype=np.float64)
    for name, pairs in (("positions", points), ("q", waves)):
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all():
            raise InputError(f"{name} must be finite numbers of shape (n, 2), but it has shape {pairs.shape}.")
    amplitudes = require_weights(weights, len(points))
    return np.asarray(np.abs(np.exp(-1j * (waves @ points.T)) @ amplitudes) ** 2 / float((amplitudes**2).sum()))


def coarser(spectrum: Spectrum, q_step: tuple[float, float], most: int) -> tuple[Spectrum, tuple[float, float]]:
    """Return a spectrum of at most `most` pixels a side, the mean over odd blocks centred on q = 0, and its q step.

    Blocks that the edge cuts are left out. A spectrum that is small enough comes back as it is.
    """
    blocks = [1 + 2 * int(np.ceil((side / most - 1) / 2)) if side > most else 1 for side in spectrum.shape]
    result = spectrum
    for axis, block in enumerate(blocks):
        if block == 1:
            continue
        side, centre = spectrum.shape[axis], spectrum.shape[axis] // 2
        before, after = (centre - block // 2) // block, (side - centre - 1 - block // 2) // block
        # The centre of an even number of pixels is at n // 2: one more block before it than after it at most.
        after = min(after, before)
        first = centre - block // 2 - before * block
        kept = np.take(result, np.arange(first, first + (before + after + 1) * block), axis=axis)
        shape = [*kept.shape[:axis], before + after + 1, block, *kept.shape[axis + 1 :]]
        result = kept.reshape(shape).mean(axis=axis + 1)
    return result, (q_step[0] * blocks[0], q_step[1] * blocks[1])
