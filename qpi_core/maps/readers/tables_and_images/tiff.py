"""TIFF images as maps: integers and floats, multi-page stacks, any compression that tifffile or this file can undo."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import to_float
from qpi_core.maps.readers.shared.limits import require_plausible_packing, require_plausible_size
from qpi_core.maps.readers.shared.units import nm_per_unit
from qpi_core.maps.readers.tables_and_images.images import grey_values
from qpi_core.maps.readers.tables_and_images.tiff_strips import decoded_page
from qpi_core.maps.scan_map import MapContent

# tifffile logs every damaged tag; the sentence that the user gets is enough.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAX_PAGES = 10_000


def read_tiff(content: bytes, name: str) -> MapContent:
    """Read a TIFF: a page is a layer, pages of one size are a stack; ImageJ's calibration is used where it states a length.

    Raises:
        InputError: damaged, of a compression that cannot be read, or not a grey image or stack.
    """
    import tifffile

    _require_end_of_pages(content, name)
    try:
        with tifffile.TiffFile(BytesIO(content)) as tiff:
            series = tiff.series[0]
            require_plausible_size(name, tuple(int(side) for side in series.shape) or (1,))
            _require_pages_fit(tiff, name)
            axes = series.axes
            try:
                pixels = np.asarray(series.asarray(maxworkers=1))
            except Exception as error:  # whichever codec it is that tifffile leaves to the optional package imagecodecs
                if "imagecodecs" not in str(error) and not isinstance(error, ImportError):
                    raise
                pixels = np.stack([decoded_page(page, content, name) for page in series.pages]).reshape(series.shape)
            pixel_size = _imagej_pixel_size(tiff)
    except InputError:
        raise
    except Exception as error:  # tifffile reports damage and missing codecs in many ways
        raise InputError(f"{name} is cut off or damaged: it is not a complete TIFF image. Export it again.") from error
    if pixels.dtype.kind not in "fiub":
        raise InputError(f"{name} holds values of type {pixels.dtype}, but a map needs real numbers.")
    notes: list[str] = []
    if "S" in axes and pixels.dtype.kind == "f":  # floats are measured values: three planes of them are layers, not colours
        pixels = np.moveaxis(pixels, axes.index("S"), 0)
    elif "S" in axes:
        pixels, notes = grey_values(np.moveaxis(pixels, axes.index("S"), -1))
    pixels = pixels.reshape(tuple(side for side in pixels.shape[:-2] if side != 1) + pixels.shape[-2:])
    if pixels.ndim not in (2, 3):
        raise InputError(f"{name} has shape {pixels.shape}; a map needs one page (height, width) or a stack of pages of one size.")
    if pixels.ndim == 3:
        notes.append(f"The {len(pixels)} pages were read as a stack of layers.")
    values = to_float(pixels)
    return MapContent(values={"value": values if values.ndim == 3 else values[np.newaxis]}, pixel_size_nm=pixel_size, notes=tuple(notes))


def _require_pages_fit(tiff: Any, name: str) -> None:
    """Refuse pages that declare more data than the file holds (compression by 2^10 is more than real maps reach)."""
    page = tiff.series[0].pages[0]
    declared, held = sum(page.databytecounts), tiff.filehandle.size
    if declared > held:
        raise InputError(f"{name} is cut off: its first page declares {declared} bytes, the file holds {held}. Export it again.")
    require_plausible_size(name, tuple(int(side) for side in tiff.series[0].shape) or (1,), held_values=held * 2**10)
    require_plausible_packing(name, int(tiff.series[0].nbytes), held)


def _imagej_pixel_size(tiff: Any) -> tuple[float, float] | None:
    """Return (dy, dx) in nm where ImageJ wrote a unit of length; the resolution is in pixels a unit."""
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    tags = tiff.pages[0].tags
    if np.isnan(nm_per_unit(unit)) or "XResolution" not in tags or "YResolution" not in tags:
        return None
    sizes = []
    for tag in ("YResolution", "XResolution"):
        pixels, units = tags[tag].value
        if pixels <= 0 or units <= 0:
            return None
        sizes.append(units / pixels * nm_per_unit(unit))
    return sizes[0], sizes[1]


def _require_end_of_pages(content: bytes, name: str) -> None:
    """Refuse pages that point to each other in a circle, which tifffile would follow without end."""
    order = "<" if content.startswith(b"II") else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    count_format, entry_bytes, link_format = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(link_format, content, 8 if big else 4)
        while place:
            if place in seen or len(seen) >= _MAX_PAGES:
                raise InputError(f"{name} is damaged: its pages have no end. Export it again.")
            seen.add(place)
            (count,) = struct.unpack_from(count_format, content, place)
            (place,) = struct.unpack_from(link_format, content, place + struct.calcsize(count_format) + entry_bytes * count)
    except (struct.error, OverflowError):
        return  # the chain leaves the file: tifffile stops there too
