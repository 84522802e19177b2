"""RHK .sm4 files, written here entry by entry after the tables in Gwyddion's and spym's descriptions of the format."""

import struct

import numpy as np

RIGHT, LEFT, UP, DOWN = range(4)


def string(text):
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def page_header(width, height, direction, scales, offsets, bias_v, angle, strings, objects, line_type):
    x_scale, y_scale, z_scale = scales
    packed = struct.pack("<HH", 170, strings)  # size of the fields, number of strings
    packed += struct.pack("<IIIii", 1, 0, line_type, 0, 0)  # page type, sub-source, line type, corner x, y
    packed += struct.pack("<IIII", width, height, 0, direction)  # ..., image type, scan direction
    packed += struct.pack("<IIii", 7, 4 * width * height, -5, 5)  # group, size of the data, smallest and largest count
    packed += struct.pack("<7f", x_scale, y_scale, z_scale, 0.0, offsets[0], 0.0, offsets[1])
    packed += struct.pack("<4f", 1e-4, bias_v, 1e-10, angle)  # period, bias, current, angle
    packed += struct.pack("<IIII", 0, 0, 0, objects)  # colours, grid x, grid y, number of objects
    return packed + bytes(4 + 60)  # flags, reserved


def sm4(pages, version="005.006 1"):
    """A file of pages: dictionaries of counts (height, width), label, unit, direction, scales (x, y, z), bias_v ...

    Spectra are pages of data type 1 and line type 7 with counts (spectra, points) and places (spectra, 2).
    """
    usual = {"label": "Topography", "unit": "m", "xy_unit": "m", "direction": RIGHT, "data_type": 0, "line_type": 0, "x_offset": 0.0}
    usual |= {"scales": (-2e-10, 3e-10, 1e-12), "z_offset": 0.0, "bias_v": 0.1, "angle": 0.0}
    pages = [usual | page for page in pages]
    body = bytearray(struct.pack("<H", 56) + f"STiMage {version}".ljust(18, "\0").encode("utf-16-le"))
    body += struct.pack("<IIIII", len(pages), 1, 12, 0, 0)
    body += struct.pack("<III", 1, len(body) + 12, 16)  # the page index header follows at once
    body += struct.pack("<IIII", len(pages), 1, 0, 0)
    body += struct.pack("<III", 2, len(body) + 12, 32)  # so does the page index array
    place = len(body) + len(pages) * (32 + 2 * 12)
    stored = bytearray()
    for number, page in enumerate(pages):
        counts = np.ascontiguousarray(page["counts"], "<i4")
        texts = [page["label"], "system", "session", "user é", "path", "11/25/26", "12:00:00"]
        texts += [page["xy_unit"], page["xy_unit"], page["unit"], "", ""]
        strings = b"".join(map(string, texts))
        height, width = counts.shape
        header = page_header(
            width,
            height,
            page["direction"],
            page["scales"],
            (page["x_offset"], page["z_offset"]),
            page["bias_v"],
            page["angle"],
            len(texts),
            2,
            page["line_type"],
        )
        here = place + len(stored)
        drift = b"".join(struct.pack("<7f", 0.5, x, y, 0, 0, 0, 0) for x, y in page.get("places", ()))
        header += struct.pack("<III", 10, here + len(header) + 24, len(strings))
        header += struct.pack("<III", 8, here + len(header) + 12 + len(strings), 28) if drift else struct.pack("<III", 0, 0, 0)
        stored += header + strings + drift
        body += bytes([number] * 16) + struct.pack("<IIII", page["data_type"], 0, 2, 6)
        body += struct.pack("<III", 3, here, 180) + struct.pack("<III", 4, place + len(stored), counts.nbytes)
        stored += counts.tobytes()
    return bytes(body + stored)
