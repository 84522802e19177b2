"""Kernels of scenes with nuisances: Eq. 7 or the T-matrix, on one scale, drawn from (seed, index) alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.synthesis.bands.band_families import FAMILIES as BAND_FAMILIES
from qpi_core.synthesis.bands.band_families import defect_scattering, draw_band_controls
from qpi_core.synthesis.bands.scattering import band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, draw_kernel_parameters, evaluate
from qpi_core.synthesis.simulated_maps.scenes import Pattern

EQUATION_7, T_MATRIX = "equation-7", "t-matrix"
KERNEL_SOURCES = (EQUATION_7, T_MATRIX)
KERNEL_SIZE = 64
EXTENT_NM = 14.0
"""A little more than the diagonal of a 10 x 10 nm map: no offset lies beyond it."""


@dataclass(frozen=True)
class SceneKernel:
    """One kernel of a scene.

    Attributes:
        pattern: values at offsets (dx, dy) in nm; the largest absolute value on the 64 x 64 window is 1 for the T-matrix, and what
            the formula says for Eq. 7, at most 1.
        symmetry_order: 0, 2, 3, 4, 6, or None for a kernel without symmetry.
        wave_vector: q of its waves, rad/nm.
    """

    pattern: Pattern
    symmetry_order: int | None
    wave_vector: float

    def on_window(self) -> NDArray[np.float64]:
        """Return the kernel on its (64, 64) window, centre at index 32."""
        return self.pattern(*kernel_coordinates(KERNEL_SIZE, DEFAULT_PIXEL_SIZE_NM))


@lru_cache(maxsize=16)
def draw_scene_kernel(stream: tuple[int, ...], source: str, turn: int) -> SceneKernel:
    """Draw a kernel.

    Args:
        stream: whole numbers that name the random stream.
        source: one of KERNEL_SOURCES.
        turn: which symmetry order of Eq. 7, or which family of band structures, counted round and round.

    Raises:
        InputError: an unknown source.
    """
    rng = np.random.default_rng(list(stream))
    if source == EQUATION_7:
        parameters = draw_kernel_parameters(rng, SYMMETRY_ORDERS[turn % len(SYMMETRY_ORDERS)])
        return SceneKernel(lambda dx, dy: evaluate(parameters, dx, dy), parameters.symmetry_order, 2 * parameters.wavenumber)
    if source == T_MATRIX:
        controls = draw_band_controls(rng, list(BAND_FAMILIES)[turn % len(BAND_FAMILIES)])
        unscaled = band_pattern(defect_scattering(controls), EXTENT_NM)
        x, y = kernel_coordinates(KERNEL_SIZE, DEFAULT_PIXEL_SIZE_NM)
        scale = 1 / float(np.abs(unscaled(x, y)).max())
        return SceneKernel(lambda dx, dy: scale * unscaled(dx, dy), unscaled.symmetry_order, controls.wave_vector)
    raise InputError(f"source must be one of {', '.join(KERNEL_SOURCES)}, but it is {source!r}.")
