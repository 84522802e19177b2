"""PNG images as maps (8 and 16 bit), and grey values from colours."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import to_float
from qpi_core.maps.scan_map import MapContent

_MAX_PNG_PIXELS = 2**26
"""Below the size from which Pillow warns of a decompression bomb."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as Pillow's own conversion to grey."""

_CONVERTED_MODES = ("1", "P", "PA", "LA", "RGB", "RGBA")


def read_png(content: bytes, name: str) -> MapContent:
    """Read a PNG as one layer of grey values; colours become luminance, with a note.

    Raises:
        InputError: damaged, cut off, or more than 2^26 pixels.
    """
    from PIL import Image

    if len(content) < 33 or content[12:16] != b"IHDR":
        raise InputError(f"{name} is cut off or damaged: its PNG header is incomplete. Export it again.")
    width, height = struct.unpack(">II", content[16:24])
    if width < 1 or height < 1 or width * height > _MAX_PNG_PIXELS:
        raise InputError(f"{name} declares {width} x {height} pixels; 1 to {_MAX_PNG_PIXELS} are read, so crop or resample it.")
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            if image.size != (width, height):
                raise InputError(f"{name} is damaged: it declares two different sizes. Export it again.")
            pixels = np.asarray(image.convert("RGB") if image.mode in _CONVERTED_MODES else image)
    except InputError:
        raise
    except Exception as error:  # Pillow reports damage in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete PNG image. Export it again.") from error
    grey, notes = grey_values(pixels)
    return MapContent(values={"grey value": to_float(grey)[np.newaxis]}, notes=tuple(notes))


def grey_values(pixels: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """Return values and notes: (..., height, width) from (..., height, width, samples); exact where the colours are equal."""
    if pixels.ndim == 2:
        return pixels, []
    if pixels.shape[-1] < 3:
        return pixels[..., 0], []
    colour = pixels[..., :3]
    if (colour == colour[..., :1]).all():
        return colour[..., 0], []
    note = "The image is in colour: its luminance was taken as the value, which a colour map does not always keep in order."
    return colour @ _LUMINANCE, [note]
