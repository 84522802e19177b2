"""NumPy files: .npy (one layer or a stack) and .npz (channels, stacks, bias and pixel size)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import MAX_VALUES, require_plausible_packing, require_plausible_size
from qpi_core.maps.readers.shared.names import is_companion
from qpi_core.maps.readers.shared.stack_axes import bias_in_mv, energy_axis
from qpi_core.maps.readers.shared.two_statements import two_energies
from qpi_core.maps.scan_map import MapArray, MapContent

_MAX_MEMBERS = 1000
_MAX_ITEM_BYTES = 16
_LIKELY_VOLTS = 3.0
BIAS_KEYS = ("bias_mv", "bias_mV", "bias")
"""Names of arrays that hold the energies in mV."""

PIXEL_SIZE_KEYS = ("pixel_size_nm",)
"""Names of arrays that hold (dy, dx)."""


def read_npy(content: bytes, name: str) -> MapContent:
    """Read a .npy file: (height, width), or (energies, height, width).

    Raises:
        InputError: damaged, cut off, not numeric, or neither 2-D nor 3-D.
    """
    values, note = as_stack(read_npy_array(content, name, as_far_as_real=True), name)
    return MapContent(values={"data": values}, notes=(note,) if note else ())


def read_npz(content: bytes, name: str) -> MapContent:
    """Read a .npz file: every 2-D or 3-D array of one (height, width) is a channel; `bias_mv` and `pixel_size_nm` are taken as such.

    Raises:
        InputError: damaged, encrypted, larger inside than MAX_VALUES, or without a map.
    """
    arrays, notes = _read_members(content, name)
    found = content_of_arrays(arrays, name)
    return replace(found, notes=(*found.notes, *notes))


def content_of_arrays(arrays: dict[str, NDArray[Any]], name: str, units: Mapping[str, str] | None = None) -> MapContent:
    """Return the maps among named arrays: every 2-D or 3-D one of the largest one's (height, width), with bias_mv and pixel_size_nm.

    Maps of other sizes are contents of their own.

    Of three dimensions the first counts the energies, unless bias_mv has as many entries as the last one.

    Raises:
        InputError: no map among them, or a bias or pixel size that does not fit.
    """
    arrays = dict(arrays)
    bias, about_bias = _take_bias(arrays)
    pixel_size = _taken(arrays, PIXEL_SIZE_KEYS, lambda array: array.size <= 2)
    arrays = {key: _energies_first(array, bias) for key, array in arrays.items()}
    notes = [f"Array {key!r} of shape {a.shape} was left out: it is not a map." for key, a in arrays.items() if a.ndim not in (0, 2, 3)]
    maps = {key: array for key, array in arrays.items() if array.ndim in (2, 3)}
    if not maps:
        raise InputError(f"{name} holds no map: it needs an array of shape (height, width) or (energies, height, width).")
    by_size: dict[tuple[int, ...], dict[str, MapArray]] = {}
    for key, array in maps.items():
        by_size.setdefault(array.shape[-2:], {})[key], note = as_stack(array, f"{key} in {name}")
        notes += [note] if note else []
    values, *others = sorted(by_size.values(), key=lambda group: -next(iter(group.values()))[0].size)
    energies = max(len(stack) for stack in values.values())
    for key in [key for key, stack in values.items() if len(stack) not in (1, energies)]:
        notes.append(f"Array {key!r} was left out: it has {len(values.pop(key))} layers where the largest stack has {energies}.")
    return MapContent(
        values=values,
        units={key: (units or {}).get(key, "") for key in values},
        bias_mv=_bias(bias, energies, name),
        pixel_size_nm=_pixel_size(pixel_size, name),
        notes=tuple(notes),
        warnings=about_bias,
        others=tuple(_of_one_size(group, units or {}) for group in others),
    )


def _of_one_size(group: dict[str, MapArray], units: Mapping[str, str]) -> MapContent:
    """Return maps of another size, those with the most layers and those with one."""
    energies = max(len(stack) for stack in group.values())
    values = {key: stack for key, stack in group.items() if len(stack) in (1, energies)}
    return MapContent(values, {key: units.get(key, "") for key in values})


def read_npy_array(content: bytes, name: str, as_far_as_real: bool = False) -> NDArray[Any]:
    """Return the array of a .npy file after checking its header against the bytes that are there; nothing is unpickled.

    Args:
        content: of the file.
        name: of the file, for messages.
        as_far_as_real: fill a file that is cut off with NaN, if at least one line of it is there, instead of refusing it.

    Raises:
        InputError: damaged, cut off, or of a type that is not a real number.
    """
    stream = BytesIO(content)
    try:
        version = npy_format.read_magic(stream)
        read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
    except Exception as error:  # numpy parses the header as Python text: a damaged one fails in many ways
        raise InputError(f"{name} is not a complete .npy file: its header cannot be read. Save the array again with numpy.save.") from error
    if dtype.kind == "O":
        raise InputError(f"{name} holds Python objects, which are never unpickled; save a plain array of numbers with numpy.save.")
    if dtype.kind not in "fiub" or dtype.itemsize > _MAX_ITEM_BYTES:
        raise InputError(f"{name} holds values of type {dtype}, but a map needs real numbers; convert it first.")
    sides = tuple(int(side) for side in shape)
    require_plausible_size(name, sides or (1,))
    start = stream.tell()
    count = int(np.prod(sides, dtype=np.int64))
    held = (len(content) - start) // dtype.itemsize
    if held < count and as_far_as_real and len(sides) > 1 and held >= sides[-1]:
        require_plausible_size(name, sides, held)
        filled = np.full(count, np.nan)
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN here too
            filled[:held] = np.frombuffer(content, dtype=dtype, count=held, offset=start)
        return filled.reshape(sides, order="F" if fortran_order else "C")
    if held < count:
        raise InputError(f"{name} is cut off: it declares {count} values and holds {held}. Copy or export it again.")
    array = np.frombuffer(content, dtype=dtype, count=count, offset=start)
    return array.reshape(sides, order="F" if fortran_order else "C")


def as_stack(array: NDArray[Any], name: str) -> tuple[MapArray, str]:
    """Return a 2-D or 3-D array of real numbers as a float stack (energies, height, width) and a note on its axes, "" for 2-D.

    Raises:
        InputError: another number of dimensions, or a colour image.
    """
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} holds values of type {array.dtype}, but a map needs real numbers.")
    if array.ndim not in (2, 3):
        raise InputError(f"{name} has shape {array.shape}; a map needs 2 dimensions (height, width) or 3 (energies, height, width).")
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[0] > 4:
        raise InputError(f"{name} has shape {array.shape}, which looks like a colour image; save one number a pixel, (height, width).")
    values = to_float(array)
    if array.ndim == 2:
        return values[np.newaxis], ""
    if array.shape[0] == 1:
        return values, ""
    energies, height, width = array.shape
    return values, f"Three dimensions were read as (energies, height, width): {energies} layers of {width} x {height} pixels."


def to_float(array: NDArray[Any]) -> MapArray:
    """Return float64 for float64 and wide integers, float32 for everything else, in native byte order."""
    wide = array.dtype.itemsize >= (8 if array.dtype.kind == "f" else 4)
    with np.errstate(over="ignore", invalid="ignore"):
        result: MapArray = np.ascontiguousarray(array, dtype=np.float64 if wide else np.float32)
    return result


def _taken(arrays: dict[str, NDArray[Any]], names: tuple[str, ...], fits: Callable[[NDArray[Any]], bool]) -> NDArray[Any] | None:
    """Remove and return the first fitting array of one of the names, wherever it lies (a/b/name)."""
    key = next((key for name in names for key in arrays if key.rpartition("/")[2] == name and fits(arrays[key])), None)
    return None if key is None else arrays.pop(key)


def _take_bias(arrays: dict[str, NDArray[Any]]) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """Remove the energies and return them in mV, with sentences on what to beware of: a second list that differs, or a likely unit of V.

    A list is known by its name: bias_mv, bias (mV by convention), or a name of an energy with its unit, such as energy_meV or bias_V.
    """
    lists: list[tuple[str, NDArray[Any]]] = []
    while (key := next((key for name in BIAS_KEYS for key in arrays if _named(key, name) and arrays[key].ndim <= 1), None)) is not None:
        lists.append((key, arrays.pop(key)))
    for key in [key for key, array in arrays.items() if array.ndim <= 1 and bias_in_mv(key, "", np.zeros(1)) is not None]:
        values = bias_in_mv(key, "", arrays.pop(key).astype(np.float64))
        lists += [] if values is None else [(key, values)]
    if not lists:
        return None, ()
    (taken, bias), *others = lists
    said = [sentence for other, values in others for sentence in two_energies(taken, bias, other, values)]
    largest = float(np.abs(bias).max(initial=0.0)) if np.isfinite(bias).all() else 0.0
    if taken.rpartition("/")[2] == "bias" and 0 < largest < _LIKELY_VOLTS:
        first, last = bias.reshape(-1)[[0, -1]]
        said.append(f"The list {taken!r} has no unit and was read as mV ({first:.6g} to {last:.6g} mV); if it is in V, name it bias_V.")
    return bias, tuple(said)


def _named(key: str, name: str) -> bool:
    return key.rpartition("/")[2] == name


def _energies_first(array: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    if array.ndim != 3 or bias is None:
        return array
    return np.moveaxis(array, energy_axis(array.shape, bias.size, usual=0), 0)


def _read_members(content: bytes, name: str) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays of real numbers, and a note for each other one; the first one's error where there is no array at all."""
    arrays: dict[str, NDArray[Any]] = {}
    errors: list[InputError] = []
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy") and not is_companion(member.filename)]
            if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > 8 * MAX_VALUES:
                raise InputError(f"{name} unpacks to more than {MAX_VALUES} values; save fewer or smaller arrays.")
            require_plausible_packing(name, sum(member.file_size for member in members), len(content))
            if not members:
                raise InputError(f"{name} is a ZIP archive without any .npy array or Omicron Matrix file in it; load the map's own file.")
            for member in members:
                try:
                    arrays[member.filename[:-4]] = read_npy_array(archive.read(member), f"{member.filename} in {name}")
                except InputError as error:
                    errors.append(error)
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib report damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete ZIP archive, which .npz files are. Save it again.") from error
    if errors and not arrays:
        raise errors[0]
    return arrays, [f"One array was left out: {error}" for error in errors]


def _bias(bias: NDArray[Any] | None, energies: int, name: str) -> NDArray[np.float64] | None:
    if bias is None:
        return None
    if bias.size != energies:
        raise InputError(f"bias_mv in {name} has {bias.size} entries, but the stack has {energies} layers; give one bias a layer.")
    return bias.reshape(-1).astype(np.float64)


def _pixel_size(pixel_size: NDArray[Any] | None, name: str) -> tuple[float, float] | None:
    if pixel_size is None:
        return None
    numbers = pixel_size.reshape(-1).astype(np.float64)
    if not (numbers.size and np.isfinite(numbers).all() and (numbers > 0).all()):
        raise InputError(f"pixel_size_nm in {name} must be one or two positive numbers (dy, dx) in nm.")
    return float(numbers[0]), float(numbers[-1])
