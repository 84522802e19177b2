"""All arrays of a result in one .npz."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.spectra import kernel_fft, q_axes
from qpi_core.results.interchange.axes import kernel_axes_nm


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
        x, y = kernel_axes_nm(estimate)
        q_y, q_x = q_axes((estimate.kernel_size, estimate.kernel_size), estimate.pixel_size_nm)
        arrays |= {"pixel_size_nm": np.array(estimate.pixel_size_nm), "x_nm": x, "y_nm": y, "qx_rad_per_nm": q_x, "qy_rad_per_nm": q_y}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
