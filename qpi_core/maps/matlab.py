"""MATLAB files (.mat): version 5 to 7 with SciPy, version 7.3 (HDF5 inside) with h5py."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.errors import InputError
from qpi_core.maps.arrays import content_of_arrays
from qpi_core.maps.hdf5 import read_datasets
from qpi_core.maps.limits import MAX_VALUES
from qpi_core.maps.scan_map import MapContent

MAT_5_MAGIC = b"MATLAB 5.0 MAT-file"
MAT_73_MAGIC = b"MATLAB 7.3 MAT-file"


def read_mat(content: bytes, name: str) -> MapContent:
    """Read every numeric array: (height, width), or (height, width, energies) as MATLAB users store stacks.

    Raises:
        InputError: damaged, larger than MAX_VALUES, or without a map.
    """
    arrays = _version_73(content, name) if content.startswith(MAT_73_MAGIC) else _version_5(content, name)
    stacked = {key: np.moveaxis(array, 2, 0) if array.ndim == 3 else array for key, array in arrays.items()}
    vectors = {key: array.reshape(-1) if array.ndim == 2 and min(array.shape) == 1 else array for key, array in stacked.items()}
    return content_of_arrays(vectors, name)


def _version_5(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    from scipy import io

    try:
        listed = io.whosmat(BytesIO(content))
        if sum(int(np.prod(shape, dtype=object)) for _, shape, _ in listed) > MAX_VALUES:
            raise InputError(f"{name} holds more than {MAX_VALUES} values; save the map alone in a file.")
        wanted = [key for key, shape, kind in listed if kind not in ("cell", "struct", "object", "char", "function", "opaque", "unknown")]
        loaded = io.loadmat(BytesIO(content), variable_names=wanted)
    except InputError:
        raise
    except Exception as error:  # SciPy reports damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete MATLAB file. Save it again.") from error
    return {key: loaded[key] for key in wanted if isinstance(loaded.get(key), np.ndarray) and loaded[key].dtype.kind in "fiub"}


def _version_73(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a 7.3 file; HDF5 sees MATLAB's axes in reverse."""
    return {key: array.T for key, array in read_datasets(content, name).items() if not key.startswith("#")}
