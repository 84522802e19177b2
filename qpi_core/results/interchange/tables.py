"""Tables of a result as CSV."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps.positions.files import save_positions
from qpi_core.results.interchange.axes import kernel_axes_nm


def kernel_csv(estimate: KernelEstimate) -> bytes:
    """Return the kernel as a table with one pixel a line: x, y (nm, or px without a known pitch), kernel, and its uncertainty.

    Values have nine digits, so that float32 comes back exactly; x runs fastest.
    """
    unit = "px" if estimate.pixel_size_nm is None else "nm"
    x, y = kernel_axes_nm(estimate)
    columns: list[NDArray[Any]] = [*(axis.ravel() for axis in np.meshgrid(x, y)), estimate.kernel.ravel()]
    names = [f"x_{unit}", f"y_{unit}", "kernel"]
    if estimate.uncertainty is not None:
        columns.append(estimate.uncertainty.ravel())
        names.append("standard_deviation")
    return _table(names, np.column_stack(columns), "%.9g")


def positions_csv(estimate: KernelEstimate) -> bytes:
    """Return the positions as used, with the heading x_px,y_px, to the last bit.

    With several classes of defects the list holds all of them and a third column, class (signs that a table cannot hold become _).
    """
    classes = estimate.provenance.get("classes")
    if classes:
        return save_positions(classes["positions_px"], labels=[re.sub(r'[,;\t\n\r"#]', "_", name) for name in classes["classes"]]).encode()
    return _table(["x_px", "y_px"], estimate.positions, "%.17g")


def _table(names: list[str], rows: NDArray[np.float64], number: str) -> bytes:
    buffer = io.StringIO()
    np.savetxt(buffer, rows, fmt=number, delimiter=",", header=",".join(names), comments="")
    return buffer.getvalue().encode()
