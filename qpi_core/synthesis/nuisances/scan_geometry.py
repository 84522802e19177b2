"""Scan geometry: what the scanner's creep and a sheared frame do to places.

A pixel p of the map shows the place s(p) of the sample, both (x, y) in pixels:

    s(p) = p + c (cos a, sin a) exp(-y / t) + k (y - y0, 0)

The first term is creep, c pixels at the start of the scan, forgotten after t rows; the second a shear k about the middle row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.bands.band_structures import require_in_range

_INVERSION_STEPS = 60


@dataclass(frozen=True)
class Creep:
    """The piezo still moves when the scan starts.

    Attributes:
        start_px: c.
        memory: t as a share of the map's height.

    Raises:
        InputError: a value outside its range.
    """

    start_px: float = 2.0
    memory: float = 0.15

    def __post_init__(self) -> None:
        require_in_range("start_px", self.start_px, 0.0, 5.0, "px")
        require_in_range("memory", self.memory, 0.1, 10.0, "of the map's height")


@dataclass(frozen=True)
class Shear:
    """Thermal drift at a constant speed along the fast axis.

    Attributes:
        share: |k|, pixels along x in one row; its sign is drawn.

    Raises:
        InputError: a value outside its range.
    """

    share: float = 0.01

    def __post_init__(self) -> None:
        require_in_range("share", self.share, 0.0, 0.2, "")


@dataclass(frozen=True)
class ScanGeometry:
    """One distortion s(p).

    Attributes:
        creep_px: (2,) displacement (x, y) at the first row.
        memory_rows: t.
        shear: k, either sign.
        middle_row: y0.
    """

    creep_px: tuple[float, float] = (0.0, 0.0)
    memory_rows: float = 1.0
    shear: float = 0.0
    middle_row: float = 0.0

    def place(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the places (x, y) of the sample that points of the map show, in pixels."""
        # Above the first row, where a defect's centre may lie half a pixel out, creep is what it was at the start.
        left = np.exp(-np.maximum(y, 0.0) / self.memory_rows)
        return x + self.creep_px[0] * left + self.shear * (y - self.middle_row), y + self.creep_px[1] * left

    def seen_at(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the map shows places of the sample, both (n, 2): the inverse of `place`, by fixed-point iteration."""
        seen = np.array(places, dtype=np.float64)
        for _ in range(_INVERSION_STEPS):
            x, y = self.place(seen[:, 0], seen[:, 1])
            seen = seen + places - np.stack([x, y], axis=1)
        return seen


def draw_scan_geometry(creep: Creep | None, shear: Shear | None, height: int, rng: np.random.Generator) -> ScanGeometry:
    """Draw the direction of the creep and the sign of the shear of a map with so many rows."""
    angle, sign = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    start = 0.0 if creep is None else creep.start_px
    return ScanGeometry(
        creep_px=(float(start * np.cos(angle)), float(start * np.sin(angle))),
        memory_rows=1.0 if creep is None else creep.memory * height,
        shear=0.0 if shear is None else float(sign * shear.share),
        middle_row=(height - 1) / 2,
    )
