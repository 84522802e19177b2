"""HDF5 files (.h5, .hdf5, .nxs) through h5py, an optional package; links out of the file are never followed."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.errors import InputError
from qpi_core.maps.arrays import content_of_arrays
from qpi_core.maps.limits import MAX_VALUES
from qpi_core.maps.scan_map import MapContent

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DATASETS = 1000


def read_hdf5(content: bytes, name: str) -> MapContent:
    """Read every numeric dataset: 2-D and 3-D (energies first) ones of one size are channels; `bias_mv`, `pixel_size_nm` as in .npz.

    Raises:
        InputError: h5py missing, damaged, larger than MAX_VALUES, or without a map.
    """
    return content_of_arrays(read_datasets(content, name), name)


def read_datasets(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return every numeric dataset of at most three dimensions that lies in the file itself, by its path.

    Raises:
        InputError: h5py missing, damaged, or larger than MAX_VALUES.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{name} is an HDF5 file; reading it needs the package h5py: python -m pip install -r requirements-formats.txt.") from None
    try:
        with h5py.File(BytesIO(content), "r") as file:
            found: list[Any] = []
            file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
            usable = [item for item in found[:_MAX_DATASETS] if _usable(item)]
            if sum(int(item.size) for item in usable) > MAX_VALUES:
                raise InputError(f"{name} holds more than {MAX_VALUES} values; save the map alone in a file.")
            return {item.name.strip("/"): np.asarray(item[()]) for item in usable}
    except InputError:
        raise
    except Exception as error:  # the HDF5 library reports damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete HDF5 file. Save it again.") from error


def _usable(dataset: Any) -> bool:
    inside = dataset.external is None and not dataset.is_virtual
    return bool(inside and dataset.dtype.kind in "fiub" and len(dataset.shape) <= 3 and dataset.size)
