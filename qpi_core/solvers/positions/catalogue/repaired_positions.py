"""What was changed in a list of defects that the map contradicts, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import movements
from qpi_core.estimates.caution import Caution, CautionKind

Array = NDArray[np.float64]

SMALL_MOVEMENT_PX = 0.3
"""Half the diagonal of a pixel is 0.7: nobody clicks better than this."""


@dataclass(frozen=True)
class RepairedList:
    """A list that the map prefers.

    Attributes:
        positions: (m, 2) columns (x, y) in px, the listed ones first.
        weights: (m,) amplitudes.
        added: number of defects at the end of the list that were missing.
        absent: numbers, in the list as given, of defects that the map does not show.
        moved_px: (n - absent,) how far the listed ones moved.
        sigma_px: (m,) prior deviation of each position in each direction, 0 for those that are as they were given.
        gain: log evidence over that of the list as given, the price of all changes taken off.
        price: that price.
    """

    positions: Array
    weights: Array
    added: int
    absent: tuple[int, ...]
    moved_px: Array
    sigma_px: Array
    gain: float
    price: float

    @classmethod
    def moved(cls, listed: Array, places: Array, weights: Array, gain: float) -> RepairedList:
        """Return a list, (n, 2) px, whose defects were moved to places that are marginalised: the evidence has their price in it."""
        return cls(places, weights, 0, (), np.hypot(*(places - listed).T), np.zeros(len(places)), gain, 0.0)

    def listed_as(self, given: Array) -> Array:
        """Return where the list as given, (n, 2) px, has each defect of this one, (m, 2); added ones are where they were found."""
        return np.concatenate([np.delete(given, self.absent, axis=0), self.positions[len(self.positions) - self.added :]])

    def settled(self, given: Array, places: Array, pixels: int) -> RepairedList:
        """Return the list with other places, (m, 2) px, that are marginalised: only the number of defects is paid for (Schwarz).

        A defect that is added brings two coordinates, one that is left out takes away its strength.
        """
        moved = np.hypot(*(places - self.listed_as(given)).T)[: len(places) - self.added]
        price = float(np.log(pixels)) * (self.added + 0.5 * len(self.absent))
        return replace(self, positions=places, moved_px=moved, sigma_px=np.zeros(len(places)), price=price)

    @property
    def changed(self) -> int:
        """Number of defects that were added or left out."""
        return self.added + len(self.absent)

    def record(self) -> dict[str, object]:
        """Return what was changed in plain values, for the side-car."""
        return {
            "positions_px": self.positions.tolist(),
            "added": self.added,
            "absent": list(self.absent),
            "moved_px": self.moved_px.tolist(),
            "log_evidence_gain": self.gain,
        }

    def sentences(self) -> list[Caution]:
        """Return what was changed in plain sentences; small movements alone are no reproach."""
        changes = []
        if self.moved_px.any():
            changes.append(f"moved by {movements(self.moved_px)}")
        if self.added:
            changes.append(f"with {self.added} more at (x, y) = {_places(self.positions[-self.added :])} px")
        if self.absent:
            changes.append(f"without {len(self.absent)} that it does not show")
        small = not self.changed and float(np.median(self.moved_px)) < SMALL_MOVEMENT_PX
        return [
            Caution(
                f"The map contradicts the list of defects: it is explained far better with the listed ones {', and '.join(changes)}. "
                "The kernel is that of the corrected list; reconstruction and residual are those of the list as given, and show its "
                "errors.",
                CautionKind.MOVED if small else CautionKind.LIST_CONTRADICTED,
                self.changed,
            )
        ]


def _places(points: Array) -> str:
    shown = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in points[:10])
    return shown + (f" and {len(points) - 10} others" if len(points) > 10 else "")
