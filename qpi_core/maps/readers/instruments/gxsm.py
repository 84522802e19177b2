"""Gxsm scans (.nc, netCDF 3): one channel a file, (time, value, y, x), with lengths in Angstrom whatever unit is shown.

What the variables mean: core-source/dataio.cpp of Gxsm. netCDF 4 is HDF5 and read as such.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.readers.shared.two_statements import two_sizes
from qpi_core.maps.readers.shared.units import mv_per_unit
from qpi_core.maps.scan_map import MapContent

NETCDF_MAGICS = (b"CDF\x01", b"CDF\x02")
_FIELDS = ("FloatField", "DoubleField", "H", "ByteField", "Intensity")
_NM_PER_ANGSTROM = 0.1
_FILE_NAME = re.compile(r"-X(?P<way>[pm])-(?P<channel>.+)\.nc$", re.IGNORECASE | re.DOTALL)
_BIAS = re.compile(r".*_hwi_bias|bias", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class _Variable:
    values: NDArray[Any]
    attributes: dict[str, str]


def read_gxsm(content: bytes, name: str) -> MapContent:
    """Read the field of a scan; several values are layers, over the bias where their unit is a voltage.

    Raises:
        InputError: damaged, or a netCDF file without a field of Gxsm.
    """
    variables = _variables(content, name)
    key = next((key for key in _FIELDS if key in variables), None)
    if key is None or variables[key].values.ndim != 4:
        raise InputError(f"{name} is a netCDF file without an image of Gxsm; save the map as .npy or HDF5.")
    field = variables[key]
    times, count, height, width = field.values.shape
    require_plausible_size(name, field.values.shape, field.values.size)
    step = _scalar(variables, "dz")
    values = field.values.reshape(times * count, height, width).astype(np.float64) * (step if np.isfinite(step) and step else 1.0)
    values = values[:, :: -1 if _ascends(variables, "dimy", height) else 1, :: 1 if _ascends(variables, "dimx", width, True) else -1]
    unit = {"AA": "Å", "Ang": "Å"}.get(field.attributes.get("unit", ""), field.attributes.get("unit", ""))
    title = _title(field, name)
    channel = f"{title} ({unit})" if unit else title
    sizes = _scalar(variables, "rangey") * _NM_PER_ANGSTROM, _scalar(variables, "rangex") * _NM_PER_ANGSTROM
    pixel_size = (sizes[0] / height, sizes[1] / width) if all(size > 0 for size in sizes) else None
    places = _steps_nm(variables, height, width)
    # The range may be that from the first pixel to the last.
    to_last = None if pixel_size is None else (sizes[0] / max(height - 1, 1), sizes[1] / max(width - 1, 1))
    of_last = two_sizes("", to_last, "", places)
    return MapContent(
        values={channel: np.ascontiguousarray(values)},
        units={channel: unit},
        bias_mv=_bias_mv(variables, times, count),
        pixel_size_nm=pixel_size or places,
        metadata={key: value for key in ("comment", "title", "type", "dateofscan") if (value := _text(variables, key))},
        notes=(f"{times} times were read as layers.",) if times > 1 else (),
        warnings=two_sizes("rangex and rangey", pixel_size, "the places dimx and dimy", places) if of_last else (),
    )


def _variables(content: bytes, name: str) -> dict[str, _Variable]:
    from scipy.io import netcdf_file

    try:
        with netcdf_file(BytesIO(content), "r", mmap=False, maskandscale=False) as file:
            return {
                key: _Variable(np.array(variable.data), _attributes(variable))
                for key, variable in file.variables.items()
                if key in _FIELDS or int(np.prod(variable.shape, dtype=np.int64)) < 2**20
            }
    except Exception as error:  # the library reports damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete netCDF file. Copy it again.") from error


def _attributes(variable: Any) -> dict[str, str]:
    return {key: decoded(value) for key, value in variable._attributes.items() if isinstance(value, bytes)}


def _scalar(variables: dict[str, _Variable], key: str) -> float:
    found = variables.get(key)
    if found is None or not found.values.size or found.values.dtype.kind not in "fiu":
        return float("nan")
    return float(found.values.reshape(-1)[0])


def _text(variables: dict[str, _Variable], key: str) -> str:
    found = variables.get(key)
    return decoded(found.values.tobytes().split(b"\0")[0]).strip() if found is not None and found.values.dtype.kind == "S" else ""


def _ascends(variables: dict[str, _Variable], key: str, count: int, unknown: bool = False) -> bool:
    """Say whether the places along an axis ascend; y does not in a file of Gxsm, whose first row is the top."""
    found = variables.get(key)
    if found is None or found.values.shape != (count,) or found.values.dtype.kind not in "fiu" or found.values[0] == found.values[-1]:
        return unknown
    return bool(found.values[0] < found.values[-1])


def _mv_of(bias: _Variable) -> float:
    """Return how many mV the unit of a bias is, V where it names none."""
    units = [mv_per_unit(bias.attributes[key]) for key in ("var_unit", "unit", "units") if key in bias.attributes]
    return next((unit for unit in units if not np.isnan(unit)), 1e3)


def _steps_nm(variables: dict[str, _Variable], height: int, width: int) -> tuple[float, float] | None:
    """Return (dy, dx) of the places of rows and columns, None where there are none."""
    steps: list[float] = []
    for key, count in (("dimy", height), ("dimx", width)):
        found = variables.get(key)
        if found is None or found.values.shape != (count,) or found.values.dtype.kind not in "fiu" or count < 2:
            return None
        steps.append(abs(float(found.values[-1]) - float(found.values[0])) / (count - 1) * _NM_PER_ANGSTROM)
    return (steps[0], steps[1]) if all(np.isfinite(step) and step > 0 for step in steps) else None


def _title(field: _Variable, name: str) -> str:
    match = _FILE_NAME.search(name)
    if match is None:
        return field.attributes.get("ZLabel", "") or "value"
    return match["channel"] + (" [bwd]" if match["way"].lower() == "m" else "")


def _bias_mv(variables: dict[str, _Variable], times: int, count: int) -> NDArray[np.float64]:
    """Return the energies: those of the values where their unit is a voltage, else the scan's bias, which is in V."""
    values = variables.get("value")
    factor = np.nan if values is None else mv_per_unit(values.attributes.get("unit", ""))
    if values is not None and count > 1 and times == 1 and not np.isnan(factor) and values.values.shape == (count,):
        return np.asarray(values.values.astype(np.float64) * factor)
    bias = next((_scalar(variables, key) * _mv_of(variables[key]) for key in variables if _BIAS.fullmatch(key)), np.nan)
    return np.full(times * count, bias if times * count == 1 else np.nan)
