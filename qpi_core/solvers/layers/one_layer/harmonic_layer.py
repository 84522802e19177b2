"""What the harmonic solver finds of one class in one layer of a stack, and what that says of the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.harmonic.posterior.parameters import kernel_parameters, solver_pixel
from qpi_core.solvers.harmonic.posterior.wave_evidence import WaveEvidence
from qpi_core.solvers.harmonic.search import Hyperparameters
from qpi_core.solvers.harmonic.stretch import Stretch

Array = NDArray[np.float64]

NO_PATTERN = "This layer shows no pattern that repeats at the given positions; its kernel is not determined by the data."


@dataclass(frozen=True, eq=False)
class HarmonicLayer:
    """What the harmonic solver found in one layer.

    Attributes:
        wide_kernel: (K, K), the whole radius that was solved.
        uncertainty: (k, k), one standard deviation.
        background: constant b.
        noise_sigma: standard deviation of the noise.
        symmetry_order: 0 isotropic, 2, 3, 4, 6 ..., or None.
        gain: log evidence of a kernel over plain noise.
        orders: angular orders of the kernel.
        profiles: (angular functions, nodes) its radial profiles.
        point: hyperparameters at the optimum.
        covariance: of their vector.
        waves: what speaks for each of the kernel's waves; empty where the layer shows no pattern.
        stretch: of the coordinates in which the profiles hold; None is nothing.
    """

    wide_kernel: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    background: float
    noise_sigma: float
    symmetry_order: int | None
    gain: float
    orders: tuple[int, ...]
    profiles: Array
    point: Hyperparameters
    covariance: Array
    waves: tuple[WaveEvidence, ...] = ()
    stretch: Stretch | None = None

    def parameters(self, pixel_size_nm: tuple[float, float] | None) -> dict[str, tuple[float, float]]:
        """Return wave vector, decay and orientation with deviations, as of one map; nothing where the layer shows no pattern."""
        decisive = [wave.decisive for wave in self.waves]
        return kernel_parameters(self.point, self.covariance, pixel_size_nm, self.stretch, decisive) if self.gain > LEAST_GAIN else {}

    def sentences(self, pixel_size_nm: tuple[float, float] | None) -> list[str]:
        """Return what the layer does not say of its kernel, in words."""
        if self.gain <= LEAST_GAIN:
            return [NO_PATTERN]
        unit = None if pixel_size_nm is None else solver_pixel(pixel_size_nm)
        stretched = [] if self.stretch is None else [self.stretch.sentence()]
        return [*stretched, *(wave.sentence(unit) for wave in self.waves if not wave.decisive)]
