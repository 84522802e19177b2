"""The sparse activation map of given kernels: accelerated proximal gradients (FISTA, Beck and Teboulle 2009).

    minimise 1/2 |y - A*M|^2 + l sum M   over M >= 0

in units of the noise, with a restart whenever the momentum points uphill.
"""

from __future__ import annotations

import numpy as np

from qpi_core.solvers.blind.polishing.convolution import Convolution, Image

_MARGIN = 1.02


def sparse_activation(convolution: Convolution, layers: Image, start: Image, threshold: float, steps: int) -> Image:
    """Return M, (height, width), amplitudes 0 and above.

    Args:
        convolution: the kernels, in units of the noise.
        layers: (energies, height, width) what is to be explained, in units of the noise, 0 where not measured.
        start: (height, width) where to begin.
        threshold: how far above the noise a defect's matched filter has to be, in standard deviations.
        steps: number of iterations.
    """
    stride = 1.0 / (_MARGIN * convolution.largest_gain)
    penalty = threshold * convolution.strength
    current = ahead = start.astype(np.float32)
    momentum = 1.0
    for _ in range(steps):
        slope = convolution.adjoint(convolution(ahead) - layers)
        following = np.maximum(ahead - np.float32(stride) * (slope + np.float32(penalty)), 0)
        if float(np.vdot(ahead - following, following - current)) > 0:
            momentum, ahead = 1.0, following
        else:
            faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = following + np.float32((momentum - 1) / faster) * (following - current)
            momentum = faster
        current = following
    return current
