"""Patterns of n-fold symmetry in stretched coordinates, summed over defects one by one: what the solvers are to find."""

import numpy as np
from scipy.linalg import expm

from qpi_core.synthesis.simulated_maps.scenes import superpose


def stretched_pattern(order, numbers, wavenumber=0.45, turn=0.4):
    """A kernel of (dx, dy) px: cos^2 of angle and radius under a Gaussian, in coordinates exp([[a, b], [b, -a]]) (dx, dy)."""
    matrix = expm(np.array([[numbers[0], numbers[1]], [numbers[1], -numbers[0]]]))

    def kernel(dx, dy):
        u, v = matrix[0, 0] * dx + matrix[0, 1] * dy, matrix[1, 0] * dx + matrix[1, 1] * dy
        r, angle = np.hypot(u, v), np.arctan2(v, u)
        return np.cos(0.5 * order * angle + turn) ** 2 * np.cos(wavenumber * r + 0.5) ** 2 * np.exp(-0.008 * r**2)

    return kernel


def on_window(kernel, size):
    """The kernel at whole pixels of a window with its centre at size // 2."""
    offsets = np.arange(size) - size // 2
    return kernel(*np.meshgrid(offsets, offsets))


def noisy_map(kernels, places, shape, noise, rng):
    """The exact sum of every kernel over its places, with white noise relative to it."""
    clean = sum(superpose(kernel, points, shape, 1.0) for kernel, points in zip(kernels, places, strict=True))
    return (clean + noise * clean.std() * rng.standard_normal(shape)).astype(np.float32)
