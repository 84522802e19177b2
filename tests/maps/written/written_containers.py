"""Containers of several channels, written here object by object: Gwyddion files and Igor waves with labelled layers."""

import struct

import numpy as np


def gwy(*fields, encoding="utf-8"):
    """A Gwyddion file of (title, unit of length, array), written here object by object."""

    def text(value):
        return value.encode(encoding) + b"\0"

    def part(key, letter, value):
        return key.encode() + b"\0" + letter + value

    def wrapped(key, kind, body):
        return part(key, b"o", kind.encode() + b"\0" + struct.pack("<I", len(body)) + body)

    parts = []
    for number, (title, unit, array) in enumerate(fields):
        height, width = array.shape
        body = part("xres", b"i", struct.pack("<i", width)) + part("yres", b"i", struct.pack("<i", height))
        body += part("xreal", b"d", struct.pack("<d", width)) + part("yreal", b"d", struct.pack("<d", 2.0 * height))
        body += wrapped("si_unit_xy", "GwySIUnit", part("unitstr", b"s", text(unit)))
        body += part("data", b"D", struct.pack("<I", array.size) + array.astype("<f8").tobytes())
        parts += [wrapped(f"/{number}/data", "GwyDataField", body), part(f"/{number}/data/title", b"s", text(title))]
    whole = b"".join(parts)
    return b"GWYP" + b"GwyContainer\0" + struct.pack("<I", len(whole)) + whole


def brick(stack, zoff, zreal, levels=None):
    """A Gwyddion file of one brick (layers, height, width) over the bias in V, its levels calibrated one by one or evenly spaced."""

    def part(key, letter, value):
        return key.encode() + b"\0" + letter + value

    def made(kind, body):
        return kind.encode() + b"\0" + struct.pack("<I", len(body)) + body

    def unit(key, text):
        return part(key, b"o", made("GwySIUnit", part("unitstr", b"s", text.encode() + b"\0")))

    body = b"".join(part(key, b"i", struct.pack("<i", side)) for key, side in zip(("zres", "yres", "xres"), stack.shape, strict=True))
    numbers = {"xreal": 1e-8, "yreal": 1e-8, "zreal": zreal, "zoff": zoff}
    body += b"".join(part(key, b"d", struct.pack("<d", number)) for key, number in numbers.items())
    body += unit("si_unit_x", "m") + unit("si_unit_y", "m") + unit("si_unit_z", "V") + unit("si_unit_w", "S")
    body += part("data", b"D", struct.pack("<I", stack.size) + stack.astype("<f8").tobytes())
    if levels is not None:
        line = part("res", b"i", struct.pack("<i", len(levels))) + part("real", b"d", struct.pack("<d", 1.0)) + unit("si_unit_y", "V")
        line += part("data", b"D", struct.pack("<I", len(levels)) + np.asarray(levels, "<f8").tobytes())
        body += part("calibration", b"O", struct.pack("<I", 1) + made("GwyDataLine", line))
    whole = part("/brick/0", b"o", made("GwyBrick", body)) + part("/brick/0/title", b"s", b"dI/dV\0")
    return b"GWYP" + made("GwyContainer", whole)


def wave(stack, labels=(), order="<", units=("m", "m", "m", ""), note=b"note", title="scan"):
    """An Igor wave of version 5: (layers, height, width), the layers labelled."""
    layers, height, width = stack.shape
    data = np.ascontiguousarray(stack[:, ::-1]).astype(order + "f4").tobytes()
    block = b"".join(label.encode("latin-1").ljust(32, b"\0") for label in ("", *labels)) if labels else b""
    long = units[0].encode("latin-1") if len(units[0]) > 3 else b""
    head = struct.pack(order + "hhiiii4i4iiii", 5, 0, 320 + len(data), 0, len(note), len(long), 0, 0, 0, 0, 0, 0, len(block), 0, 0, 0, 0)
    body = bytearray(320)
    struct.pack_into(order + "i", body, 12, stack.size)
    struct.pack_into(order + "h", body, 16, 2)
    body[28 : 28 + len(title)] = title.encode()
    struct.pack_into(order + "4i", body, 68, width, height, layers, 0)
    struct.pack_into(order + "4d", body, 84, 2e-9, 3e-9, 0.1, 1)
    struct.pack_into(order + "4d", body, 116, 0, 0, -0.1, 0)
    for index, unit in enumerate(("" if long else units[0], *units[1:])):
        body[148 + 4 * index : 148 + 4 * index + len(unit)] = unit.encode("latin-1")
    whole = bytearray(head + bytes(body))
    total = int(np.frombuffer(bytes(whole), order + "u2").sum(dtype=np.uint64)) % 2**16
    struct.pack_into(order + "H", whole, 2, (2**16 - total) % 2**16)
    return bytes(whole) + data + note + long + block
