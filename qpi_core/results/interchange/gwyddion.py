"""The pictures of a result as channels of a Gwyddion file (.gwy)."""

from __future__ import annotations

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps.readers.programs.gwyddion import write_gwy


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
