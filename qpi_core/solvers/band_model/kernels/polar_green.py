"""The Green's function of any band around a point, by polar coordinates in q: fast enough to be fitted.

    G(r, theta) = int d^2q / (2 pi)^2  exp(i q . r) g(q) = sum_m i^m exp(i m theta) int q dq / (2 pi)  J_m(q r) g_m(q),
    g_m(q) = int dphi / (2 pi)  exp(-i m phi) g(q, phi)

The integral over q is a sum whose spacing keeps its repetitions, a radius 2 pi / dq away, below the waves themselves as long as
those decay (energies are complex); beyond the largest wave number that is looked for g is smooth, and the spacing follows J_m alone.
g is brought smoothly to zero at the wave vectors that pixels cannot resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import jv

from qpi_core.synthesis.bands.band_structures import BandStructure

Array = NDArray[np.float64]
Waves = NDArray[np.complex128]

_DIRECTIONS, _MOST_ORDER = 128, 32
_REPETITIONS, _SAMPLES_A_TURN = 10.0, 3.0
_WIDER = 1.2
_TAPER = 0.6
_NEGLIGIBLE = 1e-9
_BESSEL_STEP = 0.05


@dataclass(frozen=True, eq=False)
class PolarTransform:
    """From wave vectors in polar coordinates to places in polar coordinates.

    Attributes:
        q: (q,) rad/nm.
        kx, ky: (q, directions) the same as vectors, rad/nm.
        bessel: (2 M + 1, r, q) i^m J_m(q r) q dq / (2 pi) with the taper, m from -M to M.
        turns: (2 M + 1, angles) exp(i m theta).
    """

    q: Array
    kx: Array
    ky: Array
    bessel: Waves
    turns: Waves

    @classmethod
    def on(cls, radii: Array, angles: Array, most_wavenumber: float, most_q: float) -> PolarTransform:
        """Return the transform to radii (nm) and angles (rad); waves of up to most_wavenumber are resonant, q ends at most_q (rad/nm)."""
        reach = float(radii.max())
        fine, coarse = 2 * np.pi / (_REPETITIONS * reach), np.pi / (_SAMPLES_A_TURN * reach)
        inner = np.arange(0.5, np.ceil(_WIDER * most_wavenumber / fine)) * fine
        most_q = max(most_q, 1.5 * float(inner[-1]))
        outer = inner[-1] + fine / 2 + coarse * np.arange(0.5, np.ceil((most_q - inner[-1]) / coarse))
        q = np.concatenate([inner, outer])
        weights = np.concatenate([np.full(inner.size, fine), np.full(outer.size, coarse)])
        beyond = np.clip((q / q[-1] - _TAPER) / (1 - _TAPER), 0.0, 1.0)
        weights *= q * np.cos(0.5 * np.pi * beyond) ** 2 / (2 * np.pi)
        phi = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
        orders = np.arange(-_MOST_ORDER, _MOST_ORDER + 1)
        positive = _bessel_functions(radii[:, None] * q)
        bessel = np.stack([1j ** (m % 4) * (-1.0 if m < 0 and m % 2 else 1.0) * positive[..., abs(m)] * weights for m in orders])
        turns = np.exp(1j * orders[:, None] * angles)
        return cls(q, q[:, None] * np.cos(phi), q[:, None] * np.sin(phi), bessel, turns)

    def through_tip(self, width_nm: float) -> Array:
        """Return exp(-q^2 w^2), (q, 1)."""
        return np.asarray(np.exp(-((self.q * width_nm) ** 2)))[:, None]

    def places(self, g: Waves) -> Waves:
        """Return G, (energies, r, angles), of g given at (energies, q, directions)."""
        turned = np.fft.fft(g, axis=-1) / g.shape[-1]
        chosen = turned[..., np.arange(-_MOST_ORDER, _MOST_ORDER + 1)].transpose(2, 1, 0)
        # Symmetry leaves few orders: every sixth for a hexagonal contour.
        sizes = np.abs(chosen).max(axis=(1, 2))
        there = np.flatnonzero(sizes > _NEGLIGIBLE * sizes.max())
        radial = np.matmul(self.bessel[there], np.ascontiguousarray(chosen[there]))
        return np.asarray(np.tensordot(radial, self.turns[there], axes=(0, 0)).transpose(1, 0, 2))

    def pattern(self, structure: BandStructure, z: Iterable[complex], window: Array | float = 1.0) -> Waves:
        """Return sum_i s_i g_i(r)^2, (energies, r, angles): what T multiplies in the change of the density of states.

        Args:
            structure: the band, in any unit of energy.
            z: complex energies in that unit.
            window: (q, directions) that g is multiplied by.
        """
        terms = [structure.amplitudes(complex(one), self.kx, self.ky) for one in z]
        total: Waves | None = None
        for index, (sign, _) in enumerate(terms[0]):
            found = self.places(np.stack([one[index][1] * window for one in terms]))
            total = sign * found**2 if total is None else total + sign * found**2
        assert total is not None, "a Green's function has at least one term"
        return total


def _bessel_functions(x: Array) -> Array:
    """Return J_0 to J_M, (..., M + 1), x >= 0, by splines through values 0.05 apart (error below 1e-7)."""
    knots = np.arange(0.0, float(x.max()) + 2 * _BESSEL_STEP, _BESSEL_STEP)
    table = np.stack([jv(m, knots) for m in range(_MOST_ORDER + 1)], axis=1)
    return np.asarray(CubicSpline(knots, table)(x))
