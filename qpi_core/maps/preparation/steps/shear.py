"""Shear, corrected from Bragg peaks: an affine step from two pairs of peaks.

The atoms of an ideal lattice show where a point of the map really lies. Wave vectors are in rad/nm, 2 pi included, x to the right
and y downwards as the layer is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.coordinates import AffineMovement
from qpi_core.maps.preparation.interpolation import read_moved
from qpi_core.maps.preparation.step import Image, Layer, Step, StepResult, require_pairs
from qpi_core.maps.preparation.steps.peak_pairs import LARGEST_Q, Pair, require_independent

_MOST_STRETCH = 3.0
_MOST_GROWTH = 4.0


@dataclass(frozen=True)
class CorrectShear(Step):
    """Map two measured Bragg peaks onto two ideal ones: takes out shear, steady drift, wrong calibration and rotation.

    A peak q of the lattice r becomes A^-T q when the lattice is distorted to A r, so A follows from two pairs of peaks, and the
    corrected layer is read at A r. It is large enough to hold the whole old field; new corners are NaN. The centre stays.

    Attributes:
        measured: two peaks (q_x, q_y) in rad/nm as they are in the layer.
        ideal: the same two peaks of the undistorted lattice; see bragg_peaks.regular_lattice.
    """

    name: ClassVar[str] = "correct_shear"
    measured: Pair
    ideal: Pair

    def __post_init__(self) -> None:
        for name in ("measured", "ideal"):
            object.__setattr__(self, name, require_pairs(self.name, name, getattr(self, name), 2, 2, LARGEST_Q))
            require_independent(self.name, name, getattr(self, name))
        stretches = np.linalg.svd(self._distortion(), compute_uv=False)
        if stretches.max() > _MOST_STRETCH or stretches.min() < 1 / _MOST_STRETCH:
            raise InputError(
                f"measured and ideal of the step {self.name!r} differ by a stretch of {stretches.max():.3g} and {stretches.min():.3g}; "
                f"up to a factor {_MOST_STRETCH:g} is possible, so check that both name the same peaks."
            )

    def apply(self, layer: Layer) -> StepResult:
        """Return the undistorted layer; removed is the distance in pixels by which each point moves."""
        dy, dx = layer.pixel_size_nm
        to_px = np.diag([1 / dx, 1 / dy])
        to_nm = np.diag([dx, dy])
        matrix = to_px @ np.linalg.inv(self._distortion()) @ to_nm
        height, width = layer.values.shape
        corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        extent = np.ptp((corners - centre) @ matrix.T, axis=0)
        new_width, new_height = (max(4, int(np.ceil(side - 1e-6))) for side in extent)
        if new_width * new_height > _MOST_GROWTH * _MOST_STRETCH**2 * height * width:
            raise InputError(
                f"The step {self.name!r} would make the layer {new_width} x {new_height} pixels; check the two pairs of peaks."
            )
        moved = AffineMovement(matrix, np.array([(new_width - 1) / 2, (new_height - 1) / 2]) - matrix @ centre)

        def carry(values: Image) -> Image:
            return read_moved(values, moved, (new_height, new_width))

        return StepResult(
            carry(layer.values),
            _distances(moved, layer.values.shape),
            "Displacement (px)",
            layer.pixel_size_nm,
            layer.unit,
            (moved,),
            carry=carry,
            note=f"{new_width} x {new_height} pixels after the correction.",
        )

    def _distortion(self) -> NDArray[np.float64]:
        """Return A, (2, 2) in nm: r_measured = A r_ideal, from A^T q_measured = q_ideal."""
        return np.linalg.solve(np.array(self.measured), np.array(self.ideal))


def _distances(moved: AffineMovement, shape: tuple[int, ...]) -> Image:
    """Return how far each pixel moves, (height, width) in pixels, apart from the shift of the new corner."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
    centre = points.mean(axis=0)
    change = (points - centre) @ (moved.matrix - np.eye(2)).T
    distances: Image = np.hypot(change[:, 0], change[:, 1]).reshape(shape)
    return distances
