"""Scans of the Aarhus STM (.mul, .flm): an index of up to 64 images, then each with a label of 128 bytes and 16-bit integers.

Layout after Gwyddion's mulfile.c: the index holds (number, place in blocks of 128 bytes), the bottom row of an image comes first, sizes
are in Angstrom and the bias is -10 n / 32768 V.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_parts import content_of_parts
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.scan_map import MapContent

_BLOCK, _MOST_IMAGES = 128, 64
_INDEX, _LABEL = struct.Struct("<hl"), struct.Struct("<20h21p21p7h16h")
_VOLTS_PER_COUNT = -10.0 / 32768.0
_COUNTS = "The values are the instrument's counts, as stored."


@dataclass(frozen=True, eq=False)
class _Image:
    """One image; see ChannelPart."""

    title: str
    values: NDArray[np.float64]
    bias_mv: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    unit: str = ""
    angle_deg: float = 0.0


def read_mul(content: bytes, name: str) -> MapContent:
    """Read all images; images of one size at different bias keep their own.

    Raises:
        InputError: no complete image.
    """
    images: list[_Image] = []
    for entry in range(min(_MOST_IMAGES, len(content) // _INDEX.size)):
        number, block = _INDEX.unpack_from(content, entry * _INDEX.size)
        if number == 0:
            break
        image = _image(content, number, block * _BLOCK, name)
        if image is not None:
            images.append(image)
        require_plausible_size(name, (sum(image.values.size for image in images) or 1,))
    if not images:
        raise InputError(f"{name} holds no complete image of an Aarhus STM; it is damaged, cut off or renamed.")
    return content_of_parts(images, [_COUNTS])


def _image(content: bytes, number: int, start: int, name: str) -> _Image | None:
    if start < 0 or start + _LABEL.size > len(content):
        return None
    label = _LABEL.unpack_from(content, start)
    width, height, bias = label[2], label[3], label[18] * _VOLTS_PER_COUNT * 1e3
    if label[0] != number or min(width, height) < 1 or start + _LABEL.size + 2 * width * height > len(content):
        return None
    data = np.frombuffer(content, "<i2", count=width * height, offset=start + _LABEL.size).reshape(height, width)
    size = label[12] * 0.1 / height, label[11] * 0.1 / width
    title = decoded(label[21].split(b"\0")[0]).strip()
    kind = "Current" if label[24] == 1 else "Z"
    return _Image(
        f"{number} {kind}{f' {title}' if title else ''}",
        data[np.newaxis, ::-1].astype(np.float64),
        np.array([bias]),
        size if min(size) > 0 else None,
    )
