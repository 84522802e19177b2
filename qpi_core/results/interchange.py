"""Results in the forms that other programs read: one .npz, tables as CSV, and Gwyddion's .gwy."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_offsets
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps.positions.files import save_positions
from qpi_core.maps.readers.programs.gwyddion import write_gwy
from qpi_core.qspace.spectra import kernel_fft, q_axes


def estimate_npz(estimate: KernelEstimate) -> bytes:
    """Return all arrays of an estimate as one compressed .npz, without pickles.

    `kernel`, `fft` (complex64, q = 0 at index k // 2), `observation`, `reconstruction`, `residual`, `positions_px` (n, 2) and
    `weights`; `uncertainty` and `latent` where the method gives them; with a known pitch `pixel_size_nm` (dy, dx) and the axes
    `x_nm`, `y_nm`, `qx_rad_per_nm`, `qy_rad_per_nm` (2 pi included).
    """
    arrays: dict[str, Any] = {
        "kernel": estimate.kernel,
        "fft": kernel_fft(estimate.kernel).astype(np.complex64),
        "observation": estimate.reconstruction + estimate.residual,
        "reconstruction": estimate.reconstruction,
        "residual": estimate.residual,
        "positions_px": estimate.positions,
        "weights": estimate.weights,
    }
    arrays |= {name: value for name in ("uncertainty", "latent") if (value := getattr(estimate, name)) is not None}
    if estimate.pixel_size_nm is not None:
        x, y = _axes_nm(estimate)
        q_y, q_x = q_axes((estimate.kernel_size, estimate.kernel_size), estimate.pixel_size_nm)
        arrays |= {"pixel_size_nm": np.array(estimate.pixel_size_nm), "x_nm": x, "y_nm": y, "qx_rad_per_nm": q_x, "qy_rad_per_nm": q_y}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def kernel_csv(estimate: KernelEstimate) -> bytes:
    """Return the kernel as a table with one pixel a line: x, y (nm, or px without a known pitch), kernel, and its uncertainty.

    Values have nine digits, so that float32 comes back exactly; x runs fastest.
    """
    unit = "px" if estimate.pixel_size_nm is None else "nm"
    x, y = _axes_nm(estimate)
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


def estimate_gwy(estimate: KernelEstimate) -> bytes:
    """Return kernel, uncertainty, observation, reconstruction and residual as channels of a Gwyddion file.

    Raises:
        InputError: no known pixel size, which Gwyddion needs.
    """
    if estimate.pixel_size_nm is None:
        raise InputError("the pixel size is not known, and a Gwyddion file needs one; enter the width of the map.")
    unit = str(estimate.provenance.get("input", {}).get("unit") or "")
    layers = {
        "Kernel": estimate.kernel,
        "Uncertainty": estimate.uncertainty,
        "Observation": estimate.reconstruction + estimate.residual,
        "Reconstruction": estimate.reconstruction,
        "Residual": estimate.residual,
    }
    known = {title: layer for title, layer in layers.items() if layer is not None}
    return write_gwy(known, estimate.pixel_size_nm, dict.fromkeys(known, unit))


def _axes_nm(estimate: KernelEstimate) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (x, y) of the kernel's columns and rows from its centre, in nm, or in pixels without a known pitch."""
    dy, dx = estimate.pixel_size_nm or (1.0, 1.0)
    offsets = np.asarray(kernel_offsets(estimate.kernel_size), dtype=np.float64)
    return offsets * dx, offsets * dy


def _table(names: list[str], rows: NDArray[np.float64], number: str) -> bytes:
    buffer = io.StringIO()
    np.savetxt(buffer, rows, fmt=number, delimiter=",", header=",".join(names), comments="")
    return buffer.getvalue().encode()
