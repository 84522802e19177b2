"""Eq. 7 of the paper with its derivatives: at offsets, and as the radial profiles that the harmonic solver knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import CENTRE_PX

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EquationSeven:
    """Eq. 7 with its parameters as a vector (s, phi1, phi2, B, c) in the solver's unit of length.

    Attributes:
        order: symmetry order n; 0 is isotropic, and then phi1 stays at pi / 2.
        vector: (5,).
    """

    order: int
    vector: Array

    @property
    def free(self) -> list[int]:
        """Indices of the parameters that are fitted."""
        return [0, 2, 3, 4] if self.order == 0 else [0, 1, 2, 3, 4]

    def radial(self, radii: Array) -> tuple[Array, Array]:
        """Return sin^2(B r + phi2) exp(-|c| r^2) and its derivatives by (phi2, B, c), (3, ...).

        The magnitude keeps a step of the fit beyond c = 0 from making a pattern that grows without end.
        """
        _, _, phase, wavenumber, decay = self.vector
        turn = 2 * (wavenumber * radii + phase)
        envelope = np.exp(-abs(decay) * radii**2)
        value = 0.5 * (1 - np.cos(turn)) * envelope
        by_phase = np.sin(turn) * envelope
        return value, np.stack([by_phase, radii * by_phase, -np.sign(decay) * radii**2 * value])

    def angular(self, theta: Array) -> tuple[Array, Array]:
        """Return sin^2(n theta / 2 + phi1) and its derivative by phi1."""
        turn = self.order * theta + 2 * self.vector[1]
        return 0.5 * (1 - np.cos(turn)), np.sin(turn)

    def values(self, dx: Array, dy: Array) -> tuple[Array, Array]:
        """Return the kernel at offsets and its derivatives by all five parameters, (5, ...)."""
        radii = np.hypot(dx, dy)
        radial, by_radial = self.radial(radii)
        angular, by_angular = self.angular(np.where(radii > CENTRE_PX, np.arctan2(dy, dx), 0.0))
        amplitude = self.vector[0]
        slopes = [radial * angular, amplitude * radial * by_angular, *(amplitude * by_radial * angular)]
        return slopes[0] * amplitude, np.stack(slopes)

    def profiles(self, nodes: Array) -> tuple[Array, Array]:
        """Return the radial profiles of 1, cos(n theta), sin(n theta), (a, nodes), and their derivatives, (5, a, nodes)."""
        radial, by_radial = self.radial(nodes)
        amplitude, twice = self.vector[0], 2 * self.vector[1]
        if self.order == 0:
            mixing, by_mixing = np.ones(1), np.zeros(1)
        else:
            mixing = 0.5 * np.array([1.0, -np.cos(twice), np.sin(twice)])
            by_mixing = np.array([0.0, np.sin(twice), np.cos(twice)])
        slopes = [np.outer(mixing, radial), amplitude * np.outer(by_mixing, radial), *(amplitude * mixing[:, None] * by_radial[:, None, :])]
        return slopes[0] * amplitude, np.stack(slopes)
