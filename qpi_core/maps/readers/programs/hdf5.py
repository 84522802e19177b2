"""HDF5 and NeXus files (.h5, .hdf5, .nxs) through h5py, an optional package; links out of the file are never followed."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import BIAS_KEYS, PIXEL_SIZE_KEYS, content_of_arrays
from qpi_core.maps.readers.shared.limits import MAX_VALUES, require_plausible_packing
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.readers.shared.stack_axes import bias_in_mv, energy_axis, steps_nm
from qpi_core.maps.readers.shared.two_statements import two_energies, two_sizes
from qpi_core.maps.scan_map import MapContent

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DATASETS = 1000


def read_hdf5(content: bytes, name: str) -> MapContent:
    """Read every numeric dataset: 2-D and 3-D ones of one size are channels; `bias_mv`, `pixel_size_nm` as in .npz.

    The first of three dimensions counts the energies, unless a list of as many energies, or else a square map, says that the last one
    does. A vector named bias, energy or voltage with a unit gives the energies, even vectors x and y with a unit of length the pixel size.

    Raises:
        InputError: h5py missing, damaged, larger than MAX_VALUES, or without a map.
    """
    datasets = read_datasets(content, name)
    arrays = {key: array for key, (array, _) in datasets.items()}
    vectors = {key: (array.astype(np.float64), unit) for key, (array, unit) in datasets.items() if array.ndim == 1 and array.size > 1}
    known = {key: bias for key, (values, unit) in vectors.items() if (bias := bias_in_mv(key, unit, values)) is not None}
    stacks = [array for array in arrays.values() if array.ndim == 3]
    lengths = [len(bias) for bias in known.values()] or [len(values) for key, (values, _) in vectors.items() if not _is_place(key)]
    energies = next((length for length in lengths if any(length in (stack.shape[0], stack.shape[2]) for stack in stacks)), None)
    for key in list(arrays):
        if arrays[key].ndim == 3:
            height, width, last = arrays[key].shape
            usual = 2 if energies is None and height == width != last > 1 else 0
            arrays[key] = np.moveaxis(arrays[key], energy_axis(arrays[key].shape, energies, usual), 0)
        elif key in known or (key in vectors and _is_place(key)):
            del arrays[key]
    fitting = next((bias for bias in known.values() if len(bias) == energies), None)
    said: list[str] = []
    if fitting is not None:
        arrays[BIAS_KEYS[0]] = fitting
        names = [key for key, bias in known.items() if len(bias) == energies]
        said += [text for key in names[1:] for text in two_energies(names[0], fitting, key, known[key])]
    shapes = (array.shape for array in arrays.values() if array.ndim in (2, 3))
    largest = max(shapes, key=lambda sides: sides[-2] * sides[-1], default=(0, 0))
    steps = steps_nm(vectors, largest)
    if not any(key.rpartition("/")[2] in PIXEL_SIZE_KEYS for key in arrays) and steps:
        arrays[PIXEL_SIZE_KEYS[0]] = np.array(steps)
    found = content_of_arrays(arrays, name, {key: unit for key, (_, unit) in datasets.items()})
    said += two_sizes(PIXEL_SIZE_KEYS[0], found.pixel_size_nm, "the vectors x and y", steps)
    return replace(found, warnings=(*said, *found.warnings))


def read_datasets(content: bytes, name: str) -> dict[str, tuple[NDArray[Any], str]]:
    """Return (values, unit) of every numeric dataset of at most three dimensions that lies in the file itself, by its path.

    Raises:
        InputError: h5py missing, damaged, or larger than MAX_VALUES.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{name} is an HDF5 file; reading it needs the package h5py: python -m pip install h5py.") from None
    try:
        with h5py.File(BytesIO(content), "r") as file:
            found: list[Any] = []
            file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
            usable = [item for item in found[:_MAX_DATASETS] if _usable(item)]
            if sum(int(item.size) for item in usable) > MAX_VALUES:
                raise InputError(f"{name} holds more than {MAX_VALUES} values; save the map alone in a file.")
            require_plausible_packing(name, sum(int(item.nbytes) for item in usable), len(content))
            return {item.name.strip("/"): (np.asarray(item[()]), _unit(item)) for item in usable}
    except InputError:
        raise
    except Exception as error:  # the HDF5 library reports damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete HDF5 file. Save it again.") from error


def _usable(dataset: Any) -> bool:
    inside = dataset.external is None and not dataset.is_virtual
    return bool(inside and dataset.dtype.kind in "fiub" and len(dataset.shape) <= 3 and dataset.size)


def _unit(dataset: Any) -> str:
    unit = dataset.attrs.get("units", dataset.attrs.get("unit", ""))
    return decoded(unit) if isinstance(unit, bytes) else unit if isinstance(unit, str) else ""


def _is_place(key: str) -> bool:
    return key.rpartition("/")[2].lower() in ("x", "y")
