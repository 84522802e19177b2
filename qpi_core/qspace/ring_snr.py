"""How far a kernel's ring stands above the noise, beside one defect's and the whole map's, and the sqrt(N) law.

With white noise of standard deviation s a pixel, K = sum of the window's square over the kernel's pixels, P measured pixels, and
S = mean over a ring of the kernel's |F_A(q)|^2 without its noise, the signal to noise of the ring is, as a ratio of amplitudes,

    one defect, cropped alone   sqrt(S / (K s^2))
    the law for n defects       sqrt(n) sqrt(S / (K s^2)),   n = sum w^2
    kernel                      sqrt(S / D),                 D = noise power of the kernel on the ring, measured
    whole map                   sqrt(n S / (P s^2)) on average, measured as sqrt((M - B) / B)

with M the ring mean of the map's |F_Y|^2 and B = P s^2. The gain is that of the kernel over one defect, sqrt(K s^2 / D). The mean of
n crops without overlap reaches the law exactly; overlapping patterns and defects at the edge cost some of it, and what a method
assumes (decay, symmetry, a formula) brings more. D comes from the data: for kernels A_1, A_2 of two halves of the defects,
D = |F(A_1 - A_2)|^2 / 4, since each half has twice the variance of the whole. It holds what differs between the halves, no error that
both share.

Noise is not all that a map's spectrum suffers from: random positions put speckle on it (see map_spectrum). `speckle` is the relative
standard deviation of the structure factor on the ring, known from the positions alone: near 1, whatever the noise, 0 for a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.qspace.map_spectrum import map_spectrum, structure_factor
from qpi_core.qspace.spectra import fft_magnitude, kernel_window, q_axes

_MOST_WAVES = 2000


@dataclass(frozen=True)
class RingSignal:
    """Signal to noise of one ring in q-space, as ratios of amplitudes.

    Attributes:
        q_range: (low, high) of the ring, rad/nm (rad/px without a pixel size).
        ring_pixels: of the kernel's spectrum on the ring.
        one_defect: of one defect cropped alone, from the kernel and noise_sigma; infinite without noise.
        law: sqrt(sum w^2) times that.
        whole_map: of the map's |FFT|, 0 where its ring does not stand above the noise.
        kernel: of the kernel, or None where its noise was not measured.
        law_gain: sqrt(sum w^2).
        gain: kernel over one defect, or None.
        speckle: relative standard deviation of the structure factor on the ring.
    """

    q_range: tuple[float, float]
    ring_pixels: int
    one_defect: float
    law: float
    whole_map: float
    kernel: float | None
    law_gain: float
    gain: float | None
    speckle: float


@dataclass(frozen=True, eq=False)
class RingSource:
    """What a ring is read from: a kernel with its defects, and the map that they lie on.

    Attributes:
        kernel: (k, k).
        observation: (height, width), NaN where not measured.
        positions: (n, 2) px, of the defects with this kernel.
        weights: (n,).
        noise_sigma: standard deviation of the map's noise.
        pixel_size_nm: (dy, dx), or None where it is not known.
    """

    kernel: NDArray[np.float32]
    observation: NDArray[np.floating]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise_sigma: float
    pixel_size_nm: tuple[float, float] | None

    @classmethod
    def of_estimate(cls, estimate: KernelEstimate) -> RingSource:
        """Return the source of one map's kernel; the map of an estimate is reconstruction + residual."""
        map_ = estimate.reconstruction + estimate.residual
        return cls(estimate.kernel, map_, estimate.positions, estimate.weights, estimate.noise_sigma, estimate.pixel_size_nm)

    @classmethod
    def of_layer(cls, estimate: StackEstimate, index: int, values: NDArray[np.floating]) -> RingSource:
        """Return the source of one layer of a stack.

        Args:
            estimate: the stack, or a class of one.
            index: of the layer.
            values: (height, width) the layer as it was solved.

        Raises:
            InputError: the layer has no kernel.
        """
        if not estimate.usable[index]:
            raise InputError(f"layer {index} has no kernel, so there is no ring in it; choose one that was solved.")
        noise = float(estimate.noise_sigma[index])
        return cls(estimate.kernels[index], values, estimate.positions, estimate.weights, noise, estimate.pixel_size_nm)


def ring_signal(
    estimate: KernelEstimate | RingSource,
    q_range: tuple[float, float],
    window: str = "none",
    half_differences: Sequence[ArrayLike] | None = None,
) -> RingSignal:
    """Return the signal to noise of a ring in the kernel, in one defect and in the whole map.

    Without measured halves S still holds the kernel's own noise, so that one_defect and law are then upper limits.

    Args:
        estimate: one map's kernel, or of a class of defects, whose map is that of all classes; a RingSource for a layer of a stack.
        q_range: the ring, rad/nm; rad/px where the estimate has no pixel size.
        window: one of qpi_core.qspace.spectra.WINDOWS, for kernel and map alike.
        half_differences: (k, k) each, A_1 - A_2 of divisions of the defects (see qpi_core.extraction.stability.halves), or None.

    Raises:
        InputError: a ring that is not ascending or holds no pixel of both spectra, an unknown window, or halves of another shape.
    """
    low, high = q_range
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high):
        raise InputError(f"q_range must be two wave vectors that ascend from 0 or above, but it is {q_range!r}.")
    source = estimate if isinstance(estimate, RingSource) else RingSource.of_estimate(estimate)
    dy, dx = require_pixel_size(source.pixel_size_nm or (1.0, 1.0))
    shape = (source.kernel.shape[0], source.kernel.shape[1])
    on_ring = _on_ring(shape, (dy, dx), (low, high))
    noise_variance = source.noise_sigma**2
    defects = float((source.weights**2).sum())
    kernel_power = float((fft_magnitude(source.kernel, window) ** 2)[on_ring].mean())
    kernel_noise = None if half_differences is None else _half_noise(half_differences, shape, window, on_ring)
    signal = max(kernel_power - (kernel_noise or 0.0), 0.0)
    crop_noise = noise_variance * float((kernel_window(shape, window) ** 2).sum())
    one = _ratio(signal, crop_noise)
    of_kernel = None if kernel_noise is None else _ratio(signal, kernel_noise)
    whole_map, speckle = _of_map(source, (dy, dx), (low, high), window, noise_variance)
    gain = None if kernel_noise is None else _ratio(crop_noise, kernel_noise)
    law = math.sqrt(defects)
    return RingSignal((low, high), int(on_ring.sum()), one, law * one, whole_map, of_kernel, law, gain, speckle)


def _of_map(
    source: RingSource, pitch: tuple[float, float], q_range: tuple[float, float], window: str, noise_variance: float
) -> tuple[float, float]:
    """Return the map's signal to noise on the ring and the relative spread of the structure factor there."""
    observation = source.observation
    spectrum = map_spectrum(observation, source.weights, pitch, window)
    on_ring = _on_ring((observation.shape[0], observation.shape[1]), pitch, q_range)
    noise = noise_variance * spectrum.noise_power_per_variance
    q_y, q_x = q_axes((observation.shape[0], observation.shape[1]), pitch)
    rows, columns = np.nonzero(on_ring)
    some = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_WAVES)).astype(np.intp)
    waves = np.stack([q_x[columns[some]], q_y[rows[some]]], axis=1)
    factor = structure_factor(source.positions * np.array([pitch[1], pitch[0]]), source.weights, waves)
    return _ratio(max(float(spectrum.power[on_ring].mean()) - noise, 0.0), noise), float(factor.std() / factor.mean())


def _on_ring(shape: tuple[int, int], pitch: tuple[float, float], q_range: tuple[float, float]) -> NDArray[np.bool_]:
    q_y, q_x = q_axes(shape, pitch)
    radius = np.hypot(q_y[:, None], q_x[None, :])
    inside = (radius >= q_range[0]) & (radius <= q_range[1]) & (radius > 0)
    if not inside.any():
        raise InputError(
            f"q_range {q_range[0]:.4g} to {q_range[1]:.4g} holds no pixel of a spectrum that reaches to {float(radius.max()):.4g} "
            f"in steps of {float(q_x[1] - q_x[0]):.3g}; widen it."
        )
    return np.asarray(inside)


def _half_noise(differences: Sequence[ArrayLike], shape: tuple[int, int], window: str, on_ring: NDArray[np.bool_]) -> float:
    """Return the mean over divisions and ring of |F(A_1 - A_2)|^2 / 4."""
    images = [np.asarray(difference) for difference in differences]
    shapes = [image.shape for image in images]
    if not images or any(other != shape for other in shapes):
        raise InputError(f"half_differences must hold arrays of the kernel's shape {shape}, but their shapes are {shapes}.")
    return float(np.mean([(fft_magnitude(image, window) ** 2)[on_ring].mean() for image in images])) / 4


def _ratio(power: float, noise: float) -> float:
    """Return the ratio of amplitudes; 0 for nothing over nothing."""
    if noise > 0:
        return math.sqrt(power / noise)
    return math.inf if power > 0 else 0.0
