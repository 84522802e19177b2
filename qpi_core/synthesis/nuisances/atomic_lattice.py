"""The atomic lattice: standing waves at the Bragg peaks, with or without defects on its sites.

    b(r) = sum_i cos(G_i . (r - r0) + phi_i)

Two waves at right angles for a square lattice, three at 60 degrees for a hexagonal one. r0 is a site; the phases are free, for
the tip's height and bias decide what an atom looks like. On sites every defect sees the same phase of every wave, which is what
makes the lattice hard to tell from a part of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import require_in_range

PERIOD_RANGE_NM = (0.36, 0.6)
"""Of the waves: atoms that a map of 64 pixels in 10 nm still resolves (2.3 to 3.8 pixels)."""


@dataclass(frozen=True)
class AtomicLattice:
    """Waves of the lattice.

    Attributes:
        level: standard deviation over the map, relative to that of the clean map.
        on_sites: whether the defects sit on lattice sites.

    Raises:
        InputError: a value outside its range.
    """

    level: float = 1.0
    on_sites: bool = False

    def __post_init__(self) -> None:
        require_in_range("level", self.level, 0.0, 1e3, "of the clean map's standard deviation")


@dataclass(frozen=True)
class LatticeGeometry:
    """A lattice in the plane.

    Attributes:
        wave_vectors: (2 or 3, 2) the G_i as (x, y), rad/nm; the first two span the reciprocal lattice.
        phases: (2 or 3,) rad.
        origin_nm: (2,) a site.
    """

    wave_vectors: NDArray[np.float64]
    phases: NDArray[np.float64]
    origin_nm: NDArray[np.float64]


def draw_lattice(rng: np.random.Generator) -> LatticeGeometry:
    """Draw a square or hexagonal lattice: period, direction, site and phases."""
    hexagonal = bool(rng.random() < 0.5)
    period = rng.uniform(*PERIOD_RANGE_NM)
    steps = np.arange(3) * np.pi / 3 if hexagonal else np.arange(2) * np.pi / 2
    directions = rng.uniform(0, np.pi) + steps
    vectors = 2 * np.pi / period * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    return LatticeGeometry(vectors, rng.uniform(0, 2 * np.pi, len(vectors)), rng.uniform(-period, period, 2))


def lattice_waves(lattice: LatticeGeometry, x_nm: NDArray[np.float64], y_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the waves at places in nm."""
    total = np.zeros(np.broadcast_shapes(x_nm.shape, y_nm.shape))
    for (gx, gy), phase in zip(lattice.wave_vectors, lattice.phases, strict=True):
        total += np.cos(gx * (x_nm - lattice.origin_nm[0]) + gy * (y_nm - lattice.origin_nm[1]) + phase)
    return total


def lattice_sites(lattice: LatticeGeometry, low_nm: NDArray[np.float64], high_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (n, 2) sites within the rectangle from low to high, (x, y) in nm."""
    # Columns of 2 pi G^-1 are the lattice vectors: G_i . a_j = 2 pi delta_ij.
    vectors = 2 * np.pi * np.linalg.inv(lattice.wave_vectors[:2])
    reach = int(np.ceil(2 * np.linalg.norm(high_nm - low_nm) / np.linalg.norm(vectors, axis=0).min())) + 2
    first, second = (axis.ravel() for axis in np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1)))
    middle = np.rint(np.linalg.solve(vectors, (low_nm + high_nm) / 2 - lattice.origin_nm))
    sites = lattice.origin_nm + (np.stack([first, second], axis=1) + middle) @ vectors.T
    return np.asarray(sites[((sites >= low_nm) & (sites <= high_nm)).all(axis=1)])


def draw_sites(sites: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw `count` different sites.

    Raises:
        InputError: there are fewer sites.
    """
    if count > len(sites):
        raise InputError(f"count is {count} defects, but the lattice has {len(sites)} sites within the map; ask for fewer defects.")
    return np.asarray(sites[rng.choice(len(sites), size=count, replace=False)])
