"""Strips of a TIFF page whose compression tifffile leaves to the optional package imagecodecs: LZW, and the predictor for floats.

Specification: TIFF 6.0, sections 13 and 14; Adobe Photoshop TIFF Technical Note 3 (the predictor for floats).
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError

_BY_LIBTIFF, _ZIP = (5, 32773), (8, 32946)
"""LZW and PackBits; Deflate under its two numbers."""
_INTEGER_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3


def decoded_page(page: Any, content: bytes, name: str) -> NDArray[Any]:
    """Return the values of one page, whose size has been found plausible, in the shape that tifffile states.

    Args:
        page: tifffile's page.
        content: of the whole file.
        name: of the file, for messages.

    Raises:
        InputError: a compression that needs imagecodecs. Errors of damaged data are those of zlib, Pillow and NumPy.
    """
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    row_bytes = page.imagewidth * samples * dtype.itemsize
    known = page.compression in (*_BY_LIBTIFF, *_ZIP) and page.predictor in (1, _INTEGER_DIFFERENCES, _FLOAT_DIFFERENCES)
    if not known or page.is_tiled or page.fillorder != 1 or page.bitspersample != 8 * dtype.itemsize:
        raise InputError(
            f"{name} is a TIFF with a compression that needs the package imagecodecs: save the map uncompressed, "
            "or python -m pip install imagecodecs."
        )
    strips = [content[start : start + size] for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
    rows = page.rowsperstrip if page.planarconfig == 1 else min(page.rowsperstrip, page.imagelength)
    planes = 1 if page.planarconfig == 1 else page.samplesperpixel
    if page.compression in _BY_LIBTIFF:
        raw = _by_libtiff(strips, int(page.compression), row_bytes, page.imagelength * planes, rows)
    else:
        raw = b"".join(map(zlib.decompress, strips))
    stored = np.frombuffer(raw[: row_bytes * page.imagelength * planes], np.uint8).reshape(-1, row_bytes)
    return _without_predictor(stored, dtype, samples, page.predictor).reshape(page.shape)


def _by_libtiff(strips: list[bytes], compression: int, row_bytes: int, height: int, rows: int) -> bytes:
    """Return the bytes in the strips, by libtiff in Pillow, to which they are described as an 8-bit image of as many bytes a row.

    Pillow itself would read some number types wrongly (floats in big-endian order among them).
    """
    from PIL import Image

    count = len(strips)
    head = [(256, 4, 1, row_bytes), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    lists_at = 8 + 2 + 12 * (len(head) + 4) + 4
    offsets = [lists_at + 8 * count + place for place in _places(strips)]
    sizes = [len(strip) for strip in strips]
    first = (offsets[0], sizes[0]) if count == 1 else (lists_at, lists_at + 4 * count)  # one number stands in the entry itself
    entries = [*head, (273, 4, count, first[0]), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, count, first[1])]
    described = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    described += bytes(4) + struct.pack(f"<{2 * count}I", *offsets, *sizes) + b"".join(strips)
    with Image.open(BytesIO(described), formats=["TIFF"]) as image:
        return image.tobytes()


def _places(strips: list[bytes]) -> list[int]:
    return [0, *np.cumsum([len(strip) for strip in strips[:-1]], dtype=np.int64).tolist()]


def _without_predictor(rows: NDArray[np.uint8], dtype: np.dtype[Any], samples: int, predictor: int) -> NDArray[Any]:
    """Return the values of rows of bytes (height, bytes), their differences along the row added up."""
    if predictor == _FLOAT_DIFFERENCES:  # differences of bytes; then the most significant bytes of all values, the next ones ...
        added = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8).reshape(len(rows), dtype.itemsize, -1)
        return np.ascontiguousarray(np.moveaxis(added, 1, 2)).view(dtype.newbyteorder(">"))[..., 0]
    values = rows.view(dtype)
    if predictor == _INTEGER_DIFFERENCES:
        native, whole = dtype.newbyteorder("="), np.dtype(f"u{dtype.itemsize}")
        return np.cumsum(values.astype(native).view(whole).reshape(len(rows), -1, samples), axis=1, dtype=whole).view(native)
    return values
