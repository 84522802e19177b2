"""Signed kernels beyond Eq. 7: a few angular harmonics, each with its own radial oscillation, under one envelope.

    A(r, theta) = exp(-c r^2) sum_m (a_m + b_m cos(q_m r + p_m)) cos(m theta + t_m),   m in {0, n, 2n}

Eq. 7 is the special case of two harmonics with one wave vector and tied amplitudes. Real maps, levelled or differentiated, have
kernels of both signs; this family teaches a network not to expect positive ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.synthesis.kernel_families.equation_7 import DECAY_RANGE, WAVENUMBER_RANGE

ORDERS = (0, 1, 2, 3, 4, 6)


@dataclass(frozen=True)
class HarmonicPattern:
    """One kernel of the family.

    Attributes:
        symmetry_order: n; 0 keeps only the isotropic term, 1 has no rotational symmetry.
        orders: m of each term.
        offsets, amplitudes: a_m and b_m.
        wave_vectors: q_m in rad/nm.
        phases, angles: p_m and t_m in rad.
        decay: c in nm^-2.
    """

    symmetry_order: int
    orders: tuple[int, ...]
    offsets: tuple[float, ...]
    amplitudes: tuple[float, ...]
    wave_vectors: tuple[float, ...]
    phases: tuple[float, ...]
    angles: tuple[float, ...]
    decay: float

    def __call__(self, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
        """Return the pattern at offsets (dx, dy) in nm from the defect."""
        x, y = np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64)
        r, theta = np.hypot(x, y), np.arctan2(y, x)
        total = np.zeros(np.broadcast(x, y).shape)
        for m, a, b, q, p, t in zip(self.orders, self.offsets, self.amplitudes, self.wave_vectors, self.phases, self.angles, strict=True):
            total += (a + b * np.cos(q * r + p)) * np.cos(m * theta + t)
        return total * np.exp(-self.decay * r * r)


def draw_harmonic_pattern(rng: np.random.Generator) -> HarmonicPattern:
    """Draw one kernel of the family; wave vectors and decay as for Eq. 7 (q = 2 B), 20 % wider at both ends."""
    symmetry_order = int(rng.choice(ORDERS))
    orders = (0,) if symmetry_order == 0 else (0, symmetry_order, 2 * symmetry_order)
    count = len(orders)
    wave_vector = 2 * rng.uniform(WAVENUMBER_RANGE[0] / 1.2, WAVENUMBER_RANGE[1] * 1.2)
    # Half of the kernels share one wave vector between their harmonics, as a circular contour would give.
    spread = rng.uniform(0.7, 1.3, count) if rng.random() < 0.5 else np.ones(count)
    # Higher harmonics are weaker, and the non-oscillating part is often absent in levelled data.
    strength = np.array([1.0, 1.0, 0.4])[:count] * rng.normal(size=count)
    offsets = strength * rng.choice([0.0, 1.0]) * rng.uniform(-1, 1, count)
    decay = np.exp(rng.uniform(np.log(DECAY_RANGE[0] / 1.2), np.log(DECAY_RANGE[1] * 1.2)))
    phases, angles = rng.uniform(0, 2 * np.pi, (2, count))
    angles[0] = 0.0
    return HarmonicPattern(
        symmetry_order,
        orders,
        tuple(offsets.tolist()),
        tuple(strength.tolist()),
        tuple((wave_vector * spread).tolist()),
        tuple(phases.tolist()),
        tuple(angles.tolist()),
        float(decay),
    )
