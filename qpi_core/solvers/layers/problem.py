"""A checked energy stack with its defects: Y_e = b_e + sum_c A_{c,e} * M_c + noise_e."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.joint.start import DefectClass

AT_ONCE = min(2, os.cpu_count() or 1)
"""Layers that are worked on at the same time, each with one BLAS thread."""


@dataclass(frozen=True, eq=False)
class StackProblem:
    """Layers with one list of defects, which may be of several classes.

    Attributes:
        stack: (energies, height, width), NaN where not measured.
        classes: positions and weights of the defects of each class; one class is the usual case.
        kernel_size: side of the kernels in px.
        pixel_size_nm: (dy, dx), or None.
        noise_model: "auto": background and coloured noise as each layer asks for them; "white": a constant and white noise.
        movable: the listed places may be off; a layer with a noise model marginalises them to first order where it asks for it.
    """

    stack: NDArray[np.floating]
    classes: tuple[DefectClass, ...]
    kernel_size: int
    pixel_size_nm: tuple[float, float] | None
    noise_model: str = "auto"
    movable: bool = False

    @property
    def positions(self) -> NDArray[np.float64]:
        """(n, 2) px, class after class."""
        return np.concatenate([one.positions for one in self.classes])

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n,), class after class."""
        return np.concatenate([one.weights for one in self.classes])

    @property
    def aspect(self) -> tuple[float, float]:
        """(dy, dx) of a pixel in units of the square pixel of the same area."""
        if self.pixel_size_nm is None:
            return 1.0, 1.0
        unit = float(np.sqrt(self.pixel_size_nm[0] * self.pixel_size_nm[1]))
        return self.pixel_size_nm[0] / unit, self.pixel_size_nm[1] / unit

    def layer(self, index: int) -> NDArray[np.float32]:
        """Return one layer as float32."""
        return np.asarray(self.stack[index], dtype=np.float32)
