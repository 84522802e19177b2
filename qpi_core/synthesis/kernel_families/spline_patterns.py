"""Kernels of no formula: random smooth radial profiles times angular harmonics.

    A(r, theta) = exp(-c r^2) sum_m f_m(r) cos(m theta + t_m),   f_m a cubic B-spline with random coefficients, m in {0, n, 2n}

The knots are a fraction of a period apart, so a profile bends about as often as a QPI kernel oscillates, but with no wave vector
of its own. B-splines: de Boor, A Practical Guide to Splines (1978).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline

from qpi_core.synthesis.kernel_families.equation_7 import DECAY_RANGE
from qpi_core.synthesis.kernel_families.harmonic_patterns import ORDERS

KNOT_SPACING_RANGE = (0.15, 0.8)
"""nm: from a quarter of the shortest wavelength of Eq. 7's benchmark to that of the longest."""
REACH_NM = 8.0
_DEGREE = 3


@dataclass(frozen=True, eq=False)
class SplinePattern:
    """One kernel of the family.

    Attributes:
        symmetry_order: n; 0 keeps only the isotropic term, 1 has no rotational symmetry.
        orders: m of each term.
        coefficients: (terms, n) B-spline coefficients of each radial profile.
        knot_spacing: in nm.
        angles: t_m in rad.
        decay: c in nm^-2.
    """

    symmetry_order: int
    orders: tuple[int, ...]
    coefficients: NDArray[np.float64]
    knot_spacing: float
    angles: tuple[float, ...]
    decay: float

    def __call__(self, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
        """Return the pattern at offsets (dx, dy) in nm from the defect."""
        x, y = np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64)
        r, theta = np.hypot(x, y), np.arctan2(y, x)
        knots = self.knot_spacing * (np.arange(self.coefficients.shape[1] + _DEGREE + 1) - _DEGREE)
        total = np.zeros(np.broadcast(x, y).shape)
        for m, row, t in zip(self.orders, self.coefficients, self.angles, strict=True):
            profile = np.nan_to_num(BSpline(knots, row, _DEGREE, extrapolate=False)(r))
            # cos(m theta) is not defined at the defect itself; only r^m keeps an m-fold term smooth there.
            rise = 1.0 if m == 0 else 1 - np.exp(-((r / self.knot_spacing) ** m))
            total += profile * rise * np.cos(m * theta + t)
        return total * np.exp(-self.decay * r * r)


def draw_spline_pattern(rng: np.random.Generator) -> SplinePattern:
    """Draw one kernel of the family; decay as for Eq. 7, 20 % wider at both ends."""
    symmetry_order = int(rng.choice(ORDERS))
    orders = (0,) if symmetry_order == 0 else (0, symmetry_order, 2 * symmetry_order)
    spacing = float(np.exp(rng.uniform(*np.log(KNOT_SPACING_RANGE))))
    count = int(np.ceil(REACH_NM / spacing)) + _DEGREE
    strength = np.array([1.0, 1.0, 0.4])[: len(orders)] * rng.normal(size=len(orders))
    coefficients = strength[:, None] * rng.normal(size=(len(orders), count))
    angles = rng.uniform(0, 2 * np.pi, len(orders))
    angles[0] = 0.0
    decay = float(np.exp(rng.uniform(np.log(DECAY_RANGE[0] / 1.2), np.log(DECAY_RANGE[1] * 1.2))))
    return SplinePattern(symmetry_order, orders, coefficients, spacing, tuple(angles.tolist()), decay)
