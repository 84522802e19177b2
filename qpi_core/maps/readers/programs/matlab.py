"""MATLAB files (.mat): version 5 to 7, and version 7.3 (HDF5 inside) through h5py.

Versions 5 to 7 are read here and not with scipy.io.loadmat, which can crash the whole process on a damaged file (SciPy 1.17).
Format: MathWorks, "MAT-File Format".
"""

from __future__ import annotations

import struct
import zlib
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import BIAS_KEYS, content_of_arrays
from qpi_core.maps.readers.programs.hdf5 import read_datasets
from qpi_core.maps.readers.shared.limits import MAX_VALUES, plausible_unpacked_bytes, require_plausible_packing, require_plausible_size
from qpi_core.maps.readers.shared.stack_axes import bias_in_mv, energy_axis
from qpi_core.maps.scan_map import MapContent

MAT_5_MAGIC = b"MATLAB 5.0 MAT-file"
MAT_73_MAGIC = b"MATLAB 7.3 MAT-file"
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)
_DOUBLE_CLASS = 6
_STRUCTURE_CLASS = 2
_MAX_DEPTH = 8
_COMPLEX = 0x0800
_STORED_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


class _DamagedError(Exception):
    """The bytes do not follow the format."""


def read_mat(content: bytes, name: str) -> MapContent:
    """Read every numeric array: (height, width), or (height, width, energies) as MATLAB users store stacks.

    Where `bias` or `bias_mv` has as many entries as the first of three dimensions and not as the last, the first counts the energies.

    Raises:
        InputError: damaged, larger than MAX_VALUES, or without a map.
    """
    arrays = _version_73(content, name) if content.startswith(MAT_73_MAGIC) else _version_5(content, name)
    named = (*BIAS_KEYS, *(key for key in arrays if bias_in_mv(key, "", np.zeros(1)) is not None))
    energies = next((array.size for key, array in arrays.items() if key in named or key.rpartition("/")[2] in named), None)
    stacked = {
        key: np.moveaxis(array, energy_axis(array.shape, energies, usual=2), 0) if array.ndim == 3 else array
        for key, array in arrays.items()
    }
    vectors = {key: array.reshape(-1) if array.ndim == 2 and min(array.shape) == 1 else array for key, array in stacked.items()}
    return content_of_arrays(vectors, name)


def _version_5(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return the real numeric arrays of a version 5 to 7 file, "structure/field" for those in a structure; the rest is passed over."""
    order = ">" if content[126:128] == b"MI" else "<"
    arrays: dict[str, NDArray[Any]] = {}
    start = _HEADER_BYTES
    try:
        while start + 8 <= len(content):
            kind, body, start = _element(content, start, order)
            if kind == _COMPRESSED:
                kind, body, _ = _element(_inflate(body, name), 0, order)
            if kind == _MATRIX:
                arrays.update(_matrix(body, order, name))
    except (_DamagedError, struct.error, zlib.error) as error:
        raise InputError(f"{name} is cut off or damaged: it is not a complete MATLAB file. Save it again.") from error
    return arrays


def _element(data: bytes, start: int, order: str) -> tuple[int, bytes, int]:
    """Return (type, content, where the next element begins) of the data element at start."""
    kind, size = struct.unpack_from(order + "II", data, start)
    if kind >> 16:  # a small element: size and type share one word, the content follows in the next
        kind, size, begin, step = kind & 0xFFFF, kind >> 16, start + 4, 8
    else:
        begin, step = start + 8, 8 + (size if kind == _COMPRESSED else size + -size % 8)
    if begin + size > len(data) or (step == 8 and size > 8):
        raise _DamagedError
    return kind, data[begin : begin + size], start + step


def _inflate(body: bytes, name: str) -> bytes:
    inflater = zlib.decompressobj()
    most = min(8 * MAX_VALUES, plausible_unpacked_bytes(len(body)))
    data = inflater.decompress(body, most)
    if not inflater.eof:
        if inflater.unconsumed_tail:
            require_plausible_packing(name, most + 1, len(body))
            raise InputError(f"{name} unpacks to more than {MAX_VALUES} values; save the map alone in a file.")
        raise _DamagedError
    return data


def _matrix(body: bytes, order: str, name: str, within: str = "", depth: int = 0) -> dict[str, NDArray[Any]]:
    """Return {name: array} of a matrix element, of all fields of a single structure, {} where it holds no real numbers."""
    _, flags, start = _element(body, 0, order)
    _, sides_bytes, start = _element(body, start, order)
    _, title, start = _element(body, start, order)
    if len(flags) < 4 or len(sides_bytes) < 8:
        raise _DamagedError
    flag = int(np.frombuffer(flags, order + "u4", count=1)[0])
    key = within or title.decode("latin-1")
    if flag & 0xFF == _STRUCTURE_CLASS and depth < _MAX_DEPTH and np.frombuffer(sides_bytes[:8], order + "i4").tolist() == [1, 1]:
        return _fields(body, start, order, name, key, depth)
    if flag & 0xFF not in _NUMERIC_CLASSES or flag & _COMPLEX:
        return {}
    kind, values, _ = _element(body, start, order)
    sides = tuple(int(side) for side in np.frombuffer(sides_bytes, order + "i4", count=len(sides_bytes) // 4))
    if 0 in sides:
        return {}
    require_plausible_size(name, sides)
    dtype = np.dtype(order + _STORED_TYPES[kind]) if kind in _STORED_TYPES else None
    if dtype is None or len(values) < prod(sides) * dtype.itemsize:
        raise _DamagedError
    array = np.frombuffer(values, dtype, count=prod(sides)).reshape(sides, order="F")
    # MATLAB stores whole numbers in the smallest type that holds them, whatever the class of the array.
    return {key: array.astype(np.float64 if flag & 0xFF == _DOUBLE_CLASS else dtype.newbyteorder("="))}


def _fields(body: bytes, start: int, order: str, name: str, within: str, depth: int) -> dict[str, NDArray[Any]]:
    """Return the arrays in a structure: the length of a field's name, all names, then one matrix a field."""
    _, length_bytes, start = _element(body, start, order)
    _, names, start = _element(body, start, order)
    length = int(np.frombuffer(length_bytes[:4], order + "i4")[0]) if len(length_bytes) >= 4 else 0
    if length < 1:
        raise _DamagedError
    arrays: dict[str, NDArray[Any]] = {}
    for place in range(0, len(names), length):
        _, field, start = _element(body, start, order)
        if field:
            title = names[place : place + length].split(b"\0")[0].decode("latin-1")
            arrays.update(_matrix(field, order, name, f"{within}/{title}", depth + 1))
    return arrays


def _version_73(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a 7.3 file; HDF5 sees MATLAB's axes in reverse."""
    return {key: array.T for key, (array, _) in read_datasets(content, name).items() if not key.startswith("#")}
