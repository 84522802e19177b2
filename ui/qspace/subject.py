"""What the q-space view is about: a kernel with the map that it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.estimate import KernelEstimate

_WAVE_VECTORS = ("wave_vector_rad_per_nm", "wave_vector_rad_per_px")


@dataclass(frozen=True, eq=False)
class QSpaceSubject:
    """A kernel and its map.

    Attributes:
        kernel: (k, k).
        pixel_size_nm: (dy, dx), or None.
        unit: of the kernel.
        weights: (n,) of the defects.
        observation: gives the map (height, width) when it is asked for.
        wave_vector: of the strongest ring where it is known, rad/nm (rad/px without a pixel size).
        more_than_white: whether a background or coloured noise was modelled beside the kernel and the white noise.
    """

    kernel: NDArray[np.float32]
    pixel_size_nm: tuple[float, float] | None
    unit: str
    weights: NDArray[np.float64]
    observation: Callable[[], NDArray[np.float32]]
    wave_vector: float | None = None
    more_than_white: bool = False

    @property
    def nyquist(self) -> float:
        """The smaller of the two largest wave vectors, rad/nm (rad/px)."""
        return float(np.pi / max(self.pixel_size_nm or (1.0, 1.0)))

    @property
    def q_step(self) -> float:
        """The finer of the two steps of the unpadded spectrum, rad/nm (rad/px)."""
        return float(2 * np.pi / (self.kernel.shape[0] * max(self.pixel_size_nm or (1.0, 1.0))))


def subject_of(estimate: KernelEstimate, unit: str) -> QSpaceSubject:
    """Return the subject of an extraction."""
    found = next((estimate.parameters[name][0] for name in _WAVE_VECTORS if name in estimate.parameters), None)
    return QSpaceSubject(
        estimate.kernel,
        estimate.pixel_size_nm,
        unit,
        estimate.weights,
        lambda: estimate.reconstruction + estimate.residual,
        found if found is not None and np.isfinite(found) else None,
        estimate.has_background,
    )
