"""Drift, corrected from Bragg peaks: the displacement field of Lawler et al., Nature 466, 347 (2010).

Wave vectors are in rad/nm, 2 pi included, x to the right and y downwards as the layer is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.coordinates import DisplacementMovement
from qpi_core.maps.preparation.interpolation import read_moved
from qpi_core.maps.preparation.levelling import subtract_plane
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult, require_number, require_pairs
from qpi_core.maps.preparation.steps.peak_pairs import LARGEST_Q, Pair, require_independent

_MOST_SLOPE = 0.5


@dataclass(frozen=True)
class CorrectDrift(Step):
    """Undo slow distortions with the displacement field of Lawler et al., Nature 466, 347 (2010).

    T(r) = sum of cos(Q . (r + u(r))) around two Bragg peaks Q. Multiplying T by exp(-i Q . r) and averaging over `smoothing_nm`
    leaves a phase Q . u(r) for each peak; two peaks give u. A point r of the layer belongs at r + u(r).
    The mean of u is taken as 0. A shear must be corrected before: the peaks must be those that the layer shows on average.

    Attributes:
        peaks: two Bragg peaks (q_x, q_y) in rad/nm, in different directions.
        smoothing_nm: sigma of the Gaussian average, at least a few lattice constants; distortions on shorter lengths stay.
        channel: which channel shows the lattice, such as a topograph measured at the same points; "" is the layer itself. For a
            stack over energy choose one channel for all, or every layer is moved differently.
    """

    name: ClassVar[str] = "correct_drift"
    peaks: Pair
    smoothing_nm: float
    channel: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "peaks", require_pairs(self.name, "peaks", self.peaks, 2, 2, LARGEST_Q))
        require_independent(self.name, "peaks", self.peaks)
        require_number(self.name, "smoothing_nm", self.smoothing_nm, 1e-6, 1e6)

    def channels_needed(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the channel that shows the lattice, where it is not the layer itself."""
        if self.channel and self.channel not in channels:
            raise InputError(f"The step {self.name!r} needs the channel {self.channel!r}; the map has {', '.join(map(repr, channels))}.")
        return (self.channel,) if self.channel else ()

    @property
    def follows_the_layer(self) -> bool:
        """Say whether each layer has its own displacement."""
        return not self.channel

    def apply(self, layer: Layer) -> StepResult:
        """Return the corrected layer on the same pixels; removed is |u| in pixels."""
        lattice = layer.companion(self.channel) if self.channel else layer.values
        displacement = self.displacement(lattice, layer.pixel_size_nm)
        slope = max(float(np.abs(np.diff(displacement, axis=axis)).max()) for axis in (1, 2))
        if slope > _MOST_SLOPE:
            raise InputError(
                f"The step {self.name!r} finds a displacement that changes by {slope:.2g} pixels from one pixel to the next, which no "
                "drift does; check the peaks, correct a shear first, or take a larger smoothing_nm."
            )
        moved = DisplacementMovement(displacement)
        height, width = layer.values.shape

        def carry(values: Image) -> Image:
            return read_moved(values, moved, (height, width))

        length: Image = np.hypot(*displacement)
        note = f"Displacements up to {float(length.max()):.3g} px."
        return StepResult(
            carry(layer.values), length, "Displacement (px)", layer.pixel_size_nm, layer.unit, (moved,), carry=carry, note=note
        )

    def displacement(self, lattice: Image, pixel_size_nm: tuple[float, float]) -> NDArray[np.float64]:
        """Return u as (2, height, width): u_x and u_y in pixels, with mean 0.

        Raises:
            InputError: the layer is too small for the average, or shows nothing at a peak.
        """
        dy, dx = pixel_size_nm
        height, width = lattice.shape
        sigma = (self.smoothing_nm / dy, self.smoothing_nm / dx)
        if not (min(sigma) >= 1 and max(sigma[0] / height, sigma[1] / width) <= 1):
            raise InputError(
                f"smoothing_nm of the step {self.name!r} is {self.smoothing_nm:g}; for this layer it must be from {max(dy, dx):.3g} to "
                f"{min(dy * height, dx * width):.3g}."
            )
        flat = subtract_plane(lattice)
        phases = np.stack([self._phase(flat, peak, (dy, dx), sigma) for peak in self.peaks])
        shift_nm = np.linalg.solve(np.array(self.peaks), phases.reshape(2, -1)).reshape(phases.shape)
        shift_px: NDArray[np.float64] = shift_nm / np.array([dx, dy])[:, np.newaxis, np.newaxis]
        return shift_px

    def _phase(self, flat: Image, peak: tuple[float, float], pitch: tuple[float, float], sigma: tuple[float, float]) -> Image:
        """Return Q . u(r), (height, width) in rad with mean 0, continuous."""
        y, x = (np.arange(side) * step for side, step in zip(flat.shape, pitch, strict=True))
        wave = np.outer(np.exp(-1j * peak[1] * y), np.exp(-1j * peak[0] * x))
        # Gaps, and what lies beyond the edge, count as 0: the average then leans on the measured pixels around them.
        product = np.where(np.isfinite(flat), flat, 0.0) * wave
        amplitude = _averaged(product, sigma)
        if not np.abs(amplitude).max() > 0:
            raise InputError(f"The step {self.name!r} finds nothing at the peak {peak}; choose a peak that the layer shows.")
        phase = _continuous_phase(amplitude, max(1, int(min(sigma) / 4)))
        centred: Image = phase - phase.mean()
        return centred


def _averaged(product: NDArray[np.complex128], sigma: tuple[float, float]) -> NDArray[np.complex128]:
    """Return the sum of (height, width) with Gaussian weights, sigma (y, x) in pixels, and zeros beyond the edge."""
    from scipy.signal import oaconvolve

    for axis, width in enumerate(sigma):
        reach = int(np.ceil(4 * width))
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        weights = np.expand_dims(weights / weights.sum(), 1 - axis)
        full = oaconvolve(product, weights, mode="full", axes=axis)
        product = np.take(full, np.arange(reach, reach + product.shape[axis]), axis=axis)
    return product


def _continuous_phase(amplitude: NDArray[np.complex128], every: int) -> Image:
    """Return the phase of a smooth (height, width) amplitude without jumps of 2 pi.

    The branches are found on every `every`-th pixel, over which the amplitude hardly changes; that takes a fraction of the time.
    """
    from skimage.restoration import unwrap_phase

    wrapped = np.angle(amplitude)
    coarse = unwrap_phase(wrapped[::every, ::every], rng=0)  # type: ignore[no-untyped-call]  # ties by a fixed seed
    rows, columns = (np.minimum((np.arange(side) + every // 2) // every, -(-side // every) - 1) for side in amplitude.shape)
    nearby = coarse[np.ix_(rows, columns)]
    phase: Image = wrapped + 2 * np.pi * np.round((nearby - wrapped) / (2 * np.pi))
    return phase
