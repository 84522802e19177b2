"""Results as Igor Pro binary waves (.ibw), version 5; layout: WaveMetrics, Technical Note 003."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.spectra import kernel_fft

_SINGLE, _DOUBLE = 2, 4
_LONGEST_NAME = 31


def igor_wave(values: ArrayLike, name: str, unit: str = "", axes: tuple[tuple[float, float, str], ...] = (), note: str = "") -> bytes:
    """Return a wave of a map or a stack.

    Igor's first dimension is x and its second y, upwards; the rows are turned, so that the picture stands as it does here.

    Args:
        values: (height, width) or (layers, height, width), real.
        name: of the wave; letters that Igor does not allow become _.
        unit: of the values.
        axes: (start, step, unit) of x, y upwards and the layers, as many as there are dimensions; none counts from 0.
        note: text that goes along.

    Raises:
        InputError: another number of dimensions, or complex values.
    """
    array = np.asarray(values)
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu":
        raise InputError(f"values must be real and of 2 or 3 dimensions, but they have shape {array.shape} and hold {array.dtype}.")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    stored: NDArray[np.generic] = np.ascontiguousarray(array[..., ::-1, :]).astype("<f4" if single else "<f8")
    sides = [*reversed(array.shape), 0, 0][:4]
    starts, steps, units = ([*(axis[k] for axis in axes), *default][:4] for k, default in ((0, [0.0] * 4), (1, [1.0] * 4), (2, [""] * 4)))
    texts = [_utf(text) for text in (unit, *map(str, units))]
    long = [text if len(text) > 3 else b"" for text in texts]
    body = bytearray(320)
    struct.pack_into("<i", body, 12, array.size)
    struct.pack_into("<h", body, 16, _SINGLE if single else _DOUBLE)
    label = _name(name)
    body[28 : 28 + len(label)] = label
    struct.pack_into("<4i4d4d", body, 68, *sides, *map(float, steps), *map(float, starts))
    for number, text in enumerate(texts):
        if len(text) <= 3:
            body[148 + 4 * number : 148 + 4 * number + len(text)] = text
    data, about = stored.tobytes(), _utf(note)
    sizes = [320 + len(data), 0, len(about), *(len(text) for text in long), *[0] * 7]
    head = bytearray(struct.pack("<hh15i", 5, 0, *sizes))
    total = int(np.frombuffer(bytes(head + body), "<u2").sum(dtype=np.uint64)) % 2**16
    struct.pack_into("<H", head, 2, (2**16 - total) % 2**16)
    return bytes(head + body) + data + about + b"".join(long)


def kernel_ibw(estimate: KernelEstimate) -> bytes:
    """Return the kernel as a wave over x and y from its centre, in m, or in pixels without a known pitch."""
    dy, dx = estimate.pixel_size_nm or (1.0, 1.0)
    scale, unit = (1.0, "px") if estimate.pixel_size_nm is None else (1e-9, "m")
    centre, last = estimate.kernel_size // 2, estimate.kernel_size - 1
    axes = ((-centre * dx * scale, dx * scale, unit), ((centre - last) * dy * scale, dy * scale, unit))
    return igor_wave(estimate.kernel, "kernel", _unit_of(estimate), axes, f"method={estimate.method}")


def fft_ibw(estimate: KernelEstimate) -> bytes:
    """Return |FFT| of the kernel as a wave over q_x and q_y in rad/nm (2 pi included), or rad/px without a known pitch."""
    magnitude = np.abs(kernel_fft(estimate.kernel))
    dy, dx = estimate.pixel_size_nm or (1.0, 1.0)
    unit = "rad/px" if estimate.pixel_size_nm is None else "rad/nm"
    steps = [2 * np.pi / (estimate.kernel_size * pitch) for pitch in (dx, dy)]
    centre, last = estimate.kernel_size // 2, estimate.kernel_size - 1
    axes = ((-centre * steps[0], steps[0], unit), ((centre - last) * steps[1], steps[1], unit))
    return igor_wave(magnitude, "fft_magnitude", _unit_of(estimate), axes, f"method={estimate.method}; 2 pi included")


def _unit_of(estimate: KernelEstimate) -> str:
    return str(estimate.provenance.get("input", {}).get("unit") or "")


def _utf(text: str) -> bytes:
    return text.encode("utf-8")


def _name(name: str) -> bytes:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:_LONGEST_NAME]
    return (plain if plain[:1].isalpha() else f"w{plain}"[:_LONGEST_NAME]).encode()
