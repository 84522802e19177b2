"""A surface's Bravais lattice in the map's frame, and what it puts into q-space: Bragg peaks and the first Brillouin zone.

    a_i . b_j = 2 pi delta_ij,   G = h b_1 + k b_2

Angles run from +x towards +y, which points downwards as the map is shown. Wave vectors are in rad/nm, so the 2 pi is in them:
a square lattice has its first peak at 2 pi / a, a triangular one at 4 pi / (sqrt(3) a).
Source: Ashcroft, Mermin, Solid State Physics, ch. 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError

LATTICE_KINDS = ("square", "rectangular", "hexagonal", "oblique")
"""`hexagonal` is the triangular Bravais lattice, also that of graphene and of (111) surfaces."""
LATTICE_CONSTANT_RANGE_NM = (0.05, 1000.0)
LEAST_ANGLE = math.radians(5)
"""Between the lattice vectors; a more acute cell is written with other vectors."""

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceLattice:
    """Two lattice vectors: a_1 along `orientation`, a_2 turned from it by `angle`.

    Attributes:
        a_nm, b_nm: lengths of a_1 and a_2, nm.
        angle: from a_1 to a_2, rad, between LEAST_ANGLE and pi - LEAST_ANGLE.
        orientation: direction of a_1 on the map, rad from +x towards +y (downwards).

    Raises:
        InputError: a length or an angle outside its range.
    """

    a_nm: float
    b_nm: float
    angle: float = math.pi / 2
    orientation: float = 0.0

    def __post_init__(self) -> None:
        low, high = LATTICE_CONSTANT_RANGE_NM
        for name, length in (("a_nm", self.a_nm), ("b_nm", self.b_nm)):
            if not low <= length <= high:
                raise InputError(f"{name} must be a length from {low:g} to {high:g} nm, but it is {length!r}.")
        if not LEAST_ANGLE <= self.angle <= math.pi - LEAST_ANGLE:
            ends = f"from {LEAST_ANGLE:.4g} to {math.pi - LEAST_ANGLE:.4g} rad"
            raise InputError(f"angle between the lattice vectors must be {ends} (5 to 175 degrees), but it is {self.angle!r}.")
        if not math.isfinite(self.orientation):
            raise InputError(f"orientation must be a finite angle in rad, but it is {self.orientation!r}.")

    @property
    def vectors(self) -> Vectors:
        """Lattice vectors (x, y) in nm as rows."""
        angles = self.orientation + np.array([0.0, self.angle])
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(directions * np.array([[self.a_nm], [self.b_nm]]))

    @property
    def reciprocal_vectors(self) -> Vectors:
        """Vectors b_1, b_2 as rows (q_x, q_y) in rad/nm."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.vectors).T)

    @property
    def cell_area_nm2(self) -> float:
        """Area of the unit cell; that of the Brillouin zone is (2 pi)^2 over it."""
        return self.a_nm * self.b_nm * math.sin(self.angle)

    def bragg_peaks(self, q_limits: tuple[float, float], most: int = 500) -> tuple[NDArray[np.int64], Vectors]:
        """Return the Bragg peaks inside a spectrum, the shortest first, without G = 0.

        Args:
            q_limits: (q_x, q_y) in rad/nm up to which the spectrum reaches on both sides.
            most: largest number of peaks; ties at the end stay together or are left out together.

        Returns:
            indices (n, 2) of (h, k), and wave vectors (n, 2) of (q_x, q_y) in rad/nm.

        Raises:
            InputError: limits that are not positive.
        """
        limits = np.asarray(q_limits, dtype=np.float64)
        if limits.shape != (2,) or not (np.isfinite(limits).all() and (limits > 0).all()):
            raise InputError(f"q_limits must be two positive wave vectors (q_x, q_y) in rad/nm, but it is {q_limits!r}.")
        # h = a_1 . G / 2 pi, so |h| is at most |a_1| |G| / 2 pi; a moire cell needs no more than the innermost peaks.
        reach = np.minimum(np.linalg.norm(limits) * np.array([self.a_nm, self.b_nm]) / (2 * np.pi), 10 * math.sqrt(most) + 10)
        h, k = (np.arange(-math.floor(side), math.floor(side) + 1) for side in reach)
        indices = np.stack(np.meshgrid(h, k, indexing="ij"), axis=-1).reshape(-1, 2)
        peaks = indices @ self.reciprocal_vectors
        inside = (np.abs(peaks) <= limits * (1 + 1e-9)).all(axis=1) & indices.any(axis=1)
        indices, peaks = indices[inside], peaks[inside]
        lengths = np.round(np.linalg.norm(peaks, axis=1), 9)
        order = np.lexsort((np.arctan2(peaks[:, 1], peaks[:, 0]), lengths))
        if len(order) > most:
            order = order[lengths[order] < lengths[order[most]]]
        return indices[order], peaks[order]

    def brillouin_zone(self) -> Vectors:
        """Return the corners (n, 2) of the first Brillouin zone in rad/nm, n = 4 or 6, in the order of their angle.

        It is the Wigner-Seitz cell of the reciprocal lattice: all q that lie closer to G = 0 than to any other G.
        """
        from scipy.spatial import Voronoi

        first, second = _reduced(*self.reciprocal_vectors)
        near = np.array([(h, k) for h in range(-2, 3) for k in range(-2, 3)])
        scale = float(np.linalg.norm(second))
        cells = Voronoi(near @ np.stack([first, second]) / scale)
        corners = cells.vertices[cells.regions[cells.point_region[len(near) // 2]]]
        corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
        # Where four zones meet in one corner, rounding can split it.
        apart = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) > 1e-7
        return np.asarray(corners[apart] * scale)


def surface_lattice(
    kind: str, a_nm: float, b_nm: float | None = None, angle: float | None = None, orientation: float = 0.0
) -> SurfaceLattice:
    """Return the lattice of a kind, with what the kind fixes filled in.

    Args:
        kind: one of LATTICE_KINDS.
        a_nm: lattice constant, nm.
        b_nm: the second one; for `rectangular` and `oblique` only.
        angle: between the vectors, rad; for `oblique` only.
        orientation: direction of a_1 on the map, rad from +x towards +y (downwards).

    Raises:
        InputError: an unknown kind, a number that is missing or that the kind fixes otherwise, or one outside its range.
    """
    if kind not in LATTICE_KINDS:
        raise InputError(f"kind must be one of {', '.join(LATTICE_KINDS)}, but it is {kind!r}.")
    free = {"b_nm": kind in ("rectangular", "oblique"), "angle": kind == "oblique"}
    for name, value in (("b_nm", b_nm), ("angle", angle)):
        if free[name] and value is None:
            raise InputError(f"{name} is missing; a lattice of the kind {kind!r} needs it.")
        if not free[name] and value is not None:
            raise InputError(f"{name} is fixed by the kind {kind!r}; leave it out, or choose 'oblique'.")
    between = angle if angle is not None else math.pi / 3 if kind == "hexagonal" else math.pi / 2
    return SurfaceLattice(a_nm, a_nm if b_nm is None else b_nm, between, orientation)


def _reduced(first: Vectors, second: Vectors) -> tuple[Vectors, Vectors]:
    """Return the two shortest vectors of the lattice that these span (Lagrange and Gauss), the shorter first."""
    while True:
        if first @ first > second @ second:
            first, second = second, first
        steps = np.rint((first @ second) / (first @ first))
        if steps == 0:
            return first, second
        second = second - steps * first
