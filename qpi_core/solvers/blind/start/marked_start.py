"""Starts from a few defects that somebody marked: the kernels that these lead to, from which the rest of the defects is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.points.joint_refinement import refine_points
from qpi_core.solvers.blind.points.point_cleaning import on_pixels
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import Candidate

Array = NDArray[np.float64]

_STEPS = 6


def marked_starts(steps: Sequence[KernelStep], marks: Array) -> Iterator[Candidate]:
    """Yield scored candidates for every order of symmetry: the marks (n, 2), (x, y) in px, as they are and where the map moves them."""
    for step in steps:
        given = on_pixels(step, marks)
        yield given
        moved = on_pixels(step, refine_points(step, marks, np.ones(len(marks)), own_weights=False, steps=_STEPS).positions)
        if not np.array_equal(moved.activation, given.activation):
            yield moved
