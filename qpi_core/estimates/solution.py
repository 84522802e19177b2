"""What every solver returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KernelSolution:
    """A kernel with what was found beside it.

    Attributes:
        kernel: (k, k), in units of the observation, centre at index k // 2.
        wide_kernel: (K, K) with K >= k, the window that was solved; `kernel` is its central crop.
        background: the constant b of Y = b + A*M + noise.
        noise_sigma: estimated standard deviation of the noise, units of the observation.
        uncertainty: (k, k) one standard deviation a pixel, or None where the method gives none.
        symmetry_order: 0 isotropic, 2, 3, 4, 6, or None where the data do not say.
        parameters: name with its unit -> (value, standard deviation).
        warnings: plain sentences for the user.
        details: plain values for the side-car (regularisation, iterations, ...).
        superposition: (height, width), A*M as the solver itself evaluates it, zero where not measured; None where that is the sampled
            kernel's. Between pixels the sampled kernel is less exact: Eq. 7 is not band-limited at its centre.
    """

    kernel: NDArray[np.float32]
    wide_kernel: NDArray[np.float32]
    background: float
    noise_sigma: float
    uncertainty: NDArray[np.float32] | None = None
    symmetry_order: int | None = None
    parameters: dict[str, tuple[float, float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    details: dict[str, float | int | str] = field(default_factory=dict)
    superposition: NDArray[np.float32] | None = None
