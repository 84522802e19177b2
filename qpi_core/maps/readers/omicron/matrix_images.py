"""One image or volume of a Matrix session: 32-bit counts in the order of the scan, scaled with the session's settings."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.omicron.matrix_parameters import MATRIX_MAGIC, MatrixState, Setting
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.scan_map import MapArray

_SIZES = (("Points", "X_Points"), ("Lines", "Y_Points"))
_SWEEP_UNITS = {"V": "volt", "Z": "meter"}
_UNIT_NAMES = {"volt": "V", "ampere": "A", "meter": "m", "hertz": "Hz"}


@dataclass(frozen=True)
class MatrixPass:
    """One pass of a scan over one channel.

    Attributes:
        title: channel and direction.
        unit: "" where the scale is unknown and the values are the instrument's counts.
        values: (energies, height, width) with the top of the frame first; NaN = not scanned.
        bias_mv: (energies,).
        pixel_size_nm: (dy, dx), None where the session does not say.
        angle_deg: rotation of the frame, degrees clockwise.
    """

    title: str
    unit: str
    values: MapArray
    bias_mv: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    angle_deg: float


def read_passes(content: bytes, channel: str, state: MatrixState, name: str) -> list[MatrixPass] | None:
    """Return the passes of one file, None for a curve at one point.

    Args:
        content: of the file.
        channel: as the file's name says, "Z" or "I(V)".
        state: of the session when the file was written.
        name: of the file, for messages.

    Raises:
        InputError: damaged, or not one line of the image.
    """
    swept = "(" in channel
    if swept and not _number(state, "XYScanner.Enable_Subgrid"):
        return None
    points, lines = (_number(state, f"XYScanner.{key}") or _number(state, f"XYScanner.{old}") for key, old in _SIZES)
    steps = [max(_number(state, f"XYScanner.Subgrid_{axis}"), 1.0) if swept else 1.0 for axis in "XY"]
    height, width = ceil(lines / steps[1]), ceil(points / steps[0])
    traces, passes = _directions(state, swept)
    counts = _counts(content, name)
    bias, sweeps = np.array([_number(state, "GapVoltageControl.Voltage", np.nan) * 1e3]), 1
    if swept:
        bias, sweeps = _sweep(state, channel, len(counts))
    sides = (passes, height, len(traces), width, sweeps, len(bias))
    require_plausible_size(name, sides, len(counts))
    held = min(len(counts), prod(sides))
    if held < width * sweeps * len(bias):
        raise InputError(f"{name} holds not one line of the image that its result file describes; it is cut off, so copy it again.")
    flat = np.full(prod(sides), np.nan)
    flat[:held] = _scaled(counts[:held], state, channel)
    frame = (_unit(state, channel), bias, _pixel_size(state, height, width), -_number(state, "XYScanner.Angle"))
    return _split(flat.reshape(sides), channel, traces, frame)


def _split(
    data: NDArray[np.float64],
    channel: str,
    traces: list[bool],
    frame: tuple[str, NDArray[np.float64], tuple[float, float] | None, float],
) -> list[MatrixPass]:
    """Return every pass of (passes, height, traces, width, sweeps, energies) that was begun, turned as the frame lies.

    The scan starts upwards from the bottom; backward lines and sweeps are stored in the order of time.
    """
    unit, bias, pixel_size, angle = frame
    found: list[MatrixPass] = []
    for down in range(data.shape[0]):
        for number, backward in enumerate(traces):
            for sweep in range(data.shape[4]):
                part = data[down, :: 1 if down else -1, number, :: -1 if backward else 1, sweep, :: -1 if sweep else 1]
                if np.isfinite(part).any():
                    title = channel + (" [down]" if down else "") + (" [bwd]" if backward else "") + (" [bwd sweep]" if sweep else "")
                    found.append(MatrixPass(title, unit, np.ascontiguousarray(np.moveaxis(part, 2, 0)), bias, pixel_size, angle))
    return found


def _pixel_size(state: MatrixState, height: int, width: int) -> tuple[float, float] | None:
    zoom = max(_number(state, "XYScanner.Zoom", 1.0), 1.0)
    dy, dx = (_number(state, f"XYScanner.{key}") / zoom / count * 1e9 for key, count in (("Height", height), ("Width", width)))
    return (dy, dx) if dy > 0 and dx > 0 else None


def _directions(state: MatrixState, swept: bool) -> tuple[list[bool], int]:
    """Return whether each line of the file is a backward one, and the number of passes (up, then down)."""
    constraint = _number(state, "XYScanner.Grid_Mode", _number(state, "XYScanner.Scan_Constraint"))
    retrace = bool(_number(state, "XYScanner.X_Retrace", float(constraint < 2)))
    again = bool(_number(state, "XYScanner.Y_Retrace", float(constraint < 1)))
    traces = [False, True] if retrace else [False]
    if swept and retrace and (mode := _number(state, "XYScanner.Subgrid_Match_Mode")):
        traces = [mode != 1]
    return traces, 1 + again


def _sweep(state: MatrixState, channel: str, held: int) -> tuple[NDArray[np.float64], int]:
    """Return the energies of a volume in mV (NaN where it swept something else) and the number of sweeps, there or there and back."""
    axis = channel.partition("(")[2][:1]
    first = state.settings.get("Spectroscopy.Device_1_Start", (0.0, ""))[1].lower()
    device = f"Spectroscopy.{{}}Device_{1 if first == _SWEEP_UNITS.get(axis, first) else 2}{{}}"
    points = int(min(max(_number(state, device.format("", "_Points")), 1.0), held + 1))  # one curve more than there is: not a line
    ends = [_number(state, device.format("", end), np.nan) for end in ("_Start", "_End")]
    bias = np.full(points, np.nan)
    if axis == "V":
        bias[:] = np.linspace(ends[0], ends[1], points) * 1e3
    return bias, 1 + bool(_number(state, device.format("Enable_", "_Ramp_Reversal")))


def _counts(content: bytes, name: str) -> NDArray[np.int32]:
    """Return the counts of an image file, as far as they are there."""
    if not content.startswith(MATRIX_MAGIC):
        raise InputError(f"{name} does not begin as a Matrix image does; it is damaged or renamed.")
    start = len(MATRIX_MAGIC) + 20  # the outer block's name, length, time and one word
    while start + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, start)
        if kind == b"ATAD":
            return np.frombuffer(content, "<i4", count=min(size, len(content) - start - 8) // 4, offset=start + 8)
        start += 8 + size
    raise InputError(f"{name} holds no image data; it is cut off or damaged, so copy it again.")


def _scaled(counts: NDArray[np.int32], state: MatrixState, channel: str) -> NDArray[np.float64]:
    known = transfer(state, channel)
    values = counts.astype(np.float64)
    return values if known is None else (values - known[1]) * known[0]


def transfer(state: MatrixState, channel: str) -> tuple[float, float] | None:
    """Return (scale, offset) of a channel: value = (counts - offset) * scale; None where it is unknown."""
    name, values = state.transfers.get(_channel_number(state, channel), ("", {}))
    try:
        if name == "TFF_Linear1D":
            scale = 1 / values["Factor"]
        elif name == "TFF_MultiLinear1D":
            scale = (values["Raw_1"] - values["PreOffset"]) / (values["NeutralFactor"] * values["PreFactor"])
        else:
            return None
        return (scale, values["Offset"]) if np.isfinite([scale, values["Offset"]]).all() else None
    except (KeyError, ZeroDivisionError):
        return None


def _channel_number(state: MatrixState, channel: str) -> int:
    return max((number for number, (name, _) in state.channels.items() if name == channel), default=-1)


def _unit(state: MatrixState, channel: str) -> str:
    if transfer(state, channel) is None:
        return ""
    unit = state.channels[_channel_number(state, channel)][1]
    return _UNIT_NAMES.get(unit.lower(), unit)


def _number(state: MatrixState, key: str, missing: float = 0.0) -> float:
    value: Setting = state.settings.get(key, (missing, ""))[0]
    return value if isinstance(value, float) and np.isfinite(value) else missing
