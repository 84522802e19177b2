"""Results in the forms that other programs read, one file a program; all return bytes."""

from __future__ import annotations

from qpi_core.results.interchange.arrays import estimate_npz
from qpi_core.results.interchange.gwyddion import estimate_gwy
from qpi_core.results.interchange.igor import fft_ibw, kernel_ibw
from qpi_core.results.interchange.nexus import estimate_nexus, stack_nexus
from qpi_core.results.interchange.tables import kernel_csv, positions_csv

__all__ = ["estimate_gwy", "estimate_nexus", "estimate_npz", "fft_ibw", "kernel_csv", "kernel_ibw", "positions_csv", "stack_nexus"]
