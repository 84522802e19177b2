"""Results as HDF5 files whose groups are named as NeXus names them: NXentry, NXdata with signal, axes and errors, NXprocess.

https://manual.nexusformat.org/classes/base_classes/NXdata.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_offsets
from qpi_core.base.provenance import json_ready, versions
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.spectra import kernel_fft, q_axes

if TYPE_CHECKING:
    from qpi_core.estimates.stack_estimate import StackEstimate

Array = NDArray[Any]


def estimate_nexus(estimate: KernelEstimate) -> bytes:
    """Return kernel, Fourier transform, map and defects of an estimate as HDF5.

    /entry/kernel (kernel, kernel_errors over y, x), /entry/fft (magnitude, real and imag over q_y, q_x, 2 pi included), /entry/map
    (observation, reconstruction, residual over y, x), /entry/defects (positions_px, weights) and /entry/process with the side-car as text.

    Raises:
        InputError: h5py is not installed.
    """
    unit = str(estimate.provenance.get("input", {}).get("unit") or "")
    pitch, kernel = estimate.pixel_size_nm, estimate.kernel
    observation = estimate.reconstruction + estimate.residual
    axes = _kernel_axes(kernel.shape[-1], pitch)
    spectrum = kernel_fft(kernel)
    errors = {} if estimate.uncertainty is None else {"kernel_errors": estimate.uncertainty}
    parts = {"magnitude": np.abs(spectrum), "real": spectrum.real, "imag": spectrum.imag}
    groups = {
        "kernel": _data("kernel", {"kernel": kernel, **errors}, axes, unit),
        "fft": _data("magnitude", parts, _q_axes(kernel.shape, pitch), unit),
        "map": _data(
            "observation",
            {"observation": observation, "reconstruction": estimate.reconstruction, "residual": estimate.residual},
            _map_axes(observation.shape, pitch),
            unit,
        ),
    }
    return _file(groups, estimate.positions, estimate.weights, estimate.method, estimate.provenance)


def stack_nexus(stack: StackEstimate, unit: str = "") -> bytes:
    """Return the kernels of an energy stack as HDF5: /entry/kernels (kernels, kernels_errors over bias, y, x), defects and process.

    Raises:
        InputError: h5py is not installed.
    """
    errors = {"kernels_errors": stack.uncertainties} if np.isfinite(stack.uncertainties).any() else {}
    axes = {"bias": (stack.bias_mv, "mV"), **_kernel_axes(stack.kernels.shape[-1], stack.pixel_size_nm)}
    groups = {"kernels": _data("kernels", {"kernels": stack.kernels, **errors}, axes, unit)}
    return _file(groups, stack.positions, stack.weights, stack.method, stack.provenance)


Axes = Mapping[str, tuple[Array, str]]


def _kernel_axes(size: int, pitch: tuple[float, float] | None) -> Axes:
    dy, dx = pitch or (1.0, 1.0)
    offsets, unit = np.asarray(kernel_offsets(size), dtype=np.float64), "px" if pitch is None else "nm"
    return {"y": (offsets * dy, unit), "x": (offsets * dx, unit)}


def _q_axes(shape: tuple[int, ...], pitch: tuple[float, float] | None) -> Axes:
    q_y, q_x = q_axes((shape[0], shape[1]), pitch or (1.0, 1.0))
    unit = "rad/px" if pitch is None else "rad/nm"
    return {"q_y": (q_y, unit), "q_x": (q_x, unit)}


def _map_axes(shape: tuple[int, ...], pitch: tuple[float, float] | None) -> Axes:
    dy, dx = pitch or (1.0, 1.0)
    unit = "px" if pitch is None else "nm"
    return {"y": (np.arange(shape[0]) * dy, unit), "x": (np.arange(shape[1]) * dx, unit)}


def _data(signal: str, fields: Mapping[str, Array], axes: Axes, unit: str) -> dict[str, Any]:
    """Return an NXdata group: its attributes and datasets, name -> (values, unit)."""
    others = [name for name in fields if name != signal and not name.endswith("_errors")]
    attributes = {"NX_class": "NXdata", "signal": signal, "axes": list(axes), **({"auxiliary_signals": others} if others else {})}
    return {"attributes": attributes, "datasets": {**{name: (values, unit) for name, values in fields.items()}, **axes}}


def _file(groups: Mapping[str, dict[str, Any]], positions: Array, weights: Array, method: str, provenance: Mapping[str, Any]) -> bytes:
    try:
        import h5py
    except ImportError:
        raise InputError("HDF5 files need the package h5py: python -m pip install h5py.") from None
    defects = {"attributes": {"NX_class": "NXcollection"}, "datasets": {"positions_px": (positions, "px"), "weights": (weights, "")}}
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": next(iter(groups))})
        for name, group in {**groups, "defects": defects}.items():
            made = entry.create_group(name)
            made.attrs.update(group["attributes"])
            for key, (values, unit) in group["datasets"].items():
                made.create_dataset(key, data=values).attrs["units"] = unit
        process = entry.create_group("process")
        process.attrs["NX_class"] = "NXprocess"
        record = json.dumps(json_ready(provenance), ensure_ascii=False, allow_nan=False)
        for key, text in {"program": "qpi_core", "version": str(versions()["qpi_core"]), "method": method, "provenance": record}.items():
            process.create_dataset(key, data=text)
    return buffer.getvalue()
