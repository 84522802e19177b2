"""TIFF files of any number type and compression, written here tag by tag after the TIFF 6.0 specification."""

import struct
import zlib

import numpy as np

NONE, LZW, ZIP, PACKBITS = 1, 5, 8, 32773
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def lzw(data):
    """LZW of TIFF without a search for repetitions: a clear code before every 200 literal codes of nine bits, then the end code."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def packbits(data):
    """PackBits without a search for repetitions: runs of up to 128 literal bytes."""
    pieces = (data[start : start + 128] for start in range(0, len(data), 128))
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def tiff(pages, compression=LZW, order="<", rows_per_strip=4, predictor=1):
    """A file of pages (height, width), all strips compressed for themselves; predictor 2 and 3 store differences of integers and floats."""
    pack = {NONE: bytes, LZW: lzw, ZIP: zlib.compress, PACKBITS: packbits}[compression]
    content = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    link = 4
    for page in pages:
        height, width = page.shape
        values = page
        if predictor == 2:
            values = np.diff(page, axis=1, prepend=np.zeros((height, 1), page.dtype))
        if predictor == 3:  # the bytes of a row by significance, then their differences
            places = page.astype(page.dtype.newbyteorder(">")).view(np.uint8).reshape(height, width, -1)
            planes = np.moveaxis(places, 2, 1).reshape(height, -1)
            stored = np.diff(planes, axis=1, prepend=np.zeros((height, 1), np.uint8))
        else:
            stored = values.astype(values.dtype.newbyteorder(order))
        strips = [pack(stored[row : row + rows_per_strip].tobytes()) for row in range(0, height, rows_per_strip)]
        places = []
        for strip in strips:
            places.append(len(content))
            content += strip + b"\0" * (len(strip) % 2)
        tables = [len(content), len(content) + 4 * len(strips)]
        content += struct.pack(f"{order}{len(strips)}I", *places) + struct.pack(f"{order}{len(strips)}I", *map(len, strips))
        lists = [places[0], len(strips[0])] if len(strips) == 1 else tables
        entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8 * page.dtype.itemsize), (259, 3, 1, compression), (262, 3, 1, 1)]
        entries += [(273, 4, len(strips), lists[0]), (277, 3, 1, 1), (278, 4, 1, rows_per_strip), (279, 4, len(strips), lists[1])]
        entries += [(317, 3, 1, predictor), (339, 3, 1, _SAMPLE_FORMATS[page.dtype.kind])]
        struct.pack_into(order + "I", content, link, len(content))
        content += struct.pack(order + "H", len(entries))
        for tag, kind, count, value in entries:
            content += struct.pack(order + "HHI", tag, kind, count)
            content += struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        link = len(content)
        content += struct.pack("<I", 0)
    return bytes(content)
