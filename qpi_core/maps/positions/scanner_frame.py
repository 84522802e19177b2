"""The scan frame in the scanner's own coordinates: x to the right, y upwards, in nm, turned and shifted as the instrument wrote it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import require_pixel_size


@dataclass(frozen=True)
class ScannerFrame:
    """Where a map lies.

    Attributes:
        centre_nm: (x, y) of the frame's centre.
        angle_deg: rotation of the frame, degrees clockwise.
        shape: (height, width) of the map in pixels.
        pixel_size_nm: (dy, dx).
    """

    centre_nm: tuple[float, float]
    angle_deg: float
    shape: tuple[int, int]
    pixel_size_nm: tuple[float, float]

    def to_scanner(self, positions_px: ArrayLike) -> NDArray[np.float64]:
        """Return (n, 2) positions (X, Y) in nm of positions (x, y) in pixels, 0 at the centre of the first pixel, y downwards.

        With u to the right and v upwards from the frame's centre, X = X_0 + u cos a + v sin a and Y = Y_0 - u sin a + v cos a.
        """
        (height, width), (dy, dx) = self.shape, require_pixel_size(self.pixel_size_nm)
        x, y = np.asarray(positions_px, dtype=np.float64).reshape(-1, 2).T
        u, v = (x - (width - 1) / 2) * dx, ((height - 1) / 2 - y) * dy
        turn = np.deg2rad(self.angle_deg)
        place = np.stack([u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)], axis=1)
        return np.asarray(place + np.array(self.centre_nm))

    def to_pixels(self, positions_nm: ArrayLike) -> NDArray[np.float64]:
        """Return the positions in pixels of (n, 2) positions (X, Y) in nm; the inverse of to_scanner."""
        (height, width), (dy, dx) = self.shape, require_pixel_size(self.pixel_size_nm)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite or NaN, which every check tells
            x, y = (np.asarray(positions_nm, dtype=np.float64).reshape(-1, 2) - np.array(self.centre_nm)).T
            turn = np.deg2rad(self.angle_deg)
            u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
            return np.stack([u / dx + (width - 1) / 2, (height - 1) / 2 - v / dy], axis=1)
