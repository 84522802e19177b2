"""Createc scans (.dat): text header of 16 KiB, then planes of raw DAC values, usually in one zlib stream.

Layout and scales after the files themselves and Gwyddion's import module. Two checks on real files fix the scales: the current
channel then equals the set point in the header, and a metal's steps have the height of one atomic layer. The header's own
Dacto[A]z leaves out the gain of the z amplifier.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import require_plausible_packing, require_plausible_size
from qpi_core.maps.readers.shared.names import unique_name
from qpi_core.maps.readers.shared.two_statements import two_energies
from qpi_core.maps.scan_map import MapArray, MapContent

CREATEC_MAGICS = (b"[Parameter]", b"[Paramet32]", b"[Paramco32]")
_HEADER_BYTES = 16384
_DAC_RANGE_V = 20.0
_MAX_CHANNELS = 64
_CHUNK = 2**20


def read_createc(content: bytes, name: str) -> MapContent:
    """Read a Createc scan: forward planes first, then backward ones; z in m, current in A, other channels in raw DAC values.

    Rows that were not scanned (cut off, or zero in every plane) are NaN.

    Raises:
        InputError: a header that is incomplete, or no data at all.
    """
    header = _header(content)
    width, height = (_whole(header, key, name) for key in ("Num.X", "Num.Y"))
    channels = _whole(header, "Channels", name) if "Channels" in header else 1
    if channels > _MAX_CHANNELS:
        raise InputError(f"{name} declares {channels} channels; a Createc scan has at most {_MAX_CHANNELS}, so the header is damaged.")
    require_plausible_size(name, (channels, height, width))
    raw = _planes(content, (channels, height, width), name)
    bits = int(_number(header, "DAC-Type", 20.0)) if not content.startswith(CREATEC_MAGICS[0]) else 16
    volt_per_dac = _DAC_RANGE_V / 2 ** min(max(bits, 8), 32)
    scales = {
        "Z": (volt_per_dac * _number(header, "GainZ", 1.0) * _number(header, "ZPiezoconst", 1.0) * 1e-10, "m"),
        "Current": (volt_per_dac / 10 ** min(_number(header, "Gainpreamp", 9.0), 30.0), "A"),
    }
    values: dict[str, MapArray] = {}
    units: dict[str, str] = {}
    for plane, (signal, backward) in zip(raw, _signals(header, channels), strict=True):
        scale, unit = scales.get(signal, (1.0, "DAC"))
        title = unique_name(f"{signal} [bwd] ({unit})" if backward else f"{signal} ({unit})", values)
        values[title] = (plane * np.float64(scale)).astype(np.float32)[np.newaxis]
        units[title] = unit
    biases = [_number(header, key, float("nan")) for key in ("Biasvolt[mV]", "BiasVoltage")]
    bias = biases[0] if np.isfinite(biases[0]) else biases[1]
    return MapContent(
        values=values,
        units=units,
        bias_mv=np.array([bias]),
        pixel_size_nm=_pixel_size_nm(header, width, height),
        angle_deg=_number(header, "Rotation", 0.0),
        metadata=header,
        warnings=two_energies("Biasvolt[mV]", biases[0], "BiasVolt.[mV]", biases[1]),
    )


def _header(content: bytes) -> dict[str, str]:
    """Return the entries "short / long=value" under their short name."""
    text = content[: _stream_start(content)].decode("latin-1")
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        short = key.split(" / ")[0].strip()
        if equals and short:
            entries.setdefault(short, value.strip())
    return entries


def _planes(content: bytes, sides: tuple[int, int, int], name: str) -> NDArray[np.float32]:
    """Return the raw planes (channels, height, width), NaN where the data end or rows are zero in all planes."""
    count = int(np.prod(sides))
    if content.startswith(CREATEC_MAGICS[2]):
        require_plausible_packing(name, 4 * count, len(content))
        data, start, dtype, item = _decompress(content[_stream_start(content) :], 4 * (count + 1)), 4, "<f4", 4
    elif content.startswith(CREATEC_MAGICS[1]):
        data, start, dtype, item = content, _HEADER_BYTES + 4, "<f4", 4
    else:
        data, start, dtype, item = content, _HEADER_BYTES + 2, "<i2", 2
    held = min(max(len(data) - start, 0) // item, count)
    if held < sides[2]:
        raise InputError(f"{name} holds a Createc header but not one line of data; the file is cut off or damaged, so copy it again.")
    require_plausible_size(name, sides, held)
    planes = np.full(sides, np.nan, dtype=np.float32)
    planes.reshape(-1)[:held] = np.frombuffer(data, dtype, count=held, offset=start)
    planes[:, ((planes == 0) | np.isnan(planes)).all(axis=(0, 2))] = np.nan
    return planes


def _stream_start(content: bytes) -> int:
    """Return where the zlib stream begins: after the word DATA, else after the header's full length."""
    match = re.search(rb"DATA(?=\x78[\x01\x5e\x9c\xda])", content[: _HEADER_BYTES + 64])
    return match.end() if match else _HEADER_BYTES


def _decompress(stream: bytes, limit: int) -> bytes:
    """Return at most `limit` bytes of a zlib stream, as far as it can be read."""
    inflater = zlib.decompressobj()
    pieces: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(stream), _CHUNK):
            piece = inflater.decompress(stream[start : start + _CHUNK], limit - size)
            pieces.append(piece)
            size += len(piece)
            if size >= limit or inflater.eof:
                break
    except zlib.error:
        return b"".join(pieces)
    return b"".join(pieces)


def _signals(header: dict[str, str], channels: int) -> list[tuple[str, bool]]:
    """Return (signal, backward) of every plane: the bits of Channelselectval name the signals, both directions or one."""
    selected = int(_number(header, "Channelselectval", 0.0))
    bits = [bit for bit in range(32) if selected >> bit & 1] if 0 < selected < 2**32 else []
    if len(bits) not in (channels, channels / 2):
        bits = list(range(channels // 2)) if channels % 2 == 0 else list(range(channels))
    signals = [("Z", "Current")[bit] if bit < 2 else f"Channel bit {bit}" for bit in bits]
    forward = [(signal, False) for signal in signals]
    return (forward + [(signal, True) for signal in signals])[:channels]


def _pixel_size_nm(header: dict[str, str], width: int, height: int) -> tuple[float, float] | None:
    size_x, size_y = (_number(header, key, float("nan")) / 10 for key in ("Length x[A]", "Length y[A]"))
    return (size_y / height, size_x / width) if size_x > 0 and size_y > 0 else None


def _whole(header: dict[str, str], key: str, name: str) -> int:
    text = header.get(key, "")
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"{name} has no usable entry '{key}' in its Createc header (a whole number is needed); the file is damaged.")
    return int(text)


def _number(header: dict[str, str], key: str, missing: float) -> float:
    match = re.match(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", header.get(key, "").replace(",", "."))
    return float(match[0]) if match else missing
