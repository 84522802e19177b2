"""Where the pixels of a kernel lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import kernel_offsets
from qpi_core.estimates.estimate import KernelEstimate


def kernel_axes_nm(estimate: KernelEstimate) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (x, y) of the kernel's columns and rows from its centre, in nm, or in pixels without a known pitch."""
    dy, dx = estimate.pixel_size_nm or (1.0, 1.0)
    offsets = np.asarray(kernel_offsets(estimate.kernel_size), dtype=np.float64)
    return offsets * dx, offsets * dy
