"""Images as maps: PNG (8 and 16 bit) and TIFF (integers, floats, multi-page stacks)."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.errors import InputError
from qpi_core.maps.arrays import to_float
from qpi_core.maps.limits import require_plausible_size
from qpi_core.maps.scan_map import MapContent

# tifffile logs every damaged tag; the sentence that the user gets is enough.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAX_PNG_PIXELS = 2**26
"""Below the size from which Pillow warns of a decompression bomb."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as Pillow's own conversion to grey."""

_CONVERTED_MODES = ("1", "P", "PA", "LA", "RGB", "RGBA")

_NM_PER_UNIT = {"nm": 1.0, "um": 1e3, "µm": 1e3, "\\u00B5m": 1e3, "micron": 1e3, "mm": 1e6, "m": 1e9, "a": 0.1, "å": 0.1, "angstrom": 0.1}


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
    grey, notes = _grey(pixels)
    return MapContent(values={"grey value": to_float(grey)[np.newaxis]}, notes=tuple(notes))


def read_tiff(content: bytes, name: str) -> MapContent:
    """Read a TIFF: a page is a layer, pages of one size are a stack; ImageJ's calibration is used where it states a length.

    Raises:
        InputError: damaged, of a compression that cannot be read, or not a grey image or stack.
    """
    import tifffile

    try:
        with tifffile.TiffFile(BytesIO(content)) as tiff:
            series = tiff.series[0]
            require_plausible_size(name, tuple(int(side) for side in series.shape) or (1,))
            _require_pages_fit(tiff, name)
            axes = series.axes
            pixels = np.asarray(series.asarray(maxworkers=1))
            pixel_size = _imagej_pixel_size(tiff)
    except InputError:
        raise
    except Exception as error:  # tifffile reports damage and missing codecs in many ways
        if "imagecodecs" in str(error):
            return _read_tiff_with_pillow(content, name)
        raise InputError(f"{name} is cut off or damaged: it is not a complete TIFF image. Export it again, uncompressed.") from error
    if pixels.dtype.kind not in "fiub":
        raise InputError(f"{name} holds values of type {pixels.dtype}, but a map needs real numbers.")
    notes: list[str] = []
    if "S" in axes and pixels.dtype.kind == "f":  # floats are measured values: three planes of them are layers, not colours
        pixels = np.moveaxis(pixels, axes.index("S"), 0)
    elif "S" in axes:
        pixels, notes = _grey(np.moveaxis(pixels, axes.index("S"), -1))
    pixels = pixels.reshape(tuple(side for side in pixels.shape[:-2] if side != 1) + pixels.shape[-2:])
    if pixels.ndim not in (2, 3):
        raise InputError(f"{name} has shape {pixels.shape}; a map needs one page (height, width) or a stack of pages of one size.")
    if pixels.ndim == 3:
        notes.append(f"The {len(pixels)} pages were read as a stack of layers.")
    values = to_float(pixels)
    return MapContent(values={"value": values if values.ndim == 3 else values[np.newaxis]}, pixel_size_nm=pixel_size, notes=tuple(notes))


def _grey(pixels: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """Return (..., height, width) from (..., height, width, samples); exact where the colours are equal."""
    if pixels.ndim == 2:
        return pixels, []
    if pixels.shape[-1] < 3:
        return pixels[..., 0], []
    colour = pixels[..., :3]
    if (colour == colour[..., :1]).all():
        return colour[..., 0], []
    note = "The image is in colour: its luminance was taken as the value, which a colour map does not always keep in order."
    return colour @ _LUMINANCE, [note]


def _require_pages_fit(tiff: Any, name: str) -> None:
    """Refuse pages that declare more data than the file holds (compression by 2^10 is more than real maps reach)."""
    page = tiff.series[0].pages[0]
    declared, held = sum(page.databytecounts), tiff.filehandle.size
    if declared > held:
        raise InputError(f"{name} is cut off: its first page declares {declared} bytes, the file holds {held}. Export it again.")
    require_plausible_size(name, tuple(int(side) for side in tiff.series[0].shape) or (1,), held_values=held * 2**10)


def _imagej_pixel_size(tiff: Any) -> tuple[float, float] | None:
    """Return (dy, dx) in nm where ImageJ wrote a unit of length; the resolution is in pixels a unit."""
    unit = str((tiff.imagej_metadata or {}).get("unit", "")).strip().lower()
    tags = tiff.pages[0].tags
    if unit not in _NM_PER_UNIT or "XResolution" not in tags or "YResolution" not in tags:
        return None
    sizes = []
    for tag in ("YResolution", "XResolution"):
        pixels, units = tags[tag].value
        if pixels <= 0 or units <= 0:
            return None
        sizes.append(units / pixels * _NM_PER_UNIT[unit])
    return sizes[0], sizes[1]


def _read_tiff_with_pillow(content: bytes, name: str) -> MapContent:
    """Read the first page of a compressed TIFF with Pillow's own codecs."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content), formats=["TIFF"]) as image:
            pages = getattr(image, "n_frames", 1)
            if pages != 1 or image.size[0] * image.size[1] > _MAX_PNG_PIXELS:
                raise InputError(f"{name} is a compressed TIFF of {pages} pages; save it uncompressed.")
            pixels = np.asarray(image.convert("RGB") if image.mode not in ("L", "I", "F", "I;16", "I;16B") else image)
    except InputError:
        raise
    except Exception as error:  # Pillow reports damage in many ways
        raise InputError(f"{name} is damaged or compressed in a way that cannot be read; save it as an uncompressed TIFF.") from error
    grey, notes = _grey(pixels)
    return MapContent(values={"value": to_float(grey)[np.newaxis]}, notes=tuple(notes))
